"""The only reader of the service's Django settings, which it reads when they are needed.

So importing any module of this package never needs configured settings.
"""

import os
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import environment_name

_is_test_run = False


def get(name: str, default: Any = None) -> Any:  # Any: a setting is whatever the service wrote
    """Return the setting ``name`` as it is now, or ``default`` where the service has not written it.

    A script that runs without Django settings (``DJANGO_SETTINGS_MODULE`` unset, ``settings.configure()`` not called)
    gets the default for all of them.
    """
    try:
        return getattr(settings, name, default)
    except ImproperlyConfigured:
        if is_configured():
            raise
        return default


def is_on(name: str) -> bool:
    """Say whether the switch ``name`` is on: it is, unless the service has written False.

    Raises:
        ImproperlyConfigured: It is neither True nor False.
    """
    value = get(name, True)
    if not isinstance(value, bool):
        raise ImproperlyConfigured(f"{name} must be True or False, not {value!r}")
    return value


def ending_with(suffix: str) -> dict[str, Any]:
    """Return the settings whose names end in ``suffix``, by name."""
    if not is_configured():
        return {}
    return {name: getattr(settings, name) for name in dir(settings) if name.endswith(suffix)}


def is_configured() -> bool:
    """Say whether there are settings to be read."""
    return bool(settings.configured or os.environ.get("DJANGO_SETTINGS_MODULE"))


def mark_test_run() -> None:
    """Note that a suite runs: `PoolerTestRunner` and the pytest plugin say so. Nothing else may."""
    global _is_test_run  # noqa: PLW0603  # of the process
    _is_test_run = True


def is_test_run() -> bool:
    """Say whether a suite runs. Django's runner leaves a mailbox, but so does a mail backend."""
    return _is_test_run or _environment() == "test"


def is_exposed() -> bool:
    """Say whether strangers may reach the service: not with DEBUG, in a suite, nor in development and test."""
    return not (get("DEBUG", False) or is_test_run() or _environment() == "development")


def _environment() -> str:
    try:
        return environment_name()
    except ImproperlyConfigured:
        return "production"
