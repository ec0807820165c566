"""Settings and locks of one transaction, through a real pooler; what others see is asked on another connection."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, OperationalError, ProgrammingError, connection, connections, transaction

from shared_core.databases import AdvisoryLockTimeout, advisory_lock, local_settings
from shared_core.databases.sessions import advisory_key
from tests.library.models import Author

pytestmark = pytest.mark.django_db(transaction=True)


def setting(name="statement_timeout"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return cursor.fetchone()[0]


def test_local_settings_last_for_the_block_which_is_a_transaction():
    with local_settings(statement_timeout=2000, lock_timeout="500ms", enable_seqscan=False):
        seen = setting(), setting("lock_timeout"), setting("enable_seqscan"), connection.in_atomic_block

    assert seen == ("2s", "500ms", "off", True)
    assert not connection.in_atomic_block
    # Whichever server connection is asked: none of them kept it.
    assert {setting() for _ in range(20)} == {"0"}


def test_nested_local_settings_are_reset_after_each_block():
    with transaction.atomic():
        with local_settings(statement_timeout=1000):
            with local_settings(statement_timeout=2000):
                inner = setting()
            middle = setting()
            with pytest.raises(DatabaseError), local_settings(statement_timeout=3000), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
            after_error = setting()
        outer = setting()

    assert (inner, middle, after_error, outer) == ("2s", "1s", "1s", "0")


def test_local_settings_are_reset_after_a_rollback_or_a_read_only_block():
    with transaction.atomic():
        with local_settings(statement_timeout=1000):
            Author.objects.create(name="Ada")
            transaction.set_rollback(True)
        after_rollback = setting()
        with local_settings(transaction_read_only=True):
            inside = setting("transaction_read_only")
        Author.objects.create(name="Grace")

    assert (after_rollback, inside, setting()) == ("0", "on", "0")
    assert [author.name for author in Author.objects.all()] == ["Grace"]


def test_local_settings_are_reset_without_autocommit():
    transaction.set_autocommit(False)
    try:
        with local_settings(statement_timeout=1000):
            inside = setting()
        after = setting()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert (inside, after) == ("1s", "0")


def test_a_custom_setting_is_reset_after_the_block():
    with transaction.atomic():
        with local_settings(**{"app.tenant": "7"}):
            assert setting("app.tenant") == "7"
        assert setting("app.tenant") == ""


def test_local_settings_take_one_query_besides_the_transaction(django_assert_num_queries):
    with django_assert_num_queries(3), local_settings(statement_timeout=1000):  # BEGIN, set, COMMIT
        pass


def test_statement_timeout_cancels_a_slow_statement():
    with (
        pytest.raises(OperationalError, match="statement timeout"),
        local_settings(statement_timeout=50),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(10)")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ValueError, "nothing is no setting: write statement_timeout=2000"),
        ({"statement_timeout = 0; DROP": 1}, ValueError, "DROP is no setting"),
        ({"statement_timeout": None}, TypeError, "statement_timeout=None must be a text or a number"),
        ({"statement_timeot": 1}, ProgrammingError, "unrecognized configuration parameter"),
        ({"statement_timeout": "soon"}, DatabaseError, "invalid value for parameter"),
    ],
)
def test_an_invalid_setting_is_an_error_and_the_connection_stays_usable(settings, error, message):
    with pytest.raises(error, match=message), local_settings(**settings):
        pytest.fail("the block runs")

    assert setting() == "0"


@contextmanager
def elsewhere(key, ready=None):
    """Hold the lock in another thread, and so on another connection, for the length of the block."""
    is_held, leave = threading.Event(), threading.Event()

    def hold():
        with advisory_lock(key):
            is_held.set()
            leave.wait(20)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    try:
        yield leave
    finally:
        leave.set()
        thread.join(20)


def test_advisory_lock_waits_until_the_lock_is_released():
    with elsewhere("report") as leave:
        started = time.monotonic()
        threading.Timer(0.3, leave.set).start()
        with advisory_lock("report", timeout=10):
            waited = time.monotonic() - started

    assert 0.2 < waited < 8


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_a_lock_timeout_is_an_error_and_the_transaction_stays_usable(timeout):
    with elsewhere("report"), transaction.atomic():
        Author.objects.create(name="Ada")
        with (
            pytest.raises(AdvisoryLockTimeout, match="'report' was held by somebody else for") as raised,
            advisory_lock("report", timeout=timeout),
        ):
            pytest.fail("the block runs")
        assert setting("lock_timeout") == "0"

    assert (raised.value.key, raised.value.timeout) == ("report", timeout)
    assert isinstance(raised.value, TimeoutError)
    assert Author.objects.count() == 1


def test_a_roles_statement_timeout_does_not_end_the_wait_for_a_lock():
    with (
        elsewhere("report"),
        local_settings(statement_timeout=100),
        pytest.raises(AdvisoryLockTimeout),
        advisory_lock("report", timeout=0.4),
    ):
        pytest.fail("the block runs")


def test_other_keys_and_a_second_lock_in_the_same_transaction_do_not_wait():
    with elsewhere("report"), advisory_lock("other", timeout=0), advisory_lock("other", timeout=0):
        pass


def test_a_free_lock_takes_one_query_besides_the_transaction(django_assert_num_queries):
    with django_assert_num_queries(3), advisory_lock("report"):
        pass


def test_an_error_in_the_block_frees_the_lock():
    with pytest.raises(ZeroDivisionError), advisory_lock("report"):
        1 / 0  # noqa: B018

    with elsewhere("report"):
        pass


def test_lock_keys_are_strings_or_64_bit_integers():
    assert advisory_key(-(2**63)) == -(2**63)
    assert advisory_key("report") == advisory_key("report") != advisory_key("reports")
    for bad in ("", True, 2**63, 1.5, None):
        with pytest.raises(ValueError, match="is no key of a lock"):
            advisory_key(bad)


@pytest.mark.parametrize("timeout", [-1, float("inf"), float("nan"), 3e6])
def test_an_invalid_lock_timeout_is_an_error(timeout):
    with (
        pytest.raises(ValueError, match="must be seconds, from 0 to 2147483"),
        advisory_lock("report", timeout=timeout),
    ):
        pass
