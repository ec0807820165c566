from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.plain_child"
    label = "plain_child"
