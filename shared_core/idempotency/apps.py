"""``"shared_core.idempotency"`` in INSTALLED_APPS."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """Brings one table, of stored responses."""

    name = "shared_core.idempotency"
    label = "shared_core_idempotency"
    verbose_name = "Idempotency"
