"""The DATABASES of a service whose PostgreSQL stands behind PgBouncer in transaction pooling.

A server connection serves one transaction, then the next client. So whatever outlives a transaction is lost, or met
by a stranger: server-side cursors, prepared statements, ``SET``, advisory locks of the session.
"""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import names_beginning_with, read

_EXAMPLE = "postgresql://user:password@host:6432/name"
_PARTS = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT")
_SSL_PARTS = ("DB_SSLMODE", "DB_SSLROOTCERT", "DB_SSLCERT", "DB_SSLKEY")
_URL_OF = "DATABASE_URL_"

_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_POOL_MODES = ("transaction", "none")

# The first PgBouncer that keeps prepared statements apart: https://www.pgbouncer.org/changelog.html
_PREPARES_SINCE = (1, 21)

# How often a statement is sent before it is prepared: psycopg's own number, which Django leaves out.
_PREPARED_AFTER = 5

# A pooler that accepts and says nothing, or is gone without a word, is an error after so long.
_CONNECT_WITHIN = 5  # seconds
_ANSWERS_WITHIN = 30_000  # milliseconds for sent data to be acknowledged


def get_database_config() -> dict[str, dict[str, Any]]:  # Any: Django's DATABASES
    """Return DATABASES, from DB_NAME, DB_USER, DB_PASSWORD, DB_HOST and DB_PORT, or from DATABASE_URL.

        DATABASES = get_database_config()

    DB_HOST and DB_PORT are PgBouncer's. DB_DIRECT_HOST and DB_DIRECT_PORT name the way round it, for what needs a
    session of its own; they are kept as ``DATABASES["default"]["DIRECT"]``. DB_SSLMODE, DB_SSLROOTCERT, DB_SSLCERT and
    DB_SSLKEY are libpq's; in a URL they stand in the query, as all of its parameters do.

    ``DATABASE_URL_REPORTS`` adds the database ``reports``. One whose name begins with ``replica`` is read from only: in
    tests it is the default one (Django's TEST MIRROR).

    DB_POOL_MODE says what stands between: ``transaction`` (unset), or ``none`` where there is no pooler. With
    ``DB_SERVER_SIDE_BINDING=true``, Django's ``server_side_binding``, statements that are sent often are prepared: not
    behind a pooler, unless PGBOUNCER_VERSION says 1.21 or later.

    Raises:
        ImproperlyConfigured: A value is missing or wrong, or both ways are used; the message names each.
    """
    url = read("DATABASE_URL")
    if url and (both := [name for name in (*_PARTS, *_SSL_PARTS) if read(name)]):
        raise ImproperlyConfigured(f"DATABASE_URL and {', '.join(both)} are both set: keep one way.")
    database = _from_url("DATABASE_URL", url) if url else _from_parts()
    if host := read("DB_DIRECT_HOST"):
        database["DIRECT"] = {"HOST": host, "PORT": _port("DB_DIRECT_PORT", read("DB_DIRECT_PORT", "5432"))}
    elif read("DB_DIRECT_PORT"):
        raise ImproperlyConfigured("DB_DIRECT_PORT is set without DB_DIRECT_HOST: set both, or none.")
    return {"default": database, **_others()}


def _others() -> dict[str, dict[str, Any]]:
    """Return what ``DATABASE_URL_<ALIAS>`` adds."""
    found = {}
    for name in names_beginning_with(_URL_OF):
        alias = name.removeprefix(_URL_OF).lower()
        if not alias or alias == "default":
            raise ImproperlyConfigured(f"{name} names no further database: the default one is DATABASE_URL.")
        if url := read(name):
            found[alias] = _from_url(name, url)
            if alias.startswith("replica"):
                found[alias]["TEST"] = {"MIRROR": "default"}
    return found


def _from_parts() -> dict[str, Any]:
    values = {name: read(name) for name in _PARTS}
    missing = [name for name in ("DB_NAME", "DB_USER", "DB_HOST") if not values[name]]
    # Over TCP a password may be empty, but not forgotten; a socket knows its user.
    if not values["DB_HOST"].startswith("/") and read("DB_PASSWORD", "\0") == "\0":
        missing.append("DB_PASSWORD")
    if missing:
        raise ImproperlyConfigured(
            f"The database needs {', '.join(missing)} (or DATABASE_URL alone) in the environment."
        )
    return _database(
        "DB_SSLMODE",
        name=values["DB_NAME"],
        user=values["DB_USER"],
        password=values["DB_PASSWORD"],
        host=values["DB_HOST"],
        port=_port("DB_PORT", values["DB_PORT"]),
        options={part.removeprefix("DB_").lower(): value for part in _SSL_PARTS if (value := read(part))},
    )


