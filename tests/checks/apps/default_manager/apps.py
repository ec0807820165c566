from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.default_manager"
    label = "default_manager"
