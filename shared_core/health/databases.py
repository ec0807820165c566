"""The probe of a database: one query shows whether it answers and whether all migrations are applied.

The probe has a connection of its own, and keeps it between two runs for as long as Django would. If a pooler accepts
the connection and never answers, another thread shuts the connection down. Requests have other connections.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import DatabaseError, Error, OperationalError, connections

from shared_core import conf
from shared_core.health.probes import Probe, describe_error

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_TIMEOUT = 3.0  # seconds
_CONNECT_TIMEOUT = 2  # seconds, for each address; libpq's shortest

# Another with each migration that is applied or taken back.
_MIGRATION_STATE = "SELECT count(*), max(id) FROM django_migrations"
_UNKNOWN = object()


class DatabaseProbe(Probe):
    """Asks one of DATABASES.

    Migrations are asked for in the default database, and in those others that have Django's table of them.
    """

    def __init__(self, alias: str) -> None:
        suffix = "" if alias == "default" else f":{alias}"
        self._alias, self._name, self._migrations = alias, f"database{suffix}", f"migrations{suffix}"
        self._socket: socket.socket | None = None  # of the connection, by a descriptor of our own
        self._is_aborted = False
        self._known: tuple[object, str] = (_UNKNOWN, "")  # a state of the migrations, and what is wrong in it
        super().__init__((self._name, self._migrations), _TIMEOUT)

    def abort(self) -> None:
        """End a query that hangs."""
        self._is_aborted = True
        if (handle := self._socket) is not None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def check(self) -> Mapping[str, str]:
        """Return what has failed."""
        self._is_aborted = False
        connection = connections[self._alias]  # this thread's
        try:
            state = self._read_state(connection)
            known, missing = self._known
            if state != known:
                missing = self._describe_missing(connection, state)
        except BaseException:
            self._close(connection)
            raise
        # As Django does after a request. In tests none is kept: nobody drops a database that somebody is connected to.
        if _has_expired(connection) or conf.is_test_run():
            self._close(connection)
        return {self._migrations: missing} if missing else {}

    def _read_state(self, connection: "BaseDatabaseWrapper") -> object:
        """Return what changes with the migrations; None where there is no table of them."""
        if connection.connection is not None and not _has_expired(connection):
            try:
                return _query_state(connection)
            except Error:
                # The pooler was restarted, perhaps. The query only reads: it may be sent again.
                if self._is_aborted:
                    raise
        self._close(connection)
        self._connect(connection)
        return _query_state(connection)

    def _connect(self, connection: "BaseDatabaseWrapper") -> None:
        settings = connection.settings_dict = {**connections.settings[self._alias]}
        settings |= {"AUTOCOMMIT": True, "CONN_HEALTH_CHECKS": False}  # the query is one
        if connection.vendor == "postgresql":
            options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
            settings["OPTIONS"] = {**options, "connect_timeout": _CONNECT_TIMEOUT}
            connection.connect()
            self._socket = socket.socket(fileno=os.dup(connection.connection.fileno()))
        if self._is_aborted:
            raise OperationalError("it connected too late")

    def _close(self, connection: "BaseDatabaseWrapper") -> None:
        if (handle := self._socket) is not None:
            self._socket = None
            handle.close()
        with contextlib.suppress(Error):  # what is lost already cannot be closed in order
            connection.close()

    def _describe_missing(self, connection: "BaseDatabaseWrapper", state: object) -> str:
        """Return what is wrong with the migrations, in words; empty where nothing is."""
        if state is None and self._alias != "default":
            return ""
        from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415  # needs the apps

        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except Error:
            raise
        except Exception as error:  # noqa: BLE001  # a migration is a program, and its graph may be inconsistent
            return describe_error(error)
        first = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        missing = f"{len(plan)} not applied: {first}{', …' if len(plan) > 5 else ''}" if plan else ""
        self._known = state, missing
        return missing


def _query_state(connection: "BaseDatabaseWrapper") -> object:
    with connection.cursor() as cursor:
        try:
            cursor.execute(_MIGRATION_STATE)
        except DatabaseError:
            if "django_migrations" in connection.introspection.table_names(cursor):
                raise
            return None
        return cursor.fetchone()


def _has_expired(connection: "BaseDatabaseWrapper") -> bool:
    return connection.close_at is not None and time.monotonic() >= connection.close_at


_probes: dict[str, DatabaseProbe] = {}


def database_probes() -> list[DatabaseProbe]:
    """Return those of all DATABASES."""
    return [_probes.get(alias) or _probes.setdefault(alias, DatabaseProbe(alias)) for alias in connections]
