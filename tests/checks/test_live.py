"""What can be seen through real poolers, of each kind."""

import itertools
import re
import selectors
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from shared_core.checks import live
from shared_core.checks.live import check_live
from tests.checks.servers import another_pgbouncer, open_client, reconnect, session_mode

pytestmark = pytest.mark.slow

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DB_POOL_MODE", raising=False)


@pytest.fixture
def found(alias):
    """Return a function that checks a database which it makes, and returns ids."""

    def found(**changes):
        return [message.id.removeprefix("shared_core.") for message in messages(alias, **changes)]

    return found


def messages(alias, **changes):
    using = alias(f"checked_{next(_numbers)}", **changes)  # Django asks for a version once an alias
    try:
        return list(check_live(databases=[using]))
    finally:
        assert connections[using].connection is None  # those that it opened are its own


def direct(stack):
    return {"HOST": stack.environment["DB_DIRECT_HOST"], "PORT": stack.environment["DB_DIRECT_PORT"]}


def test_a_pooler_in_transaction_mode_is_accepted(found):
    assert found() == []


class TestLeakedSettings:
    """That somebody SET on a server connection, and left there."""

    @pytest.fixture
    def somebody(self, stack):
        with open_client(stack) as client:
            yield client
        reconnect(stack)

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("SET statement_timeout = '7s'", "statement_timeout = 7000"),
            ("SET lock_timeout = 8", "lock_timeout = 8"),
            ("SET search_path = 'elsewhere'", "search_path = elsewhere"),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "default_transaction_read_only = on"),
            ("SET ROLE pg_monitor", "role = pg_monitor"),
        ],
    )
    def test_a_setting_left_on_a_server_connection_is_reported(self, alias, somebody, statement, told):
        somebody.execute(statement)
        (message,) = messages(alias)

        assert message.id == "shared_core.W302"
        assert told in message.msg
        assert f"local_settings({told.partition(' ')[0]}=…)" in message.hint

    def test_the_hints_reconnect_clears_a_leaked_setting(self, stack, found, somebody):
        somebody.execute("SET statement_timeout = '7s'")
        assert found() == ["W302"]
        reconnect(stack)

        assert found() == []

    def test_a_setting_left_on_a_second_server_connection_is_reported(self, stack, alias, somebody):
        with open_client(stack) as other, other.transaction():
            other.execute("SELECT 1")
            somebody.execute("SET statement_timeout = '7s'")
            with somebody.transaction():
                spoilt = somebody.execute("SELECT pg_backend_pid()").fetchone()
            kept = other.execute("SELECT pg_backend_pid()").fetchone()
            assert spoilt != kept
        # The one that was given back last is the first to be given out: not the spoilt one.
        with open_client(stack) as other:
            assert other.execute("SELECT pg_backend_pid()").fetchone() == kept
        (message,) = messages(alias)

        assert "statement_timeout = 7000" in message.msg
        with open_client(stack) as first, open_client(stack) as second, first.transaction(), second.transaction():
            # Nobody's server connection was ended by the asking.
            pids = {client.execute("SELECT pg_backend_pid()").fetchone() for client in (first, second)}
        assert pids == {spoilt, kept}

    @pytest.mark.parametrize(
        "statement",
        ["SET TimeZone = 'Asia/Tokyo'", "SET application_name = 'x'", "SET work_mem = '8MB'", "SET lock_timeout = 0"],
    )
    def test_tracked_or_harmless_settings_are_accepted(self, found, somebody, statement):
        somebody.execute(statement)

        assert found() == []

    def test_settings_of_the_role_are_accepted(self, stack, found):
        with open_client(stack, direct(stack)["PORT"]) as admin:
            admin.execute("DROP ROLE IF EXISTS tenant")
            admin.execute("CREATE ROLE tenant LOGIN PASSWORD 'sesame'")
            admin.execute("GRANT pg_monitor TO tenant")
            # As E004's hint has it.
            admin.execute("ALTER ROLE tenant IN DATABASE postgres SET role = 'pg_monitor'")
            admin.execute("ALTER ROLE tenant SET statement_timeout = '9s'")
        ours = {"USER": "tenant", "PASSWORD": "sesame", **direct(stack)}
        with connections_of(stack, ours) as cursor:
            cursor.execute("SELECT current_user, session_user, current_setting('statement_timeout')")
            assert cursor.fetchone() == ("pg_monitor", "tenant", "9s")

        assert found(**ours) == ["W303"]  # and not W302; there is no pooler

    def test_settings_from_the_services_options_are_not_reported(self, found):
        # Another mistake, and told as such: the check's own connections must not make it look like one more.
        assert found(OPTIONS={"assume_role": "pg_monitor", "isolation_level": 4, "pool": True}) == []


@contextmanager
def connections_of(stack, changes):
    settings = {**connections.settings["default"], **changes, "NAME": stack.environment["DB_NAME"]}
    connection = DatabaseWrapper(settings, "own")
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


