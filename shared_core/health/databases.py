"""Does a database answer, and has it all migrations? One query tells both, on a connection of the probe's own.

That is kept between two askings for as long as Django would keep it. Where a pooler accepts and never answers, it is
cut off from the side, and no request's work with it.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import DatabaseError, Error, OperationalError, connections

from shared_core import conf
from shared_core.health.probes import Probe, reason_of

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_WITHIN = 3.0  # seconds
_CONNECT_WITHIN = 2  # seconds, for each address; libpq's shortest

# Another with each migration that is applied or taken back.
_STATE = "SELECT count(*), max(id) FROM django_migrations"
_NOTHING_KNOWN = object()


class DatabaseProbe(Probe):
    """Asks one of DATABASES.

    Migrations are asked for in the default database, and in those others that have Django's table of them.
    """

    def __init__(self, alias: str) -> None:
        suffix = "" if alias == "default" else f":{alias}"
        self._alias, self._name, self._migrations = alias, f"database{suffix}", f"migrations{suffix}"
        self._socket: socket.socket | None = None  # of the connection, by a descriptor of our own
        self._is_cut = False
        self._known: tuple[object, str] = (_NOTHING_KNOWN, "")  # a state of the migrations, and what is wrong in it
        super().__init__((self._name, self._migrations), _WITHIN)

    def cut(self) -> None:
        """End a query that hangs."""
        self._is_cut = True
        if (handle := self._socket) is not None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def ask(self) -> Mapping[str, str]:
        """Return what has failed."""
        self._is_cut = False
        connection = connections[self._alias]  # this thread's
        try:
            state = self._state(connection)
            known, missing = self._known
            if state != known:
                missing = self._missing(connection, state)
        except BaseException:
            self._close(connection)
            raise
        # As Django does after a request. In tests none is kept: nobody drops a database that somebody is connected to.
        if _is_over(connection) or conf.is_suite():
            self._close(connection)
        return {self._migrations: missing} if missing else {}

    def _state(self, connection: "BaseDatabaseWrapper") -> object:
        """Return what changes with the migrations; None where there is no table of them."""
        if connection.connection is not None and not _is_over(connection):
            try:
                return _read(connection)
            except Error:
                # The pooler was restarted, perhaps. The query only reads: it may be sent again.
                if self._is_cut:
                    raise
        self._close(connection)
        self._connect(connection)
        return _read(connection)

    def _connect(self, connection: "BaseDatabaseWrapper") -> None:
        settings = connection.settings_dict = {**connections.settings[self._alias]}
        settings |= {"AUTOCOMMIT": True, "CONN_HEALTH_CHECKS": False}  # the query is one
        if connection.vendor == "postgresql":
            options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
            settings["OPTIONS"] = {**options, "connect_timeout": _CONNECT_WITHIN}
            connection.connect()
            self._socket = socket.socket(fileno=os.dup(connection.connection.fileno()))
        if self._is_cut:
            raise OperationalError("it connected too late")

    def _close(self, connection: "BaseDatabaseWrapper") -> None:
        if (handle := self._socket) is not None:
            self._socket = None
            handle.close()
        with contextlib.suppress(Error):  # what is lost already cannot be closed in order
            connection.close()

    def _missing(self, connection: "BaseDatabaseWrapper", state: object) -> str:
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
            return reason_of(error)
        first = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        missing = f"{len(plan)} not applied: {first}{', …' if len(plan) > 5 else ''}" if plan else ""
        self._known = state, missing
        return missing


def _read(connection: "BaseDatabaseWrapper") -> object:
    with connection.cursor() as cursor:
        try:
            cursor.execute(_STATE)
        except DatabaseError:
            if "django_migrations" in connection.introspection.table_names(cursor):
                raise
            return None
        return cursor.fetchone()


def _is_over(connection: "BaseDatabaseWrapper") -> bool:
    return connection.close_at is not None and time.monotonic() >= connection.close_at


_probes: dict[str, DatabaseProbe] = {}


def database_probes() -> list[DatabaseProbe]:
    """Return those of all DATABASES."""
    return [_probes.get(alias) or _probes.setdefault(alias, DatabaseProbe(alias)) for alias in connections]
