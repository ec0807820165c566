"""System checks: ``manage.py check`` names what of this package is held wrong, each mistake by an id of its own.

The catalogue lists them. What looks for them is imported when a check is run, and not by each process that serves.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.core import checks

__all__ = ["register"]


def _later(module: str, name: str) -> Callable[..., Iterable[checks.CheckMessage]]:
    """Return a check that imports the real one."""

    def check(**options: Any) -> Iterable[checks.CheckMessage]:  # Any: as Django gives them
        found: Iterable[checks.CheckMessage] = getattr(import_module(f"{__name__}.{module}"), name)(**options)
        return found

    return check


_STATIC = (
    _later("databases", "check_databases"),
    _later("models", "check_models"),
    _later("relations", "check_relations"),
    _later("saving", "check_saving"),
    _later("admin", "check_admin"),
    _later("secrets", "check_secrets"),
    _later("services", "check_urls"),
    _later("services", "check_callers"),
    _later("services", "check_middleware"),
    _later("services", "check_user_id"),
)
_LIVE = _later("live", "check_live")


def register() -> None:
    """Have ``manage.py check`` run them: ``--tag shared_core`` these alone, ``--database`` what asks a database too."""
    for check in _STATIC:
        checks.register(check, "shared_core")
    checks.register(_LIVE, checks.Tags.database)
