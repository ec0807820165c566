from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.inlined"
    label = "inlined"
