"""What is marked ``through_pooler``, by way of a real one; and suites of its own where there is none."""

import itertools
import os
import subprocess
import sys

import pytest
from django.db import DatabaseError, connection, transaction

from shared_core.databases import advisory_lock
from shared_core.models import SoftDeleteManager
from shared_core.testing.pooler import find_pooler_error
from tests.library.models import Author
from tests.stack import Stack

pytestmark = pytest.mark.slow

_OF_THIS_SUITE = ("PYTEST_", "DB_", "DJANGO_", "CI")
SETTINGS = """
from shared_core.databases import get_database_config

DATABASES = get_database_config()
INSTALLED_APPS = ["django.contrib.contenttypes", "shared_core"]
SECRET_KEY = "of the suite alone, and in no other place"
"""
TESTS = """
import pytest
from django.db import connection
from django.test import TestCase

@pytest.mark.through_pooler
def test_one():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

@pytest.mark.django_db
class TestOfOne:
    @pytest.mark.through_pooler
    def test_with_a_marker_around(self):
        test_one()

@pytest.mark.through_pooler
class TestTheirs(TestCase):
    def test_inside_a_transaction(self):
        pass
"""


def server():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def set_for_the_session():
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '5MB'")
        cursor.execute("SHOW work_mem")
        return cursor.fetchone()[0]


@pytest.mark.through_pooler
def test_each_statement_gets_another_server_connection():
    met = [server() for _ in range(10)]

    assert all(one != next_one for one, next_one in itertools.pairwise(met))


@pytest.mark.through_pooler
def test_each_transaction_keeps_its_server_connection():
    met = []
    for _ in range(5):
        with transaction.atomic():
            met.append({server() for _ in range(3)})

    assert [len(servers) for servers in met] == [1] * 5
    assert all(one != next_one for one, next_one in itertools.pairwise(met))


@pytest.mark.through_pooler
def test_a_session_setting_is_lost_at_once():
    assert set_for_the_session() != "5MB"


@pytest.mark.django_db(transaction=True)
def test_a_session_setting_may_survive_without_the_marker():
    try:
        assert set_for_the_session() == "5MB"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET work_mem")


@pytest.mark.through_pooler
def test_a_cursor_is_lost_at_once():
    with connection.cursor() as cursor:  # as Django opens them in autocommit, where server-side cursors are on
        cursor.execute("DECLARE of_a_test CURSOR WITH HOLD FOR SELECT 1")
        with pytest.raises(DatabaseError, match='cursor "of_a_test" does not exist'):
            cursor.execute("FETCH 1 FROM of_a_test")


@pytest.mark.through_pooler
def test_iterator_reads_rows_through_the_pooler():
    Author.objects.bulk_create(Author(name=f"author {number}") for number in range(5))

    assert [server() for _ in Author.objects.iterator(chunk_size=2)] != []


@pytest.mark.through_pooler
def test_a_session_lock_is_not_released_and_a_transaction_lock_is():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(4711)")
        cursor.execute("SELECT pg_advisory_unlock(4711)")
        assert cursor.fetchone()[0] is False

    for _ in range(2):
        with advisory_lock("of-a-test") as got:
            assert got is not False


@pytest.mark.through_pooler
def test_a_failed_statement_does_not_affect_the_next_transaction():
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")

    assert server() != server()


@pytest.mark.through_pooler
def test_delete_and_restore_work_through_the_pooler():
    author = Author.objects.create(name="Ursula")

    assert author.delete()[0] == 1
    assert author.restore()[0] == 1
    assert isinstance(Author.objects, SoftDeleteManager)


@pytest.fixture(scope="module")
def stack():
    with Stack(pool_size=2) as stack:
        yield stack


@pytest.fixture
def suite(stack, tmp_path):
    """Return a function that runs the suite above and returns its outcomes and what it says of them."""
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = settings\npythonpath = .\n")
    (tmp_path / "test_them.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_SUITE)}

    def run(*arguments, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rsf", "--tb=line", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={**environment, **stack.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout

    return run


def direct(stack):
    return {"DB_HOST": stack.environment["DB_DIRECT_HOST"], "DB_PORT": stack.environment["DB_DIRECT_PORT"]}


def test_two_server_connections_are_enough_and_real_transactions_are_needed(suite):
    said = suite()

    assert "2 passed" in said
    assert "through_pooler needs real transactions: derive the test from TransactionTestCase" in said
    assert "skipped" not in said


def test_without_a_pooler_a_marked_test_is_skipped_and_fails_in_ci(suite, stack):
    reason = "not through a pooler: each client keeps a server connection: there is no pooler"

    said = suite("-k", "test_one and not OfOne", **direct(stack), DB_POOL_MODE="none")
    assert "1 skipped" in said
    assert reason in said

    said = suite("-k", "test_one and not OfOne", **direct(stack), DB_POOL_MODE="none", CI="true")
    assert reason in said
    assert "1 passed" not in said
    assert "skipped" not in said


def test_a_pooler_of_one_server_connection_is_refused(django_db_blocker):
    with Stack(pool_size=1) as small, django_db_blocker.unblock():
        client = connection.copy()
        client.settings_dict.update(
            {part: small.environment[f"DB_{part}"] for part in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}
        )
        assert find_pooler_error(client) == "the pooler has no two server connections free: raise its default_pool_size"


def test_a_database_that_does_not_answer_is_refused(django_db_blocker):
    client = connection.copy()
    client.settings_dict.update(HOST="127.0.0.1", PORT="1")
    with django_db_blocker.unblock():
        assert find_pooler_error(client).startswith("the database does not answer: ")
