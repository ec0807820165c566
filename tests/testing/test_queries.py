import re
import threading

import pytest
from django.db import DatabaseError, connection, transaction

from shared_core.testing import assert_max_num_queries, assert_num_queries
from tests.library.models import Author, Book

pytestmark = pytest.mark.django_db


def titles():
    return [book.title for book in Book.objects.all()]


def authors_one_by_one():
    return [book.author.name for book in Book.objects.order_by("title")]


@pytest.fixture
def books():
    return [
        Book.objects.create(author=Author.objects.create(name=name), title=f"By {name}") for name in ("Ada", "Bo", "Cy")
    ]


def test_the_expected_number_passes_and_returns_the_queries(books):
    with assert_num_queries(1) as queries:
        titles()

    assert queries[0].sql.startswith("SELECT")
    assert "is_deleted" in queries[0].statement
    assert re.fullmatch(r"tests/testing/test_queries\.py:\d+ in titles", queries[0].place)


def test_a_failure_shows_the_queries_and_their_places_in_the_code(books):
    with pytest.raises(AssertionError) as failure, assert_num_queries(1):
        authors_one_by_one()
    first, *lines = str(failure.value).splitlines()

    assert first == "4 queries, not 1:"
    assert lines[0].startswith("  1  tests/testing/test_queries.py:")
    assert lines[0].endswith("in authors_one_by_one")
    assert lines[1].startswith('     SELECT … FROM "library_book" WHERE')
    assert lines[2].endswith("in authors_one_by_one, 3 times with other values")
    assert books[0].author_id.hex in lines[3].replace("-", "")
    assert len(lines) == 4


def test_a_repeated_query_is_shown_once_with_its_count():
    with pytest.raises(AssertionError, match=r"in titles, 2 times\n"), assert_num_queries(0):
        titles() or titles()


def test_fewer_queries_than_expected_fail():
    with pytest.raises(AssertionError, match=r"^0 queries, not 1$"), assert_num_queries(1):
        pass


def test_assert_max_num_queries_fails_only_above_its_limit():
    Book.objects.create(author=Author.objects.create(name="Ada"))
    with assert_max_num_queries(2):
        titles()
    with pytest.raises(AssertionError, match=r"^1 query, not 0:\n"), assert_max_num_queries(0):
        titles()
    with pytest.raises(AssertionError, match=r"^2 queries, more than 1:\n"), assert_max_num_queries(1):
        authors_one_by_one()


def in_two_transactions():
    with transaction.atomic(), transaction.atomic():
        titles()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def test_savepoints_are_not_counted():
    with assert_num_queries(2):
        in_two_transactions()


@pytest.mark.django_db(transaction=True)
def test_begin_and_commit_are_not_counted():
    with assert_num_queries(2):
        in_two_transactions()


def test_a_failed_query_is_counted_and_its_error_raised():
    with pytest.raises(AssertionError, match="1 query, not 0"), assert_num_queries(0):  # noqa: SIM117  # one within the other
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / %s", [0])
    with pytest.raises(DatabaseError), assert_num_queries(0), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def test_an_error_of_the_block_is_not_hidden():
    with pytest.raises(KeyError), assert_num_queries(5):
        raise KeyError


def test_executemany_counts_as_one_query(books):
    with assert_num_queries(1) as queries, connection.cursor() as cursor:
        cursor.executemany("UPDATE library_book SET pages = %s WHERE id = %s", [(1, book.pk) for book in books])

    assert queries[0].sql == queries[0].statement


@pytest.mark.django_db(databases=["default", "archive"])
def test_using_names_the_database_whose_queries_are_counted():
    with assert_num_queries(1, using="archive"), assert_num_queries(0):
        list(Author.objects.using("archive"))


@pytest.mark.django_db(transaction=True)
def test_queries_of_other_threads_are_not_counted():
    def ask():
        titles()
        connection.close()

    with assert_num_queries(0):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()


def test_a_long_query_is_truncated_in_a_failure():
    with pytest.raises(AssertionError) as failure, assert_num_queries(0):
        list(Book.objects.filter(title__in=[f"title {number}" for number in range(1000)]))

    assert max(map(len, str(failure.value).splitlines())) < 1100


def test_an_unknown_alias_is_djangos_error():
    from django.utils.connection import ConnectionDoesNotExist

    with pytest.raises(ConnectionDoesNotExist), assert_num_queries(0, using="gone"):
        pass
