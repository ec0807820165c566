"""``"shared_core"`` in INSTALLED_APPS."""

from importlib.util import find_spec

from django.apps import AppConfig

from shared_core import checks, commands, conf


class SharedCoreConfig(AppConfig):
    """Brings the commands, checks and templates of this package; it has no tables."""

    name = "shared_core"
    verbose_name = "Shared core"

    def ready(self) -> None:
        """Register the checks; give commands a context of their own, and Celery's tasks that of who sent them."""
        checks.register()
        if conf.is_on("SHARED_CORE_COMMAND_IDS"):
            commands.bind_ids_to_commands()
        if find_spec("celery"):
            from shared_core import celery  # noqa: PLC0415  # an extra

            celery.connect()
