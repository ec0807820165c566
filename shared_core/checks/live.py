"""Checks of a pooler that is running: ``manage.py check --database default`` and ``migrate`` run them.

They query on connections of their own, each query a transaction, and close them. What one client cannot know for sure:

shared   In transaction mode clients share server connections: sooner or later one client meets two, or two clients
         meet one. In session mode, and without a pooler, they never do. Behind one address may stand several poolers,
         each with clients of its own: so up to five are asked, of whom two then share one. More poolers look like
         session mode; where no server connection is free for a client, nothing is said.
leaked   A setting of the source ``session`` that differs from what the session began with was SET by somebody before.
         Clients are asked while the earlier ones hold a transaction, so that they meet several server connections;
         others there may be. What PgBouncer's own ``connect_query`` sets looks the same. PgBouncer keeps TimeZone and
         its like apart, so those are not asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from shared_core.checks import catalogue
from shared_core.checks.databases import is_pooled
from shared_core.databases.aborting import abort_after
from shared_core.logs.redaction import mask_text

_CLIENTS = 5
_OLDEST_VERSION = (14, 0)
_CONNECT_TIMEOUT = 5  # seconds, for each address; unless OPTIONS say otherwise
_ANSWER_TIMEOUT = 8.0  # seconds
_WAIT_TIMEOUT = 0.5  # seconds for a server connection that may not be free: meanwhile others are kept
_MAX_REASON_LENGTH = 300  # characters

_LEAKING = (
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "row_security",
    "search_path",
    "statement_timeout",
)
# A role's own setting may be another role, in all its sessions.
_QUERY = """
SELECT pg_backend_pid(), ARRAY(
    SELECT name || ' = ' || setting FROM pg_settings
    WHERE name = ANY(%s) AND source = 'session' AND setting IS DISTINCT FROM reset_val
    UNION ALL
    SELECT 'role = ' || current_user
    WHERE current_user <> session_user AND NOT EXISTS (
        SELECT FROM pg_db_role_setting LEFT JOIN pg_roles ON pg_roles.oid = setrole, unnest(setconfig) AS line
        WHERE starts_with(line, 'role=') AND (setrole = 0 OR rolname = session_user)
    )
)
"""


def check_live(*, databases: Sequence[str] | None = None, **_: object) -> Iterator[CheckMessage]:
    """Yield what is wrong with these databases as they run."""
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "postgresql":
            with ExitStack() as opened:
                yield from _check_database(connection, opened)


def _check_database(connection: BaseDatabaseWrapper, opened: ExitStack) -> Iterator[CheckMessage]:
    alias = connection.alias
    try:
        first = opened.enter_context(open_client(connection, _ANSWER_TIMEOUT))
        version = first.get_database_version()
        if version < _OLDEST_VERSION:
            yield catalogue.OLD_POSTGRESQL.found(f"{alias} is PostgreSQL {'.'.join(map(str, version))}")
        if not is_pooled(connection.settings_dict):
            return
        _query(first, _ANSWER_TIMEOUT)
    except NotSupportedError as error:  # Django refuses it
        yield catalogue.OLD_POSTGRESQL.found(f"{alias}: {_reason(error)}")
        return
    except (Error, ImproperlyConfigured) as error:
        yield catalogue.UNREACHABLE.found(f"{alias}: {_reason(error)}", alias=alias)
        return
    clients = [first, *_open_others(connection, opened)]
    if len(clients) == _CLIENTS and not _share_connections(clients):
        yield catalogue.NOT_SHARED.found(f"each client of {alias} keeps a server connection")
    if leaked := sorted(_leaked_settings(clients)):
        yield catalogue.LEAKED.found(f"{alias} has {', '.join(leaked)}", setting=leaked[0].partition(" ")[0])


def clients_share_connections(connection: BaseDatabaseWrapper, timeout: float) -> bool | None:
    """Say whether clients share server connections, as in transaction mode; None where too few got one to tell.

    Args:
        connection: Of PostgreSQL; new ones like it are opened and closed.
        timeout: Seconds for the first one's answer.

    Raises:
        Error: The database does not answer.
    """
    with ExitStack() as opened:
        first = opened.enter_context(open_client(connection, timeout))
        _query(first, timeout)
        clients = [first, *_open_others(connection, opened)]
        return _share_connections(clients) if len(clients) == _CLIENTS else None


def _reason(error: Exception) -> str:
    return mask_text(" ".join(str(error).split()))[:_MAX_REASON_LENGTH].rstrip(".") or type(error).__name__


def _open_others(connection: BaseDatabaseWrapper, opened: ExitStack) -> Iterator[BaseDatabaseWrapper]:
    """Yield further clients that have a server connection when they ask; fewer where none is free, or none is taken."""
    with suppress(Error):
        for _ in range(_CLIENTS - 1):
            client = opened.enter_context(open_client(connection, _WAIT_TIMEOUT))
            _query(client, _WAIT_TIMEOUT)
            yield client


def _share_connections(clients: Iterable[BaseDatabaseWrapper]) -> bool:
    """Say whether a client met two server connections, or two clients met one."""
    try:
        # Each twice at once: a pooler that goes round gives it two.
        met = [{_query(client, _WAIT_TIMEOUT)[0] for _ in range(2)} for client in clients]
    except Error:  # it has to wait for one that it had: others have it now
        return True
    return any(len(servers) > 1 for servers in met) or len(set.union(*met)) < len(met)


def _leaked_settings(clients: Sequence[BaseDatabaseWrapper]) -> set[str]:
    """Return the settings that were left on the server connections that these clients get, as ``name = value``."""
    found: set[str] = set()
    with suppress(Error):  # the earlier ones hold all there are
        for client in clients:
            client.set_autocommit(False)  # the transaction keeps its server connection
            found.update(_query(client, _WAIT_TIMEOUT)[1])
    for client in clients:
        with suppress(Error):
            client.rollback()  # a pooler ends the server connection of who leaves inside a transaction
    return found


def _query(client: BaseDatabaseWrapper, timeout: float) -> tuple[int, list[str]]:
    """Return which server process answers, and what was left there."""
    with abort_after(timeout, client), client.cursor() as cursor:
        cursor.execute(_QUERY, [list(_LEAKING)])
        process, leaked = cursor.fetchone() or (0, [])
        return process, leaked


@contextmanager
def open_client(connection: BaseDatabaseWrapper, timeout: float) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection like this one, but for what would spoil the question."""
    client = connection.copy()
    options: dict[str, Any] = client.settings_dict["OPTIONS"]
    for name in ("pool", "assume_role", "isolation_level"):
        options.pop(name, None)
    options.setdefault("connect_timeout", _CONNECT_TIMEOUT)
    client.settings_dict["CONN_HEALTH_CHECKS"] = False
    try:
        with abort_after(timeout, client):
            client.ensure_connection()
        yield client
    finally:
        with suppress(Error):  # what was cut off cannot be closed in order
            client.close()
