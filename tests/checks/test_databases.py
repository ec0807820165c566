import re

import pytest
from django.db import connections
from django.test.runner import DiscoverRunner

from shared_core.checks.databases import check_databases
from shared_core.databases import get_database_config
from shared_core.testing import PoolerTestRunner

CORRECT = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "n",
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
    "DISABLE_SERVER_SIDE_CURSORS": True,
    "OPTIONS": {},
}


class OurRunner(PoolerTestRunner):
    pass


class OtherRunner(DiscoverRunner):
    pass


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, settings):
    settings.TEST_RUNNER = "shared_core.testing.PoolerTestRunner"
    monkeypatch.chdir(tmp_path)
    for name in ("DB_POOL_MODE", "PGBOUNCER_VERSION", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def found(monkeypatch):
    """Return a function that checks one more of DATABASES, and returns ids."""

    def found(**changes):
        return [message.id.removeprefix("shared_core.") for message in messages(monkeypatch, **changes)]

    return found


def messages(monkeypatch, **changes):
    monkeypatch.setitem(connections.settings, "checked", {**CORRECT, **changes})
    return list(check_databases())


def test_get_database_config_passes_the_checks(found, monkeypatch):
    for name, value in {"HOST": "h", "NAME": "n", "USER": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"DB_{name}", value)
    for mode in ("transaction", "none"):
        monkeypatch.setenv("DB_POOL_MODE", mode)
        assert found(**get_database_config()["default"]) == []


ALL_WRONG = {
    "DISABLE_SERVER_SIDE_CURSORS": False,
    "ATOMIC_REQUESTS": True,
    "OPTIONS": {"options": "-c x", "server_side_binding": True, "prepare_threshold": 0, "assume_role": "r"},
}


def test_pooler_mistakes_are_not_reported_with_pool_mode_none(found, monkeypatch):
    assert found(**ALL_WRONG) == ["E001", "E002", "E003", "E004", "W006"]

    monkeypatch.setenv("DB_POOL_MODE", "none")

    assert found(**ALL_WRONG) == []


@pytest.mark.parametrize(
    ("engine", "is_looked_at"),
    [
        ("django.contrib.gis.db.backends.postgis", True),
        ("django_prometheus.db.backends.postgresql", True),
        ("django.db.backends.mysql", False),
        ("django.db.backends.sqlite3", False),
    ],
)
def test_only_postgresql_backends_are_checked(found, engine, is_looked_at):
    assert found(ENGINE=engine, CONN_HEALTH_CHECKS=False, **ALL_WRONG) == (
        ["W007", "E001", "E002", "E003", "E004", "W006"] if is_looked_at else []
    )


class TestPreparedStatements:
    PREPARES = {"server_side_binding": True, "prepare_threshold": 5}

    @pytest.mark.parametrize(
        ("version", "ids"), [("1.20.1", ["E003"]), ("1.21", []), ("1.24.0", []), ("new", ["E003"])]
    )
    def test_prepared_statements_are_accepted_from_pgbouncer_1_21(self, found, monkeypatch, version, ids):
        monkeypatch.setenv("PGBOUNCER_VERSION", version)

        assert found(OPTIONS=self.PREPARES) == ids

    @pytest.mark.parametrize(
        ("options", "is_prepared"),
        [(PREPARES, True), ({"prepare_threshold": 0}, False), ({"server_side_binding": True}, False)],
    )
    def test_the_check_agrees_with_what_psycopg_prepares(self, found, stack, alias, options, is_prepared):
        environment = stack.environment
        direct = {"HOST": environment["DB_DIRECT_HOST"], "PORT": environment["DB_DIRECT_PORT"]}
        assert found(OPTIONS=options) == (["E003"] if is_prepared else [])

        with connections[alias("direct", OPTIONS=dict(options), **direct)].cursor() as cursor:
            for number in range(10):
                cursor.execute("SELECT %s::int", [number])
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            assert (cursor.fetchone()[0] > 0) is is_prepared


class TestPersistentConnections:
    @pytest.mark.parametrize("age", [600, None])
    @pytest.mark.parametrize("mode", ["transaction", "none"])
    def test_persistent_connections_without_health_checks_are_reported(self, found, monkeypatch, mode, age):
        monkeypatch.setenv("DB_POOL_MODE", mode)

        assert found(CONN_MAX_AGE=age, CONN_HEALTH_CHECKS=False) == ["W007"]

    def test_closing_connections_need_no_health_checks(self, found):
        assert found(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False) == []

    @pytest.mark.parametrize("age", [600, None])
    @pytest.mark.parametrize("pool", [True, {"min_size": 2}])
    @pytest.mark.parametrize("mode", ["transaction", "none"])
    def test_persistent_connections_with_a_psycopg_pool_are_reported(self, found, monkeypatch, mode, pool, age):
        monkeypatch.setenv("DB_POOL_MODE", mode)

        assert found(CONN_MAX_AGE=age, OPTIONS={"pool": pool}) == ["E005"]
        assert found(CONN_MAX_AGE=0, OPTIONS={"pool": pool}) == []


class TestTestRunner:
    @pytest.mark.parametrize(
        "runner",
        ["shared_core.testing.databases.PoolerTestRunner", f"{__name__}.OurRunner"],
    )
    def test_a_runner_derived_from_ours_is_accepted(self, found, settings, runner):
        settings.TEST_RUNNER = runner

        assert found() == []

    @pytest.mark.parametrize("runner", [f"{__name__}.OtherRunner", f"{__name__}.CORRECT", "nowhere.Runner"])
    def test_another_runner_is_reported(self, found, settings, runner):
        settings.TEST_RUNNER = runner

        assert found() == ["W008"]

    def test_djangos_runner_is_accepted_with_pool_mode_none(self, found, settings, monkeypatch):
        settings.TEST_RUNNER = "django.test.runner.DiscoverRunner"
        monkeypatch.setenv("DB_POOL_MODE", "none")

        assert found() == []


def first_line_of(hint):
    return re.search(r"`([^`]+)`", hint)[1]


@pytest.mark.parametrize(
    "change",
    [
        {"DISABLE_SERVER_SIDE_CURSORS": False},
        {"OPTIONS": {"server_side_binding": True, "prepare_threshold": 5}},
        {"OPTIONS": {"pool": True}},
        {"ATOMIC_REQUESTS": True},
        {"CONN_HEALTH_CHECKS": False},
    ],
)
def test_a_database_hint_fixes_its_mistake(monkeypatch, change):
    (message,) = messages(monkeypatch, **change)
    exec(first_line_of(message.hint), {"DATABASES": connections.settings})

    assert list(check_databases()) == []


def test_the_test_runner_hint_fixes_its_mistake(monkeypatch, settings):
    settings.TEST_RUNNER = "django.test.runner.DiscoverRunner"
    (message,) = messages(monkeypatch)
    written = {}
    exec(first_line_of(message.hint), written)
    settings.TEST_RUNNER = written["TEST_RUNNER"]

    assert list(check_databases()) == []


def test_messages_do_not_show_values_of_options(monkeypatch):
    (message,) = messages(monkeypatch, OPTIONS={"options": "-c app.secret=sesame", "password": "sesame"})

    assert "sesame" not in str(message)


def test_messages_and_hints_name_the_database_alias(monkeypatch):
    for message in messages(monkeypatch, CONN_HEALTH_CHECKS=False, **ALL_WRONG):
        assert "checked" in message.msg
        assert "checked" in message.hint
