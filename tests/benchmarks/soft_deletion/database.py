"""Where is it measured? In a database of the run, through PgBouncer, dropped at its end."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import django
from django.apps import apps
from django.conf import settings
from django.db import connection, models

from shared_core.databases import get_database_config
from tests.benchmarks.soft_deletion.packages import installed_apps
from tests.stack import ensure_database


def configure(*, name: str | None = None, others: bool = False) -> None:
    """Set Django up.

    Args:
        name: Of the database; by default the one that DB_NAME says.
        others: Whether the packages that are compared with are installed as apps too.
    """
    os.environ.update(ensure_database())
    databases = get_database_config()
    if name is not None:
        databases["default"]["NAME"] = name
    settings.configure(
        DATABASES=databases,
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "shared_core",
            "tests.benchmarks.soft_deletion",
            *(["django.contrib.auth", *installed_apps()] if others else []),
        ],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        # What a record costs is for the service's handlers to say.
        LOGGING={"version": 1, "disable_existing_loggers": False},
    )
    django.setup()


@contextmanager
def database() -> Iterator[str]:
    """Make a database with the tables of all models, connect to it, and drop it at the end; its name is returned."""
    outside = str(connection.settings_dict["NAME"])
    name = f"benchmark_{secrets.token_hex(6)}"
    _execute(f"CREATE DATABASE {name}")
    try:
        _connect(name)
        make_tables(apps.get_models(include_auto_created=True))
        yield name
    finally:
        _connect(outside)
        # The pooler keeps connections to it.
        _execute(f"DROP DATABASE {name} WITH (FORCE)")


def make_tables(wanted: Iterable[type[models.Model]]) -> None:
    """Make tables, which autovacuum leaves alone: it would come in the middle of some measurement; see `analyze`."""
    with connection.schema_editor() as editor:
        for model in wanted:
            if not model._meta.auto_created:  # those come with the model they belong to
                editor.create_model(model)
                editor.execute(f"ALTER TABLE {editor.quote_name(model._meta.db_table)} SET (autovacuum_enabled = off)")


def analyze() -> None:
    """Let PostgreSQL know what the tables hold, and clear away what was changed before."""
    _execute("VACUUM ANALYZE")


def _connect(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
