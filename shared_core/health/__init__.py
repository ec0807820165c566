"""Readiness checks of a service. `shared_core.urls` has the views of ``/health/`` and ``/ready/``."""

import warnings
from typing import Any

from shared_core.health.probes import readiness_check

__all__ = ["readiness_check"]


def __getattr__(name: str) -> Any:  # Any: a view
    if name not in {"health", "ready"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shared_core.health import views  # noqa: PLC0415  # for the names of version 0.1 only

    warnings.warn(
        f'shared_core.health.{name} is no public name any more: write path("", include("shared_core.urls")). '
        "Version 0.3 removes the name.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(views, name)
