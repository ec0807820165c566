from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.plain_parent"
    label = "plain_parent"
