"""Runs the system checks of Django, of this package and of the service."""

from collections.abc import Iterator, Sequence

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from shared_core.doctor.lines import Line, sanitize, without_secrets
from shared_core.environment import environment_name


def run_system_checks(databases: Sequence[str]) -> Iterator[Line]:
    """Yield what ``manage.py check`` would print, asking ``databases`` too."""
    is_deployed = _is_deployed()
    try:
        found = checks.run_checks(include_deployment_checks=is_deployed, databases=databases or None)
    finally:
        connections.close_all()  # this thread's
    messages = [one for one in found if one.level >= checks.WARNING and not one.is_silenced()]
    for one in messages:
        about = f"{one.id} {sanitize(one.msg)}" + (f" ({sanitize(one.obj)})" if one.obj else "")
        yield Line("FAIL" if one.is_serious() else "warn", "checks", about, without_secrets(one.hint or ""))
    if not messages:
        options = " ".join([*(["--deploy"] if is_deployed else []), *(f"--database {alias}" for alias in databases)])
        yield Line("ok", "checks", f"manage.py check {options}".strip() + " finds nothing")


def _is_deployed() -> bool:
    """Say whether this is no developer's machine."""
    try:
        return environment_name() not in {"development", "test"}
    except ImproperlyConfigured:
        return True
