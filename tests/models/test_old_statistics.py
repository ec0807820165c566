"""PostgreSQL plans by what ANALYZE saw last; what it chooses where that was an empty table must not be quadratic."""

import pytest
from django.db import connection

from shared_core.models import preview
from shared_core.models.restore import find_restore_error
from tests.library.models import Author, Book, Chapter

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

ROWS = 20_000
# Linear, each takes a fraction of a second; quadratic, the first takes a minute.
AT_MOST = "8s"


@pytest.fixture(scope="module")
def other(django_db_setup, django_db_blocker):
    """Another connection, which puts the statistics right at the end."""
    with django_db_blocker.unblock():
        other = connection.copy()
        yield other
        with other.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE library_chapter, library_book, library_author")
        other.close()


@pytest.fixture
def author(other, db):
    """An author with many chapters, of which the statistics know nothing."""
    author = Author.objects.create(name="Ursula")
    book = Book.objects.create(author=author, title="Always Coming Home")
    with connection.cursor() as cursor, other.cursor() as analyst:
        cursor.execute(
            "INSERT INTO library_chapter (id, is_deleted, created_at, updated_at, book_id, title) SELECT "
            "gen_random_uuid(), false, now(), now(), %s, n::text FROM generate_series(1, %s) n",
            [book.pk, ROWS],
        )
        # It does not see them, but the pages that they take.
        analyst.execute("ANALYZE library_chapter, library_book, library_author")
        cursor.execute(f"SET LOCAL statement_timeout = '{AT_MOST}'")
    return author


def test_a_delete_and_its_preview_are_not_quadratic(author):
    assert preview.of_deletion(Author.objects.filter(pk=author.pk)).counts()[Chapter] == ROWS
    assert author.delete()[1]["library.Chapter"] == ROWS


def test_a_restore_and_its_preview_are_not_quadratic(author):
    author.delete()
    rows = Author.all_objects.filter(pk=author.pk)

    assert preview.of_restore(rows).counts()[Chapter] == ROWS
    assert find_restore_error(rows) is None
    assert author.restore()[1]["library.Chapter"] == ROWS


def test_a_queryset_restore_is_not_quadratic(author):
    author.delete()

    assert Author.all_objects.filter(pk=author.pk).restore()[1]["library.Chapter"] == ROWS


def test_the_preview_of_a_hard_delete_is_not_quadratic(author):
    author.delete()

    assert preview.of_hard_deletion(Author.all_objects.filter(pk=author.pk)).counts()[Chapter] == ROWS
