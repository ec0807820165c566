"""The DATABASES of a service whose PostgreSQL stands behind PgBouncer in transaction pooling.

A server connection serves one transaction, then the next client. So whatever outlives a transaction is lost, or met
by a stranger: server-side cursors, prepared statements, ``SET``, advisory locks of the session.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import read

_PARTS = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT")


def get_database_config() -> dict[str, dict[str, Any]]:  # Any: Django's DATABASES
    """Return DATABASES, from DB_NAME, DB_USER, DB_PASSWORD, DB_HOST and DB_PORT, or from DATABASE_URL.

        DATABASES = get_database_config()

    DB_HOST and DB_PORT are PgBouncer's. DB_DIRECT_HOST and DB_DIRECT_PORT name the way round it, for what needs a
    session of its own; they are kept as ``DATABASES["default"]["DIRECT"]``.

    Raises:
        ImproperlyConfigured: A value is missing or wrong, or both ways are used; the message names each.
    """
    url = read("DATABASE_URL")
    if url and (both := [name for name in _PARTS if read(name)]):
        raise ImproperlyConfigured(f"DATABASE_URL and {', '.join(both)} are both set: keep one way.")
    database = _from_url(url) if url else _from_parts()
    if host := read("DB_DIRECT_HOST"):
        database["DIRECT"] = {"HOST": host, "PORT": _port("DB_DIRECT_PORT", read("DB_DIRECT_PORT", "5432"))}
    return {"default": database}


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
    return _transaction_pooling(
        name=values["DB_NAME"],
        user=values["DB_USER"],
        password=values["DB_PASSWORD"],
        host=values["DB_HOST"],
        port=_port("DB_PORT", values["DB_PORT"]),
        options={},
    )


def _from_url(url: str) -> dict[str, Any]:
    example = "postgresql://user:password@host:6432/name"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Without the cause: its text may hold the password.
        raise ImproperlyConfigured(f"DATABASE_URL is no URL, or its port is no number; write {example}") from None
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in {"postgresql", "postgres"} or not host or not name:
        raise ImproperlyConfigured(f"DATABASE_URL must name scheme, host and database, like {example}")
    return _transaction_pooling(
        name=name,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=host,
        port=str(port or ""),
        options=options,
    )


def _transaction_pooling(
    *, name: str, user: str, password: str, host: str, port: str, options: dict[str, str]
) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        # `iterator()` would open a cursor on one server connection and fetch from it on another.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # Kept to the pooler, which is cheap to hold; checked, because poolers restart.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **options,
            # A prepared statement is known to one server connection only (PgBouncer before 1.21).
            "prepare_threshold": None,
        },
    }


def _port(name: str, text: str) -> str:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ImproperlyConfigured(f"{name}={text!r} is no port: write a number from 1 to 65535.")
    return text
