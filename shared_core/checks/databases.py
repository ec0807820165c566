"""Checks that DATABASES fit a pooler in transaction mode. They connect to nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from shared_core.checks import catalogue
from shared_core.databases.configuration import is_psycopg_3, pooler_prepares
from shared_core.environment import read

_ENGINES = ("postgresql", "postgis")  # also those that instrument Django's
_RUNNERS = ("shared_core.testing.PoolerTestRunner", "shared_core.testing.databases.PoolerTestRunner")
_DJANGOS_RUNNER = "django.test.runner.DiscoverRunner"


def is_pooled(database: Mapping[str, Any]) -> bool:
    """Say whether one of DATABASES is PostgreSQL behind a transaction pooler: unless DB_POOL_MODE says ``none``."""
    return _is_postgresql(database) and read("DB_POOL_MODE") != "none"


def check_databases(**_: object) -> Iterator[CheckMessage]:
    """Yield what is wrong with DATABASES and TEST_RUNNER."""
    databases = connections.settings
    for alias, database in databases.items():
        if _is_postgresql(database):
            yield from _check_each(alias, database)
        if is_pooled(database):
            yield from _check_pooled(alias, database)
    if any(map(is_pooled, databases.values())) and not _is_pooler_runner(settings.TEST_RUNNER):
        yield catalogue.TEST_RUNNER.found(f"TEST_RUNNER is {settings.TEST_RUNNER!r}")


def _is_postgresql(database: Mapping[str, Any]) -> bool:
    return str(database["ENGINE"]).endswith(_ENGINES)


def _check_each(alias: str, database: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """Yield what is wrong with or without a pooler."""
    detail, is_kept = f'DATABASES["{alias}"]', database.get("CONN_MAX_AGE") != 0
    if database["OPTIONS"].get("pool") and is_kept:
        yield catalogue.POOL_AND_MAX_AGE.found(detail, alias=alias)
    elif is_kept and not database.get("CONN_HEALTH_CHECKS"):
        yield catalogue.HEALTH_CHECKS.found(detail, alias=alias)


def _check_pooled(alias: str, database: Mapping[str, Any]) -> Iterator[CheckMessage]:
    detail, options = f'DATABASES["{alias}"]', database["OPTIONS"]
    if not database.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield catalogue.SERVER_SIDE_CURSORS.found(detail, alias=alias)
    if options.get("options"):
        yield catalogue.STARTUP_OPTIONS.found(detail, alias=alias)
    if _prepares(options) and not _pooler_prepares():
        yield catalogue.PREPARED_STATEMENTS.found(detail, alias=alias)
    if role := options.get("assume_role"):
        yield catalogue.ASSUMED_ROLE.found(detail, alias=alias, role=str(role))
    if database.get("ATOMIC_REQUESTS"):
        yield catalogue.ATOMIC_REQUESTS.found(detail, alias=alias)


def _prepares(options: Mapping[str, Any]) -> bool:
    # Django's cursors bind on the client unless told, and then psycopg prepares nothing, whatever the threshold.
    return (
        is_psycopg_3() and options.get("server_side_binding") is True and options.get("prepare_threshold") is not None
    )


def _pooler_prepares() -> bool:
    try:
        return pooler_prepares()
    except ImproperlyConfigured:  # PGBOUNCER_VERSION is no version
        return False


def _is_pooler_runner(runner: str) -> bool:
    if runner in _RUNNERS or runner == _DJANGOS_RUNNER:
        return runner in _RUNNERS  # without importing it, which takes longer than all other checks
    try:
        bases = import_string(runner).__mro__
    except (ImportError, AttributeError):
        return False
    return any(f"{base.__module__}.{base.__qualname__}" in _RUNNERS for base in bases)
