"""A prepared statement is known to one server connection; since 1.21 PgBouncer keeps them apart."""

import re

import psycopg
import pytest
from django.db import connections

from shared_core.databases import get_database_config
from tests.databases.test_traps import execute, in_threads

# As `QuerySet` makes them with server_side_binding: the same text, many times, so that psycopg prepares it.
TIMES = 20


@pytest.fixture(scope="module")
def version(stack):
    """That of the pooler, as its console tells it."""
    login = {**stack._login, "dbname": "pgbouncer"}
    environment = stack.environment
    with psycopg.connect(
        host=environment["DB_HOST"], port=environment["DB_PORT"], autocommit=True, prepare_threshold=None, **login
    ) as console:
        (text,) = psycopg.ClientCursor(console).execute("SHOW VERSION").fetchone()
    return re.search(r"\d+\.\d+", text)[0]


def options(monkeypatch, tmp_path, stack, version):
    """Return OPTIONS as we make them for a pooler of this version."""
    monkeypatch.chdir(tmp_path)
    said = {"PGBOUNCER_VERSION": version, "DB_SERVER_SIDE_BINDING": "true"}
    for name, value in {**stack.environment, **said}.items():
        monkeypatch.setenv(name, value)
    return get_database_config()["default"]["OPTIONS"]


def ask(using):
    def asker():
        answers = []
        for number in range(TIMES):
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT %s + 1, pg_sleep(0.001)", [number])
                answers.append(cursor.fetchone()[0])
        return answers

    return in_threads(8, asker)


ALL_ANSWERED = [[number + 1 for number in range(TIMES)]] * 8


def is_apart(version):
    return tuple(map(int, version.split("."))) >= (1, 21)


def test_psycopgs_own(alias, version):
    """Lost where the pooler does not keep them apart."""
    results = ask(alias("plain", ours=False, OPTIONS={"server_side_binding": True, "prepare_threshold": 5}))

    if is_apart(version):
        assert results == ALL_ANSWERED
    else:
        assert re.search(r'prepared statement "\w+" (does not exist|already exists)', str(results))


def test_ours_never_lose_one_and_prepare_where_the_pooler_keeps_them_apart(
    monkeypatch, tmp_path, alias, stack, version
):
    using = alias("ours", OPTIONS=options(monkeypatch, tmp_path, stack, version))

    assert ask(using) == ALL_ANSWERED

    execute(using, "SELECT 1")
    kept = connections[using].connection
    for number in range(TIMES):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT %s + 2", [number])
    assert bool(kept._prepared._names) is is_apart(version)


def test_ours_prepare_nothing_where_nobody_says_what_the_pooler_can(monkeypatch, tmp_path, alias, stack):
    using = alias("unsaid", OPTIONS=options(monkeypatch, tmp_path, stack, ""))

    assert ask(using) == ALL_ANSWERED
    assert not connections[using].connection or not connections[using].connection._prepared._names
