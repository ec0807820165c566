"""What a pooler in transaction mode does to Django's own settings, and not to ours: each trap, then the way out.

Those of migrations are in test_migrating.py, of restarts in test_restarts.py, of test databases in
tests/testing/test_databases.py.
"""

import contextlib
import gc
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connections, models, transaction

from shared_core.clients import CallInsideTransaction, HTTPClient
from shared_core.databases import advisory_lock, get_database_config, local_settings

pytestmark = pytest.mark.slow


class Number(models.Model):
    """A row of ``generate_series``."""

    number = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "library"
        managed = False
        db_table = "numbers"


def execute(using, sql):
    with connections[using].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


def in_threads(count, function):
    """Run ``function`` in threads that begin together; return its results, or the texts of its database errors."""
    together = threading.Barrier(count)

    def run(_):
        together.wait(20)
        try:
            return function()
        except (DatabaseError, psycopg.Error) as error:
            return str(error)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


class TestServerSideCursor:
    """A cursor that outlives its statement lives on one server connection, and is asked for on another."""

    @pytest.fixture
    def count(self):
        def make(using):
            execute(using, "CREATE OR REPLACE VIEW numbers AS SELECT generate_series(1, 20000) AS number")
            return in_threads(8, lambda: sum(1 for _ in Number.objects.using(using).iterator(chunk_size=100)))

        return make

    def test_iterator_with_djangos_settings_loses_its_cursor(self, alias, count):
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # of cursors that cannot be closed
            results = count(alias("plain", ours=False))
            gc.collect()

        lost = [str(result) for result in results if result != 20_000]
        assert re.search('(cursor|portal) ".*" does not exist', "\n".join(lost))

    def test_iterator_with_our_settings_reads_all_rows(self, alias, count):
        assert count(alias("ours")) == [20_000] * 8


class TestStartupParameters:
    """PgBouncer refuses the connection parameter with which settings are given to a session."""

    def test_a_setting_in_options_is_refused_by_pgbouncer(self, alias):
        using = alias("plain", ours=False, OPTIONS={"options": "-c statement_timeout=1000"})

        with pytest.raises(OperationalError, match="unsupported startup parameter"):
            execute(using, "SELECT 1")

    def test_local_settings_replace_a_setting_in_options(self, monkeypatch, tmp_path, alias):
        monkeypatch.chdir(tmp_path)
        for part in ("HOST", "PORT", "NAME", "USER", "PASSWORD"):
            monkeypatch.delenv(f"DB_{part}", raising=False)
        monkeypatch.setenv("DATABASE_URL", "postgresql://h/n?options=-c%20statement_timeout%3D1000")

        with pytest.raises(ImproperlyConfigured, match="local_settings; for good, run what"):
            get_database_config()
        with local_settings(using=alias("ours"), statement_timeout=1000):
            assert execute("ours", "SHOW statement_timeout") == "1s"


class TestSessionSettings:
    """What is set for a session is the next client's too."""

    @pytest.mark.parametrize(("setting", "value"), [("statement_timeout", "1234ms"), ("search_path", "elsewhere")])
    def test_set_leaks_to_the_next_client(self, alias, setting, value):
        first, next_ = alias("first", ours=False), alias("next", ours=False)
        execute(first, f"SET {setting} = '{value}'")

        assert execute(next_, f"SHOW {setting}") == value

        execute(next_, f"RESET {setting}")

    @pytest.mark.parametrize(("setting", "value"), [("statement_timeout", "1234ms"), ("search_path", "elsewhere")])
    def test_local_settings_do_not_leak_to_the_next_client(self, alias, setting, value):
        first, next_ = alias("first"), alias("next")
        with local_settings(using=first, **{setting: value}):
            assert execute(first, f"SHOW {setting}") == value

        assert value not in {execute(next_, f"SHOW {setting}") for _ in range(10)}


class TestAssumeRole:
    """Django's ``assume_role`` is a SET ROLE when it connects: the next client has that role too."""

    def test_assume_role_leaks_to_the_next_client(self, alias):
        plain = alias("plain", ours=False)
        execute(plain, "DROP ROLE IF EXISTS auditor")
        execute(plain, "CREATE ROLE auditor")
        execute(alias("assuming", ours=False, OPTIONS={"assume_role": "auditor"}), "SELECT 1")

        assert execute(plain, "SELECT current_user") == "auditor"

        execute(plain, "RESET ROLE")
        execute(plain, "DROP ROLE auditor")

    def test_a_role_in_local_settings_does_not_leak(self, alias):
        with local_settings(using=alias("ours"), role="pg_monitor"):
            assert execute("ours", "SELECT current_user") == "pg_monitor"

        assert execute(alias("next"), "SELECT current_user") != "pg_monitor"


class TestAdvisoryLock:
    """A lock of the session is taken on one server connection, and is to be released on another."""

    def test_a_session_lock_cannot_be_released_through_the_pooler(self, alias):
        first, other = alias("first", ours=False), alias("other", ours=False)
        execute(first, "SELECT pg_advisory_lock(7)")

        with transaction.atomic(using=other):
            execute(other, "SELECT 1")  # has the server connection that the lock was taken on
            is_released = execute(first, "SELECT pg_advisory_unlock(7)")

        assert is_released is False
        execute(first, "SELECT pg_advisory_unlock_all()")

    def test_advisory_lock_is_released_through_the_pooler(self, alias):
        first, other = alias("first"), alias("other")
        with advisory_lock(7, using=first), transaction.atomic(using=other):
            execute(other, "SELECT 1")

        with advisory_lock(7, using=other, timeout=0):
            pass


class TestCallInsideTransaction:
    """A transaction keeps its server connection while another service is waited for: the pool is soon empty."""

    def serve(self, using, *, inside, within):
        """Return whether eight requests were in their call at one time."""
        calling = threading.Barrier(8)

        def request():
            with transaction.atomic(using=using) if inside else contextlib.nullcontext():
                execute(using, "SELECT 1")
                try:
                    calling.wait(within)
                except threading.BrokenBarrierError:
                    return False
                return True

        (together,) = set(in_threads(8, request))
        return together

    def test_a_call_inside_a_transaction_exhausts_the_pool(self, alias):
        using = alias("plain", ours=False)

        assert self.serve(using, inside=True, within=0.5) is False  # two have the pool's connections, six wait
        assert self.serve(using, inside=False, within=20) is True

    def test_a_call_inside_a_transaction_is_refused(self, alias, settings):
        settings.SHARED_CORE_HTTP_IN_ATOMIC = "raise"

        with pytest.raises(CallInsideTransaction), transaction.atomic(using=alias("ours")):
            HTTPClient("http://127.0.0.1:9", token=False).get("/")
