"""Tests of code whose transactions may each run on another server connection.

@pytest.mark.through_pooler
def test_all_tickets_are_exported():
    ...

Behind PgBouncer in transaction mode it may; but a pooler gives a client that is alone the same server connection again
and again, so that what was left on it (a SET, an advisory lock, a cursor, a prepared statement) is found by luck. Here
it never is: between two transactions of the test, another client takes the server connection that was used.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_core.checks.live import clients_share_connections, open_client
from shared_core.databases.aborting import abort_after

_TIMEOUT = 5.0  # seconds, for a server connection
_IDLE = 0  # libpq's PQTRANS_IDLE, as psycopg and psycopg2 tell it


def find_pooler_error(connection: BaseDatabaseWrapper) -> str:
    """Return why no test of this connection can be one through a pooler; nothing where it can."""
    if connection.vendor != "postgresql":
        return f"the database is {connection.display_name}"
    try:
        shared = clients_share_connections(connection, _TIMEOUT)
    except Error as error:
        return f"the database does not answer: {' '.join(str(error).split())}"
    if shared is False:
        return "each client keeps a server connection: there is no pooler, or none in transaction mode"
    try:
        with _holders(connection) as (first, second):
            _hold(first)
            _hold(second)
    except Error:
        return "the pooler has no two server connections free: raise its default_pool_size"
    return ""


@contextmanager
def switch_server_connections(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Have each transaction of ``connection`` in the block on another server connection than the one before."""
    # Whoever holds a server connection keeps the test off it. PgBouncer gives out what came back last, so the second
    # takes what the test has just used, before the first lets go of what the test gets next.
    with _holders(connection) as holders:
        _hold(holders[0])
        used = False

        def switching(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
            nonlocal used
            if used and _is_idle(connection):
                _swap()
            used = True
            try:
                return execute(sql, params, many, context)
            finally:
                if _is_idle(connection):  # it was a transaction by itself; a cursor WITH HOLD asks on
                    _swap()
                    used = False

        def _swap() -> None:
            _hold(holders[1])
            holders[0].rollback()
            holders.reverse()

        with connection.execute_wrapper(switching):
            yield


@contextmanager
def _holders(connection: BaseDatabaseWrapper) -> Iterator[list[BaseDatabaseWrapper]]:
    """Yield two clients like this one, for which each statement begins a transaction."""
    with ExitStack() as opened:
        clients = [opened.enter_context(open_client(connection, _TIMEOUT)) for _ in range(2)]
        for client in clients:
            client.set_autocommit(False)
        try:
            yield clients
        finally:
            for client in clients:
                with suppress(Error):  # a pooler ends the server connection of who leaves inside a transaction
                    client.rollback()


def _hold(client: BaseDatabaseWrapper) -> None:
    with abort_after(_TIMEOUT, client), client.cursor() as cursor:
        cursor.execute("SELECT 1")


def _is_idle(connection: BaseDatabaseWrapper) -> bool:
    return connection.connection is None or connection.connection.info.transaction_status == _IDLE