def _from_url(variable: str, url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port
        # To libpq a plus is a plus.
        query = parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # Without the cause: its text may hold the password.
        raise ImproperlyConfigured(
            f"{variable} is no URL, its port is no number, or its query is none; write {_EXAMPLE}"
        ) from None
    options = dict(query)
    # Where Django looks for them: among OPTIONS, dbname would be the tests' database too.
    given = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": unquote(parts.hostname or ""),
        "port": "" if port is None else str(port),
        "dbname": unquote(parts.path.removeprefix("/")),
    }
    if twice := [name for name in given if given[name] and name in options]:
        raise ImproperlyConfigured(f"{variable} has {', '.join(twice)} both before and in its query: keep one.")
    given |= {name: options.pop(name) for name in given if name in options}
    if parts.scheme not in {"postgresql", "postgres"} or not given["host"] or not given["dbname"]:
        raise ImproperlyConfigured(f"{variable} must name scheme, host and database, like {_EXAMPLE}")
    if unknown := _unknown(options):
        raise ImproperlyConfigured(f"{variable} has parameters that libpq does not know: {', '.join(unknown)}.")
    return _database(
        variable,
        name=given["dbname"],
        user=given["user"],
        password=given["password"],
        host=given["host"],
        port=_port(f"the port of {variable}", given["port"]),
        options=options,
    )


def _unknown(options: Iterable[str]) -> list[str]:
    """Return the parameters that the installed libpq would refuse at connect."""
    try:
        from psycopg import pq  # noqa: PLC0415  # an extra
    except ImportError:
        return []
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return sorted(set(options) - known)


def _database(
    source: str, *, name: str, user: str, password: str, host: str, port: str, options: dict[str, str]
) -> dict[str, Any]:
    if (mode := options.get("sslmode")) is not None and mode not in _SSLMODES:
        raise ImproperlyConfigured(f"{source}: sslmode={mode!r} is none of {', '.join(_SSLMODES)}.")
    database: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        # Kept, to the pooler, which is cheap to hold; checked, because poolers restart.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": _CONNECT_WITHIN, "tcp_user_timeout": _ANSWERS_WITHIN, **options},
    }
    pool_mode = read("DB_POOL_MODE") or "transaction"
    if pool_mode not in _POOL_MODES:
        raise ImproperlyConfigured(f"DB_POOL_MODE={pool_mode!r} is none of {', '.join(_POOL_MODES)}.")
    if is_psycopg_3():
        # A prepared statement is known to one server connection only.
        prepares = pool_mode == "none" or pooler_prepares()
        database["OPTIONS"] |= {"prepare_threshold": _PREPARED_AFTER if prepares else None, **_binding()}
    return _behind_pooler(source, database) if pool_mode == "transaction" else database


def _binding() -> dict[str, bool]:
    text = read("DB_SERVER_SIDE_BINDING").lower()
    if text not in {"", "true", "false"}:
        raise ImproperlyConfigured(f"DB_SERVER_SIDE_BINDING={text!r} must be true or false.")
    return {"server_side_binding": True} if text == "true" else {}


def _behind_pooler(source: str, database: dict[str, Any]) -> dict[str, Any]:
    if "options" in database["OPTIONS"]:
        raise ImproperlyConfigured(
            f"{source} has the parameter options, which PgBouncer refuses at connect. For a block of code write "
            "shared_core.databases.local_settings; for good, run what `manage.py role_settings` prints."
        )
    # `iterator()` would open a cursor on one server connection and fetch from it on another.
    return {**database, "DISABLE_SERVER_SIDE_CURSORS": True}


def pooler_prepares() -> bool:
    """Say whether PGBOUNCER_VERSION says that the pooler keeps prepared statements apart.

    Raises:
        ImproperlyConfigured: It is no version.
    """
    version = read("PGBOUNCER_VERSION")
    if not version:
        return False
    if (match := re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})(\.[0-9]{1,3})?", version, re.ASCII)) is None:
        raise ImproperlyConfigured(f"PGBOUNCER_VERSION={version!r} is no version: write one like 1.24.")
    return (int(match[1]), int(match[2])) >= _PREPARES_SINCE


def is_psycopg_3() -> bool:
    """Say whether Django uses psycopg 3."""
    # As Django chooses: psycopg2 only where there is no psycopg.
    return find_spec("psycopg") is not None or find_spec("psycopg2") is None


def _port(name: str, text: str) -> str:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ImproperlyConfigured(f"{name}={text!r} is no port: write a number from 1 to 65535.")
    return text
