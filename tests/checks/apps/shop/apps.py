from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "tests.checks.apps.shop"
    label = "shop"
