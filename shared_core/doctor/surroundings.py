"""Reports what the service runs with: versions, and the variables that are set."""

import os
import platform
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import django
import requests
import urllib3

import shared_core
from shared_core.databases.configuration import is_psycopg_3
from shared_core.doctor.lines import Line, describe_error, environment_values
from shared_core.environment import names_beginning_with, settings_file
from shared_core.logs.redaction import MASK, is_secret_key, mask_text, redact_url
from shared_core.origins import SETTING_SUFFIX

# README.md says what each means.
VARIABLES = (
    "DJANGO_SETTINGS_MODULE",
    "ENVIRONMENT",
    "SECRET_KEY",
    "SECRET_KEY_FILE",
    "ALLOWED_HOSTS",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "DB_HOST",
    "DB_PORT",
    "DATABASE_URL",
    "DB_SSLMODE",
    "DB_SSLROOTCERT",
    "DB_SSLCERT",
    "DB_SSLKEY",
    "DB_DIRECT_HOST",
    "DB_DIRECT_PORT",
    "DB_POOL_MODE",
    "DB_SERVER_SIDE_BINDING",
    "PGBOUNCER_VERSION",
    "SERVICE_ACCEPTED_TOKENS",
    "SERVICE_ACCEPTED_TOKENS_DIR",
    "SERVICE_AUTH_TOKEN",
    "CACHE_URL",
    "SERVICE_NAME",
    "LOG_LEVEL",
    "LOG_LEVELS",
    "LOG_FORMAT",
    "LOG_FILE",
)
_PREFIX = "DATABASE_URL_"


def versions() -> Iterator[Line]:
    """Yield the versions of what is installed here."""
    found = [f"Python {platform.python_version()}", f"Django {django.get_version()}"]
    found += [f"{package.__name__} {package.__version__}" for package in (shared_core, requests, urllib3)]
    try:
        yield Line("ok", "versions", ", ".join([*found, _driver()]))
    except ImportError as error:
        yield Line("ok", "versions", ", ".join(found))
        hint = "Install it: pip install -e 'services/shared[postgres]'"
        yield Line("FAIL", "versions", f"psycopg cannot be imported ({describe_error(error)})", hint)


def _driver() -> str:
    """Return the versions of the driver and of libpq."""
    if is_psycopg_3():
        import psycopg  # noqa: PLC0415  # an extra

        return f"psycopg {psycopg.__version__}, libpq {_libpq(psycopg.pq.version())}"
    import psycopg2  # type: ignore[import-untyped]  # noqa: PLC0415  # as above

    return f"psycopg2 {psycopg2.__version__.partition(' ')[0]}, libpq {_libpq(psycopg2.__libpq_version__)}"


def _libpq(number: int) -> str:
    # PQlibVersion: 160004 is 16.4.
    return f"{number // 10000}.{number % 10000}"


def variables() -> Iterator[Line]:
    """Yield the variables that this package reads and that are set, without their secrets."""
    file = settings_file()
    yield Line("ok", "variables", f"{file} is read, and the environment wins" if file else "no .env is here or above")
    try:
        names_beginning_with("")
    except (OSError, ValueError) as error:
        yield Line(
            "FAIL", "variables", f"{file} cannot be read: {describe_error(error)}", "Fix it, or make it readable"
        )
    found = environment_values()
    others = sorted(name for name in found if name.startswith(_PREFIX) or name.endswith(SETTING_SUFFIX))
    for name in (*VARIABLES, *others):
        if value := found.get(name):
            where = "environment" if name in os.environ else file.name if file else ""
            yield Line("ok", "variables", f"{name}={display_value(name, value)} ({where})")


def display_value(name: str, value: str) -> str:
    """Return of a variable's value what may be seen."""
    if is_secret_key(name):
        return MASK
    if "URL" not in name:
        return MASK if "@" in value else mask_text(value)  # as of a URL that was cut
    try:
        parts = urlsplit(value)
        # What is no port, or an @ in or behind the host, may be of a password that was quoted wrongly.
        after = f"{parts.hostname}{parts.path}{parts.query}{parts.fragment}"
        is_clear = parts.port is not False and "@" not in unquote(after)
    except ValueError:
        is_clear = False
    return redact_url(value) if is_clear and parts.hostname else MASK
