"""System checks: ``manage.py check`` finds mistakes in the use of this package, each with an id of its own.

The catalogue lists the mistakes. The modules that look for them are imported when a check runs, not by each process
that serves.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.core import checks

__all__ = ["register"]


def _imported_when_run(module: str, name: str) -> Callable[..., Iterable[checks.CheckMessage]]:
    """Return a check that imports the real one."""

    def check(**options: Any) -> Iterable[checks.CheckMessage]:  # Any: as Django gives them
        found: Iterable[checks.CheckMessage] = getattr(import_module(f"{__name__}.{module}"), name)(**options)
        return found

    return check


_STATIC = (
    _imported_when_run("databases", "check_databases"),
    _imported_when_run("models", "check_models"),
    _imported_when_run("relations", "check_relations"),
    _imported_when_run("saving", "check_saving"),
    _imported_when_run("admin", "check_admin"),
    _imported_when_run("secrets", "check_secrets"),
    _imported_when_run("services", "check_urls"),
    _imported_when_run("services", "check_callers"),
    _imported_when_run("services", "check_middleware"),
    _imported_when_run("services", "check_user_id"),
)
_LIVE = _imported_when_run("live", "check_live")


def register() -> None:
    """Have ``manage.py check`` run them: ``--tag shared_core`` these alone, ``--database`` what asks a database too."""
    for check in _STATIC:
        checks.register(check, "shared_core")
    checks.register(_LIVE, checks.Tags.database)
