"""``"shared_core"`` in INSTALLED_APPS."""

from django.apps import AppConfig


class SharedCoreConfig(AppConfig):
    """Brings the commands, checks and templates of this package; it has no tables."""

    name = "shared_core"
    verbose_name = "Shared core"
