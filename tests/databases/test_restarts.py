"""After PgBouncer or PostgreSQL was restarted the next request works; what cannot be sent again says so."""

import pytest
from django.db import OperationalError, close_old_connections, connections, transaction

pytestmark = pytest.mark.slow


@pytest.fixture
def restarted(alias):
    """A connection, named so, to servers that may be restarted."""
    return connections[alias("restarted")]


def restart_pgbouncer(stack):
    stack.start_pgbouncer()


def restart_postgres(stack):
    stack.start_postgres()


def ask(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


RESTARTS = pytest.mark.parametrize("restart", [restart_pgbouncer, restart_postgres])


@RESTARTS
def test_the_request_after_a_restart_works(stack, restarted, restart):
    close_old_connections()  # a request begins
    assert ask(restarted) == (1,)
    kept = restarted.connection
    close_old_connections()  # and ends; the connection is kept
    assert restarted.connection is kept

    restart(stack)

    close_old_connections()
    assert ask(restarted) == (1,)


@RESTARTS
def test_a_restart_during_a_transaction_raises_and_nothing_is_retried(stack, restarted, restart):
    with restarted.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS written (number int)")
        cursor.execute("DELETE FROM written")

    def write():
        with transaction.atomic(using="restarted"), restarted.cursor() as cursor:
            cursor.execute("INSERT INTO written VALUES (1)")
            restart(stack)
            cursor.execute("INSERT INTO written VALUES (2)")

    with pytest.raises(OperationalError):
        write()

    close_old_connections()
    with restarted.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM written")
        assert cursor.fetchone() == (0,)


def test_a_connection_that_is_never_checked_fails_the_next_request(stack, restarted):
    restarted.settings_dict |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}  # not ours
    assert ask(restarted) == (1,)

    restart_pgbouncer(stack)

    close_old_connections()
    with pytest.raises(OperationalError):
        ask(restarted)
