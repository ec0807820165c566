"""A prepared statement is known to one server connection; since 1.21 PgBouncer keeps them apart."""

import re

import psycopg
import pytest
from django.db import connections

from shared_core.databases import get_database_config
from tests.databases.test_traps import in_threads

pytestmark = pytest.mark.slow

# As `QuerySet` makes them with server_side_binding: the same text, many times, so that psycopg prepares it.
TIMES = 20


@pytest.fixture(params=["of its own", "the suite's"])
def login(request, stack):
    """Where a pooler is: a small one, and the suite's, which in compose is a newer one."""
    if request.param == "of its own":
        return {part: stack.environment[f"DB_{part}"] for part in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}
    return {part: connections.settings["default"][part] for part in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}


@pytest.fixture
def version(login):
    """That of the pooler, as its console tells it."""
    settings = {part.lower(): value for part, value in login.items() if part != "NAME"}
    try:
        console = psycopg.connect(dbname="pgbouncer", autocommit=True, prepare_threshold=None, **settings)
    except psycopg.OperationalError as error:
        pytest.skip(f"the console of the pooler that DB_HOST names is not open to us: {error}")
    with console:
        (text,) = psycopg.ClientCursor(console).execute("SHOW VERSION").fetchone()
    return re.search(r"\d+\.\d+", text)[0]


@pytest.fixture
def options(monkeypatch, tmp_path, stack):
    """Return a function that returns OPTIONS as we make them for a pooler of this version."""

    def options(version):
        monkeypatch.chdir(tmp_path)
        said = {"PGBOUNCER_VERSION": version, "DB_SERVER_SIDE_BINDING": "true"}
        for name, value in {**stack.environment, **said}.items():
            monkeypatch.setenv(name, value)
        return get_database_config()["default"]["OPTIONS"]

    return options


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


def test_psycopgs_prepared_statements_fail_if_the_pooler_does_not_track_them(alias, login, version):
    """Lost where the pooler does not keep them apart."""
    prepared = {"server_side_binding": True, "prepare_threshold": 5}
    using = alias("plain", ours=False, **login, OPTIONS=prepared)

    if is_apart(version):
        assert ask(using) == ALL_ANSWERED
    else:  # sooner or later: the pooler may give each of them the server that it had before
        lost = re.compile(r'prepared statement "\w+" (does not exist|already exists)')
        assert any(lost.search(str(ask(using))) for _ in range(20))


def test_our_options_prepare_statements_only_if_the_pooler_tracks_them(alias, login, version, options):
    using = alias("ours", **login, OPTIONS=options(version))

    assert ask(using) == ALL_ANSWERED
    assert has_prepared(using) is is_apart(version)


def test_our_options_prepare_nothing_without_pgbouncer_version(alias, login, options):
    using = alias("unsaid", **login, OPTIONS=options(""))

    assert ask(using) == ALL_ANSWERED
    assert not has_prepared(using)


def has_prepared(using):
    for number in range(TIMES):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT %s + 2", [number])
    return bool(connections[using].connection._prepared._names)
