"""Databases that are down, restarted, or accept and never answer; and their migrations."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from shared_core import conf
from shared_core.health import databases
from shared_core.health.databases import DatabaseProbe, _probes, database_probes
from tests import settings as settings_of_the_suite

pytestmark = pytest.mark.slow

WITHIN = 5.0  # seconds, as is promised


@pytest.fixture
def probed(stack, alias):
    """The probe of a database, named so, on servers that may be stopped; it is asked as in production."""
    alias("probed")
    yield DatabaseProbe("probed")
    _probes.pop("probed", None)


@pytest.fixture
def kept(monkeypatch):
    """Connections are kept, as outside of tests."""
    monkeypatch.setattr(conf, "_is_test_run", False)


@pytest.fixture
def connected():
    """Databases that were connected to."""
    made = []

    def note(connection, **_):
        made.append(connection.alias)

    connection_created.connect(note)
    yield made
    connection_created.disconnect(note)


def ask(probe):
    """Return what has failed, and the seconds that it took to know."""
    started = time.monotonic()
    return dict(probe.start().wait().failed), time.monotonic() - started


def failed(probe):
    return set(ask(probe)[0])


def migrations(**settings):
    return {**settings_of_the_suite.MIGRATION_MODULES, "library": "tests.health.migrations", **settings}


@pytest.mark.django_db(databases="__all__")
def test_readiness_checks_all_databases_and_their_migrations(client, settings, monkeypatch):
    monkeypatch.setattr(databases, "_probes", {})  # those of other tests know other migrations
    _probes.clear()  # another test may have found that nothing was missing, by the suite's own settings
    settings.MIGRATION_MODULES = migrations()
    settings.DEBUG = True
    answer = client.get("/ready/").json()

    assert [probe.names for probe in database_probes()] == [
        ("database", "migrations"),
        ("database:archive", "migrations:archive"),
    ]
    assert answer["failed"] == ["migrations"]  # there is no table of them at all
    assert answer["checks"]["migrations"]["reason"] == "1 not applied: library.0001_initial"


def test_readiness_follows_migrations_being_applied_and_unapplied(probed, settings, kept):
    settings.MIGRATION_MODULES = migrations()
    assert failed(probed) == set()  # a further database, which nobody has migrated

    connections["probed"].ensure_connection()
    recorder = MigrationRecorder(connections["probed"])
    recorder.ensure_schema()
    seen = [failed(probed)]
    recorder.record_applied("library", "0001_initial")
    seen.append(failed(probed))
    recorder.record_unapplied("library", "0001_initial")
    seen.append(failed(probed))

    assert seen == [{"migrations:probed"}, set(), {"migrations:probed"}]
    recorder.flush()


def test_missing_migrations_are_looked_for_once_however_many_ask(probed, settings, kept, monkeypatch):
    """Strangers may ask, and to load all migrations takes a processor."""
    settings.MIGRATION_MODULES = migrations()
    MigrationRecorder(connections["probed"]).ensure_schema()
    loaded = []
    build_graph = MigrationLoader.build_graph
    monkeypatch.setattr(MigrationLoader, "build_graph", lambda loader: loaded.append(loader) or build_graph(loader))

    assert [failed(probed) for _ in range(3)] == [{"migrations:probed"}] * 3
    assert len(loaded) == 1


def test_a_broken_migration_graph_fails_the_migrations_check(probed, settings):
    settings.MIGRATION_MODULES = migrations(library="tests.health.nowhere")
    MigrationRecorder(connections["probed"]).ensure_schema()

    assert ask(probed)[0] == {"migrations:probed": "ModuleNotFoundError: No module named 'tests.health.nowhere'"}


def test_a_probe_takes_one_query_and_no_new_connection(probed, kept):
    MigrationRecorder(connections["probed"]).ensure_schema()
    probed.check()
    made = connections["probed"].connection
    with CaptureQueriesContext(connections["probed"]) as queries:
        for _ in range(3):
            assert probed.check() == {}

    assert [query["sql"] for query in queries] == ["SELECT count(*), max(id) FROM django_migrations"] * 3
    assert connections["probed"].connection is made


def test_a_probe_does_not_use_the_requests_connection(probed, kept):
    mine = connections["probed"]
    mine.close()

    assert failed(probed) == set()
    assert mine.connection is None


def test_a_probe_keeps_no_connection_in_tests(probed, connected):
    assert [failed(probed), failed(probed)] == [set(), set()]
    assert connected == ["probed"] * 2


def test_a_probes_connection_obeys_conn_max_age(probed, kept, connected):
    connections.settings["probed"]["CONN_MAX_AGE"] = 0

    assert [failed(probed), failed(probed)] == [set(), set()]
    assert connected == ["probed"] * 2


def test_the_probe_after_a_pooler_restart_passes(probed, kept, stack, connected):
    assert failed(probed) == set()

    stack.start_pgbouncer()

    assert failed(probed) == set()
    assert connected == ["probed"] * 2


@contextlib.contextmanager
def frozen(stack, server):
    """Hold the server for the length of the block: its kernel accepts, and acknowledges; nobody answers."""
    with connections["probed"].cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        of_postgres = [pid for (pid,) in cursor]
    process, others = getattr(stack, server), of_postgres if server == "postgres" else []

    def send(number):
        process.kill_all(number)
        for pid in others:
            os.kill(pid, number)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


@pytest.mark.parametrize("server", ["pgbouncer", "postgres"])
def test_a_frozen_server_is_reported_within_the_time_limit(probed, kept, stack, server):
    assert failed(probed) == set()

    with frozen(stack, server):
        first, took = ask(probed)
        again = [ask(probed) for _ in range(2)]

    assert set(first) == {"database:probed"}
    assert took < WITHIN
    assert all(set(found) == {"database:probed"} and took < WITHIN for found, took in again)

    ends = time.monotonic() + 20
    while failed(probed):
        assert time.monotonic() < ends
        time.sleep(0.1)


class Proxy:
    """Stands before a server, and can lose what it holds: those connections stay open, and nothing passes any more."""

    def __init__(self, port):
        self._port, self._muted, self._opened = port, set(), []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def mute(self):
        self._muted = set(self._opened)

    def close(self):
        self._listener.close()
        for one in self._opened:
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._opened += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._muted:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_a_dead_connection_is_replaced(alias, stack, kept):
    proxy = Proxy(int(stack.environment["DB_PORT"]))
    alias("lost", HOST="127.0.0.1", PORT=str(proxy.port))
    probe = DatabaseProbe("lost")
    assert failed(probe) == set()

    proxy.mute()

    assert failed(probe) == {"database:lost"}
    ends = time.monotonic() + 20
    while failed(probe):
        assert time.monotonic() < ends
        time.sleep(0.1)
    proxy.close()


def test_a_silent_port_is_reported_within_the_time_limit(alias):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        alias("silent", HOST="127.0.0.1", PORT=str(silent.getsockname()[1]))
        found, took = ask(DatabaseProbe("silent"))

    assert set(found) == {"database:silent"}
    assert took < WITHIN


def test_a_database_that_is_down_is_reported_next_to_healthy_ones(client, alias, db, settings):
    settings.DEBUG = True
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        alias("gone", HOST="127.0.0.1", PORT=str(taken.getsockname()[1]), PASSWORD="hunter2")
        answer = client.get("/ready/")
    _probes.pop("gone")

    assert answer.status_code == 503
    assert answer.json()["failed"] == ["database:gone"]
    assert answer.json()["checks"]["database"]["ok"] is True
    assert answer.json()["checks"]["migrations:gone"]["ok"] is None
    assert "hunter2" not in answer.content.decode()


def test_a_hung_probe_does_not_close_the_services_connection(probed, kept, stack):
    with connections["probed"].cursor() as mine:
        mine.execute("SELECT 1")
        assert failed(probed) == set()
        with frozen(stack, "pgbouncer"):
            assert failed(probed) == {"database:probed"}

        mine.execute("SELECT 2")
        assert mine.fetchone() == (2,)


@pytest.mark.django_db
def test_a_probe_does_not_end_the_transaction_of_a_test(client):
    client.get("/ready/")

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert connection.in_atomic_block
