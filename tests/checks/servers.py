"""A PgBouncer beside a stack's, of another kind; clients that are not Django's."""

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.stack import servers


@contextmanager
def another_pgbouncer(stack, pool_size=20, **settings):
    """Yield the port of one before the same PostgreSQL; ``settings`` stand in its ini, over those of the stack."""
    login = stack.environment
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=stack.folder))
    servers.give_to_ordinary_user(folder)

    def make(port):
        process = servers.pgbouncer(
            servers.find_pgbouncer(), folder, port, int(login["DB_DIRECT_PORT"]), login["DB_PASSWORD"], pool_size
        )
        with (folder / "pgbouncer.ini").open("a") as ini:
            ini.writelines(f"{name} = {value}\n" for name, value in settings.items())
        return process

    names = {"user": login["DB_USER"], "password": login["DB_PASSWORD"], "dbname": login["DB_NAME"]}
    process, port = servers.start(make, names)
    try:
        yield port
    finally:
        process.stop()


def session_mode(stack):
    return another_pgbouncer(stack, pool_mode="session")


@contextmanager
def open_client(stack, port=None, dbname=None):
    """Yield a connection that is not Django's."""
    login = stack.environment
    with psycopg.connect(
        host="127.0.0.1",
        port=port or login["DB_PORT"],
        user=login["DB_USER"],
        password=login["DB_PASSWORD"],
        dbname=dbname or login["DB_NAME"],
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.ClientCursor,  # the console has the simple protocol only
    ) as client:
        yield client


def reconnect(stack):
    """Have PgBouncer end its server connections."""
    with open_client(stack, dbname="pgbouncer") as console:
        console.execute("RECONNECT")
        while any(row[0] == "S" for row in console.execute("SHOW SERVERS")):
            time.sleep(0.05)
