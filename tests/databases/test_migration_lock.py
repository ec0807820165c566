"""The lock of all who migrate a database, by itself; test_migrating.py has the processes that ask for it."""

import time

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from shared_core.databases import migrating
from shared_core.databases.migrating import MigrationLockError, _copy_connection, migration_lock
from tests.checks.servers import another_pgbouncer


class Clock:
    """Time that passes in sleep only."""

    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def held(using):
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


def nobody(line):
    raise AssertionError(line)


def test_the_lock_is_released_on_the_server_connection_of_the_pooler(alias):
    pooled, other = alias("pooled", DIRECT={}), alias("other")
    with migration_lock(connections[pooled], 0, nobody):
        assert held(other) == 1

    assert held(other) == 0


def test_a_waiting_process_reports_at_once_and_every_ten_seconds(alias):
    told, clock = [], Clock()
    with (
        migration_lock(connections[alias("first", DIRECT={})], 0, nobody),
        pytest.raises(MigrationLockError, match="for 25 s and more; nothing was done here"),
        migration_lock(connections[alias("second", DIRECT={})], 25, told.append, clock=clock, sleep=clock.sleep),
    ):
        pytest.fail("two hold it")

    assert [line.partition(": ")[2] for line in told] == [
        f"waiting for it, {seconds} s of 25 s" for seconds in (0, 10, 20)
    ]


def test_the_lock_is_taken_on_the_direct_connection_if_configured(alias):
    nowhere = alias("nowhere", DIRECT={"HOST": "127.0.0.1", "PORT": "9"})

    with (
        pytest.raises(MigrationLockError, match="DB_DIRECT_HOST and DB_DIRECT_PORT name, leads nowhere") as raised,
        migration_lock(connections[nowhere], 0, nobody),
    ):
        pytest.fail("nobody listens there")

    assert isinstance(raised.value.__cause__, OperationalError)


def test_a_pooler_with_one_server_connection_is_an_error_at_once(stack, alias, monkeypatch):
    monkeypatch.setattr(migrating, "_ANSWER_TIMEOUT", 0.5)
    with another_pgbouncer(stack, pool_size=1) as port:
        one = alias("one", PORT=str(port), DIRECT={})
        with (
            pytest.raises(MigrationLockError, match="default_pool_size of 2 or more"),
            migration_lock(connections[one], 0, nobody),
        ):
            pytest.fail("there is no connection to migrate by")
        connections[one].close()


def test_the_lock_survives_the_poolers_idle_transaction_timeout(stack, alias):
    with another_pgbouncer(stack, idle_transaction_timeout=1) as port:
        impatient, other = alias("impatient", PORT=str(port), DIRECT={}), alias("other")
        with migration_lock(connections[impatient], 0, nobody):
            time.sleep(2.5)
            assert held(other) == 1
        connections[impatient].close()


def test_the_lock_connection_uses_no_pool_and_holds_no_snapshot(alias):
    options = {"pool": True, "isolation_level": 3, "connect_timeout": 5}
    connection = connections[alias("pooled", CONN_MAX_AGE=0, OPTIONS=options)]

    assert _copy_connection(connection).settings_dict["OPTIONS"] == {"connect_timeout": 5}
    assert connection.settings_dict["OPTIONS"] == options


@pytest.mark.django_db(databases="__all__")
def test_each_database_has_its_own_lock():
    with migration_lock(connections["archive"], 0, nobody):
        with pytest.raises(CommandError, match="nothing was done here"):
            call_command("migrate", database="archive", lock_timeout=0, verbosity=0)
        with migration_lock(connections["default"], 0, nobody):
            pass