class TestPoolMode:
    def test_session_mode_is_reported(self, stack, alias):
        with session_mode(stack) as port:
            (message,) = messages(alias, PORT=str(port))

        assert message.id == "shared_core.W303"
        assert re.search(r"each client of checked_\d+ keeps a server connection", message.msg)

    def test_a_missing_pooler_is_reported_unless_pool_mode_is_none(self, stack, found, monkeypatch):
        assert found(**direct(stack)) == ["W303"]

        monkeypatch.setenv("DB_POOL_MODE", "none")

        assert found(**direct(stack)) == []

    def test_transaction_mode_is_detected_with_round_robin(self, stack, found):
        with another_pgbouncer(stack, server_round_robin=1) as port:
            with open_client(stack, port) as first, open_client(stack, port) as second:
                for client in (first, second):  # two server connections
                    client.execute("BEGIN")
                    client.execute("SELECT 1")
                for client in (first, second):
                    client.execute("COMMIT")

            assert found(PORT=str(port)) == []

    def test_transaction_mode_is_detected_behind_a_load_balancer(self, stack, found):
        with another_pgbouncer(stack) as one, another_pgbouncer(stack) as two, balanced([one, two]) as port:
            assert found(PORT=str(port)) == []

    def test_transaction_mode_is_detected_with_one_server_connection(self, stack, found):
        with another_pgbouncer(stack, pool_size=1) as port:
            assert found(PORT=str(port)) == []

    def test_session_mode_is_not_reported_if_the_pool_is_exhausted(self, stack, found):
        with another_pgbouncer(stack, pool_size=2, pool_mode="session") as port:
            started = time.monotonic()
            assert found(PORT=str(port)) == []
            assert time.monotonic() - started < 5

    def test_transaction_mode_is_detected_under_load(self, stack, found):
        with another_pgbouncer(stack, pool_size=3) as port:
            stop = threading.Event()

            def work():
                with open_client(stack, port) as client:
                    while not stop.is_set():
                        client.execute("SELECT pg_sleep(0.005)")

            workers = [threading.Thread(target=work) for _ in range(6)]
            for worker in workers:
                worker.start()
            try:
                assert [found(PORT=str(port)) for _ in range(3)] == [[], [], []]
            finally:
                stop.set()
                for worker in workers:
                    worker.join()


@contextmanager
def balanced(ports):
    """Yield the port of a balancer, which leads clients to these in turn."""
    stop, turns = threading.Event(), itertools.cycle(ports)

    def serve(server, opened):
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            while not stop.is_set():
                for key, _ in selector.select(timeout=0.05):
                    if key.fileobj is server:
                        pair = [opened.enter_context(server.accept()[0])]
                        pair.append(opened.enter_context(socket.create_connection(("127.0.0.1", next(turns)))))
                        selector.register(pair[0], selectors.EVENT_READ, pair[1])
                        selector.register(pair[1], selectors.EVENT_READ, pair[0])
                    elif data := key.fileobj.recv(65536):
                        key.data.sendall(data)
                    else:
                        selector.unregister(key.fileobj)

    with ExitStack() as opened, socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=[server, opened])
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


class TestUnreachable:
    def test_a_failed_login_is_one_message_without_the_password(self, alias):
        (message,) = messages(alias, PASSWORD="not the sesame")

        assert message.id == "shared_core.E301"
        assert "authentication failed" in message.msg
        assert "sesame" not in str(message)

    @pytest.mark.parametrize("changes", [{"PORT": "1"}, {"NAME": "nowhere"}, {"HOST": "/nowhere"}])
    def test_a_wrong_host_port_or_database_is_reported_as_unreachable(self, found, changes):
        assert found(**changes) == ["E301"]

    def test_a_server_that_accepts_and_never_answers_is_reported(self, found, monkeypatch):
        monkeypatch.setattr(live, "_CONNECT_TIMEOUT", 2)
        started = time.monotonic()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            assert found(PORT=str(silent.getsockname()[1]), OPTIONS={}) == ["E301"]
        assert time.monotonic() - started < 4

    def test_a_pooler_without_a_free_server_connection_is_reported(self, stack, found, monkeypatch):
        monkeypatch.setattr(live, "_ANSWER_TIMEOUT", 1.0)
        with (
            another_pgbouncer(stack, pool_size=1) as port,
            open_client(stack, port) as other,
            other.transaction(),
        ):
            other.execute("SELECT 1")
            started = time.monotonic()

            assert found(PORT=str(port)) == ["E301"]
            assert time.monotonic() - started < 4


class TestVersion:
    def test_a_version_supported_only_by_django_is_reported(self, alias, monkeypatch):
        monkeypatch.setattr(live, "_OLDEST_VERSION", (99, 0))
        (message,) = messages(alias)

        assert message.id == "shared_core.W304"
        assert re.search(r"checked_\d+ is PostgreSQL \d+\.\d+\.$", message.msg)

    def test_a_version_that_django_refuses_is_reported(self, alias, monkeypatch):
        monkeypatch.setattr(DatabaseWrapper, "get_database_version", lambda _: (11, 2))
        (message,) = messages(alias)

        assert message.id == "shared_core.W304"
        assert "or later is required (found 11.2)" in message.msg


def test_only_named_postgresql_databases_are_checked(alias):
    using = alias("other", ENGINE="django.db.backends.sqlite3", NAME="/nowhere/at/all")

    assert list(check_live(databases=[using])) == []
    assert list(check_live(databases=None)) == []
    assert list(check_live(databases=[])) == []
