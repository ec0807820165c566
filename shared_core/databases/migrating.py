"""The migration lock: of several replicas one migrates, and the others wait until the migrations are applied."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from shared_core.databases.aborting import abort_after
from shared_core.databases.sessions import advisory_key
from shared_core.timing import repeating

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_KEY = advisory_key("shared_core.migrate")
_ANSWER_TIMEOUT = 10.0  # seconds
_POLL_INTERVAL = 0.5  # seconds
_REPORT_INTERVAL = 10.0  # seconds


class MigrationLockError(Exception):
    """The lock was not to be had in time, or did not last; the text says what to do."""


@contextmanager
def migration_lock(
    connection: "BaseDatabaseWrapper",
    timeout: float,
    report: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Hold the lock of all who migrate the database of ``connection``, for the length of the block.

    The lock belongs to a transaction on a connection of its own, which goes round the pooler where DIRECT names the
    way: a session's would stay with the pooler. Who waits looks every half second, and is never inside a statement:
    ``CREATE INDEX CONCURRENTLY`` would wait for that statement, and it for the index.

    Args:
        connection: The one that migrates.
        timeout: How long to wait, in seconds.
        report: Called with a line, at first and every 10 s of waiting.
        clock: Seconds.
        sleep: Waits so many.

    Raises:
        MigrationLockError: Nothing was done, as somebody else held it for so long, or there was no connection for it or
            beside it; or it was lost in the meantime.
        django.db.Error: The database cannot be reached.
    """
    holder = _copy_connection(connection)
    try:
        _connect(holder)
        _acquire(holder, timeout, report, clock, sleep)
        _check_second_server_connection(connection)
        with _kept_alive(holder):
            yield
        try:
            with holder.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Exception as error:
            raise MigrationLockError(
                f"The migrations are applied, but the lock was lost meanwhile ({error}): another process may have "
                "migrated too. Set DB_DIRECT_HOST, so that no pooler ends an idle transaction, and look at the tables."
            ) from error
    finally:
        with suppress(Exception):  # a connection that was lost can neither be rolled back nor closed in order
            holder.rollback()  # the lock is free from here on; a pooler would take its time to notice the end
        with suppress(Exception):
            holder.close()


def _copy_connection(connection: "BaseDatabaseWrapper") -> "BaseDatabaseWrapper":
    made = connection.copy(alias=f"{connection.alias} (migration lock)")
    settings = made.settings_dict
    if direct := settings.get("DIRECT"):
        settings.update(direct)
    # Neither a pool, nor transactions that keep their snapshot: an index would wait for those.
    settings["OPTIONS"] = {
        name: value for name, value in settings["OPTIONS"].items() if name not in {"pool", "isolation_level"}
    }
    return made


def _connect(holder: "BaseDatabaseWrapper") -> None:
    from django.db import Error  # noqa: PLC0415  # runs while settings are read

    try:
        holder.ensure_connection()
    except Error as error:
        if not holder.settings_dict.get("DIRECT"):
            raise
        raise MigrationLockError(
            f"The way round the pooler, which DB_DIRECT_HOST and DB_DIRECT_PORT name, leads nowhere: {error}"
        ) from error


def _check_second_server_connection(connection: "BaseDatabaseWrapper") -> None:
    """Have the connection that migrates ask for a server connection, while the lock has one of the pooler's."""
    from django.db import Error  # noqa: PLC0415  # as above

    try:
        with abort_after(_ANSWER_TIMEOUT, connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        raise MigrationLockError(
            f"The pooler gives no server connection to migrate by, beside the lock's ({error}). Nothing was done: "
            "set DB_DIRECT_HOST, or a default_pool_size of 2 or more."
        ) from error


@contextmanager
def _kept_alive(holder: "BaseDatabaseWrapper") -> Iterator[None]:
    """Have the holder ask something now and again, lest a pooler's ``idle_transaction_timeout`` end it.

    No index waits for that: it is over at once, and between two askings the transaction has no snapshot.
    """
    raw = holder.connection

    def ask() -> None:
        # If it fails the lock is lost, which is reported when the migrations have ended.
        with suppress(Exception), raw.cursor() as cursor:
            cursor.execute("SELECT 1")

    with repeating(ask, after=_POLL_INTERVAL, every=_POLL_INTERVAL):
        yield


def _acquire(
    holder: "BaseDatabaseWrapper",
    timeout: float,
    report: Callable[[str], object],
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> None:
    started, reported_at = clock(), None
    holder.set_autocommit(False)  # the transaction lasts until the connection is closed, or rolled back
    while True:
        with holder.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            # The holder is idle for as long as the migrations take.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_KEY])
            if cursor.fetchone() == (True,):
                return
            process = _describe_holder(cursor)
        holder.rollback()
        waited = clock() - started
        if waited >= timeout:
            raise MigrationLockError(
                f"Another process ({process}) has been migrating this database for {waited:.0f} s and more; nothing "
                "was done here. Let it finish, or wait longer: --lock-timeout SECONDS."
            )
        if reported_at is None or waited - reported_at >= _REPORT_INTERVAL:
            reported_at = waited
            progress = f"{waited:.0f} s of {timeout:g} s"
            report(f"Another process ({process}) is migrating this database: waiting for it, {progress}")
        sleep(min(_POLL_INTERVAL, max(timeout - waited, 0)))


def _describe_holder(cursor: Any) -> str:
    cursor.execute(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (classid::bigint << 32 | objid::bigint) = %s",
        [_KEY],
    )
    row = cursor.fetchone()
    return f"server process {row[0]}" if row else "just ended"
