from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.update_fields"
    label = "update_fields"
