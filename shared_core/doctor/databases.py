"""Checks each database: whether it answers, through which pooler, and whether all migrations are applied."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_core.checks import catalogue
from shared_core.checks.databases import is_pooled
from shared_core.checks.live import clients_share_connections, open_client
from shared_core.doctor.lines import Line, describe_error, sanitize
from shared_core.health.databases import DatabaseProbe

_TIMEOUT = 3.0  # seconds, for what is asked once the database has answered
_CONNECT_TIMEOUT = 2  # seconds


def topic_of(alias: str) -> str:
    """Return what the lines of a database begin with."""
    return "database" if alias == "default" else f"database:{alias}"


def check_database(alias: str, *, migrations: bool) -> Iterator[Line]:
    """Yield what is to be said of a database, and of its migrations where these are known."""
    topic = topic_of(alias)
    finding = DatabaseProbe(alias).start().wait()
    failed = {name.partition(":")[0]: sanitize(reason) for name, reason in finding.failed.items()}
    if "database" in failed:
        yield Line("FAIL", topic, failed["database"], catalogue.UNREACHABLE.hint.format(alias=alias))
        return
    connection = connections[alias]
    try:
        yield Line("ok", topic, f"{_server(connection)} answers in {finding.ms:.0f} ms")
        if connection.vendor == "postgresql":
            yield from _pooler(connection, topic)
    except (Error, ImproperlyConfigured) as error:
        yield Line("FAIL", topic, describe_error(error), catalogue.UNREACHABLE.hint.format(alias=alias))
    if not migrations:
        return
    if "migrations" in failed:
        yield Line("FAIL", topic, f"migrations: {failed['migrations']}", "Run python manage.py migrate")
    else:
        yield Line("ok", topic, "all migrations are applied")


def _server(connection: BaseDatabaseWrapper) -> str:
    if connection.vendor != "postgresql":
        return connection.display_name
    with open_client(connection, _TIMEOUT) as client, client.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone() or ("",)
    return f"PostgreSQL {version}"


def _pooler(connection: BaseDatabaseWrapper, topic: str) -> Iterator[Line]:
    """Yield what stands before the server: as it is configured, and as it was met."""
    configured = "transaction" if is_pooled(connection.settings_dict) else "none"
    text = f"pool mode {configured} is configured"
    is_shared = clients_share_connections(connection, _TIMEOUT)
    if is_shared is None:
        yield Line("warn", topic, f"{text}, and not measured: no server connection was free", "Try again later")
    elif is_shared and configured == "none":
        hint = "Write DB_POOL_MODE=transaction in the environment"
        yield Line("FAIL", topic, f"{text}, but clients share server connections", hint)
    elif configured != "none" and not is_shared:
        yield Line("warn", topic, f"{text}, but each client keeps a server connection", catalogue.NOT_SHARED.hint)
    else:
        met = "clients share server connections" if is_shared else "each client keeps a server connection"
        yield Line("ok", topic, f"{text}, and was measured: {met}")
    if is_shared:
        yield Line("ok", topic, _pgbouncer(connection))


def _pgbouncer(connection: BaseDatabaseWrapper) -> str:
    """Return PgBouncer's version, of which its console tells some users."""
    driver: Any = connection.Database  # type: ignore[attr-defined]  # psycopg or psycopg2, of PostgreSQL's only
    settings = connection.settings_dict
    login = {name: settings[name.upper()] for name in ("host", "port", "user", "password") if settings[name.upper()]}
    login |= {name: value for name, value in settings["OPTIONS"].items() if name.startswith("ssl")}
    try:
        console = driver.connect(dbname="pgbouncer", connect_timeout=_CONNECT_TIMEOUT, **login)
    except driver.Error:
        return f"PgBouncer does not tell {settings['USER']} its version, but admin_users and stats_users"
    try:
        console.autocommit = True  # it knows no BEGIN
        cursor = console.cursor()
        cursor.execute("SHOW VERSION")
        return str(cursor.fetchone()[0])
    except driver.Error as error:
        return f"PgBouncer's version cannot be seen: {describe_error(error)}"
    finally:
        console.close()
