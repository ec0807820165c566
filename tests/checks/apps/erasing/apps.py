from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.erasing"
    label = "erasing"
