"""What belongs to a session, kept inside a transaction: behind a pooler the next client has the session.

Django's connections are imported where they are used: `get_database_config` beside it runs while settings are read.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

# PostgreSQL's code for lock_not_available: https://www.postgresql.org/docs/16/errcodes-appendix.html
_LOCK_NOT_AVAILABLE = "55P03"
# PostgreSQL counts timeouts in milliseconds of 31 bits.
_MAX_TIMEOUT = (2**31 - 1) // 1000  # seconds
# PostgreSQL itself ends this one with the savepoint, and lets nobody else do it.
_RESTORED_BY_POSTGRESQL = "transaction_read_only"
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", re.ASCII)


class AdvisoryLockTimeout(TimeoutError):  # noqa: N818  # as TimeoutError's kinds are called
    """Somebody else held the lock for all of the time; nothing was done, and the transaction can go on."""

    def __init__(self, key: str | int, timeout: float) -> None:
        super().__init__(key, timeout)
        self.key, self.timeout = key, timeout

    def __str__(self) -> str:
        return f"the advisory lock {self.key!r} was held by somebody else for {self.timeout:g} s"


@contextmanager
def local_settings(*, using: str = "default", **settings: str | float) -> Iterator[None]:
    """Have PostgreSQL's settings at these values for the length of the block, and for nobody else.

        with local_settings(statement_timeout=2000, lock_timeout="500ms"):
            report.refresh_from_db()

    Inside ``atomic`` they are as they were afterwards; outside, the block is a transaction of its own. A ``SET`` would
    stay with the pooler's server connection, for whoever has it next.

    Args:
        using: Of which database.
        settings: `names <https://www.postgresql.org/docs/16/runtime-config-client.html>`_ and values; a number has the
            setting's own unit, which for timeouts is milliseconds.

    Raises:
        ValueError: A name is none, or nothing is to be set.
        django.db.Error: PostgreSQL does not know the setting, or does not take the value.
    """
    from django.db import connections, transaction  # noqa: PLC0415  # see the module

    if not settings or (bad := [name for name in settings if not is_setting(name)]):
        raise ValueError(f"{', '.join(bad) if settings else 'nothing'} is no setting: write statement_timeout=2000")
    values = {name: _as_text(name, value) for name, value in settings.items()}
    connection = connections[using]
    # Without autocommit a transaction is always open, whose end is not that of the block.
    is_inner = connection.in_atomic_block or not connection.get_autocommit()
    # A savepoint inside a transaction: where the block fails, going back to it has PostgreSQL bring them back too.
    with transaction.atomic(using=using), connection.cursor() as cursor:
        before = _current(cursor, [name for name in values if name != _RESTORED_BY_POSTGRESQL]) if is_inner else {}
        _set(cursor, values)
        yield
        # Where all is taken back, PostgreSQL brings them back too, and takes no other statement.
        if before and not connection.needs_rollback:
            _set(cursor, before)


def is_setting(name: str) -> bool:
    """Say whether ``name`` may be a setting's, ``statement_timeout`` or one's own ``app.tenant``."""
    return _NAME.fullmatch(name) is not None


def _as_text(name: str, value: str | float) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str | int | float):
        raise TypeError(f"{name}={value!r} must be a text or a number")
    return str(value)


def _current(cursor: "CursorWrapper", names: Collection[str]) -> dict[str, str | None]:
    if not names:
        return {}
    cursor.execute(f"SELECT {', '.join('current_setting(%s, true)' for _ in names)}", list(names))
    return dict(zip(names, cursor.fetchone() or (), strict=True))


def _set(cursor: "CursorWrapper", values: Mapping[str, str | None]) -> None:
    """Set them until the transaction's end; None is a setting's default."""
    pairs = [part for pair in values.items() for part in pair]
    cursor.execute(f"SELECT {', '.join('set_config(%s, %s, true)' for _ in values)}", pairs)


@contextmanager
def advisory_lock(key: str | int, *, timeout: float = 10.0, using: str = "default") -> Iterator[None]:
    """Hold PostgreSQL's advisory lock ``key``, which one transaction of the database has at a time.

        with advisory_lock("nightly-report"):
            ...  # nobody else is in here

    It belongs to the transaction: outside of ``atomic`` the block is one of its own; inside, the lock is held until the
    outer one ends. One of the session would stay behind with the pooler's server connection.

    Args:
        key: A text, or PostgreSQL's own kind of key, a whole number of 64 bits.
        timeout: How long to wait for it, in seconds; 0 does not wait.
        using: In which database.

    Raises:
        AdvisoryLockTimeout: Somebody else held it for so long.
        ValueError: The key or the time is none.
    """
    from django.db import connections, transaction  # noqa: PLC0415  # see the module

    number = advisory_key(key)
    if not 0 <= timeout <= _MAX_TIMEOUT:
        raise ValueError(f"timeout={timeout!r} must be seconds, from 0 to {_MAX_TIMEOUT}")
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            (is_held,) = cursor.fetchone() or (False,)
        if not is_held:
            _wait_for_lock(key, number, timeout, using)
        yield


def _wait_for_lock(key: str | int, number: int, timeout: float, using: str) -> None:
    from django.db import OperationalError, connections  # noqa: PLC0415  # see the module

    if not (milliseconds := round(timeout * 1000)):
        raise AdvisoryLockTimeout(key, timeout)
    try:
        # The role may have a shorter statement_timeout, which would end the wait as another error.
        with (
            local_settings(using=using, lock_timeout=milliseconds, statement_timeout=0),
            connections[using].cursor() as cursor,
        ):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
    except OperationalError as error:
        if sqlstate_of(error) == _LOCK_NOT_AVAILABLE:
            raise AdvisoryLockTimeout(key, timeout) from None
        raise


def sqlstate_of(error: Exception) -> str | None:
    """Return PostgreSQL's code: psycopg's sqlstate, psycopg2's pgcode."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)


def advisory_key(key: str | int) -> int:
    """Return the key as PostgreSQL has it: a number as it is, a text by its hash, the same in every process.

    Raises:
        ValueError: It is neither, or has more than 64 bits.
    """
    if isinstance(key, str) and key:
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
    if isinstance(key, int) and not isinstance(key, bool) and -(2**63) <= key < 2**63:
        return key
    raise ValueError(f"{key!r} is no key of a lock: give a text, or a whole number of 64 bits")
