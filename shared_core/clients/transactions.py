"""Calls inside a database transaction.

Behind a pooler that lends a server connection for the length of a transaction, such a call keeps one from everybody
else for as long as the other service takes, and holds the rows' locks meanwhile.
"""

import logging
from typing import Literal

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from shared_core import conf

logger = logging.getLogger("shared_core.http")

_SETTING = "SHARED_CORE_HTTP_IN_ATOMIC"


def find_forbidden(service: str) -> str | None:
    """Return the alias of a database with an open transaction, if the settings forbid calls inside of one.

    If they say "warn", a warning is logged.

    Raises:
        ImproperlyConfigured: The setting is none of "warn", "raise" and "allow".
    """
    alias = _find_open_transaction()
    if alias is None or (rule := _rule()) == "allow":
        return None
    if rule == "warn":
        _warn(service, alias)
        return None
    return alias


def _find_open_transaction() -> str | None:
    """Return the alias of a database with an open ``transaction.atomic`` of this thread, or None.

    Those that Django's TestCase wraps around a test do not count.
    """
    if not conf.is_configured():
        return None
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block and not all(
            getattr(block, "_from_testcase", False) for block in connection.atomic_blocks
        ):
            return str(connection.alias)
    return None


def _rule() -> Literal["warn", "raise", "allow"]:
    value = conf.get(_SETTING, "warn")
    if value not in {"warn", "raise", "allow"}:
        raise ImproperlyConfigured(f'{_SETTING} must be "warn", "raise" or "allow", not {value!r}')
    return value  # type: ignore[no-any-return]  # just checked


def _warn(service: str, alias: str) -> None:
    logger.warning(
        "Calling %s inside transaction.atomic, which keeps a database connection from others until it answers: "
        "call before or after the block, or from transaction.on_commit (%s says whether this warns or raises)",
        service, _SETTING, extra={"peer_service": service, "database": alias}, stacklevel=3,
    )  # fmt: skip
