from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.checks.apps.lost_meta"
    label = "lost_meta"
