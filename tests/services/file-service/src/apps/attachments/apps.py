"""The app's configuration."""

from django.apps import AppConfig


class AttachmentsConfig(AppConfig):
    name = "apps.attachments"
