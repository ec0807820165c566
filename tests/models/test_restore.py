import pickle

import pytest

from shared_core.models import ParentDeletedError, RestoreError
from tests.library.models import Author, Book, Chapter, Shelf

pytestmark = pytest.mark.django_db


def test_exactly_what_went_along_comes_back(author, book, chapters):
    chapters[2].delete()
    author.delete()

    assert author.restore() == (4, {"library.Author": 1, "library.Book": 1, "library.Chapter": 2})
    assert set(Chapter.objects.all()) == set(chapters[:2])
    assert Chapter.objects.deleted().get() == chapters[2]


def test_a_row_deleted_separately_stays_deleted_also_where_both_were_deleted(author, book, chapters):
    book.delete()
    author.delete()

    assert author.restore() == (1, {"library.Author": 1})
    assert not Book.objects.exists()
    assert book.restore() == (4, {"library.Book": 1, "library.Chapter": 3})


def test_a_queryset_restores_each_of_its_rows_with_what_went_in_its_own_deletion(author):
    books = [Book.objects.create(author=author, title=str(number)) for number in range(3)]
    chapters = [Chapter.objects.create(book=book, title="1") for book in books]
    chapters[0].delete()
    for book in books:
        book.delete()

    assert Book.objects.all().restore() == (5, {"library.Book": 3, "library.Chapter": 2})
    assert Chapter.objects.deleted().get() == chapters[0]


def test_a_row_does_not_come_back_under_a_parent_that_stays_deleted(author, book, chapters):
    author.delete()

    with pytest.raises(ParentDeletedError, match=f"restore library.Author {author.pk} first") as raised:
        book.restore()

    assert raised.value.objects == (author,)
    assert isinstance(raised.value, RestoreError)
    assert not Book.objects.exists()
    assert pickle.loads(pickle.dumps(raised.value)).objects == (author,)


def test_a_deleted_restrict_parent_of_a_row_below_counts_too(author, book):
    collector = Author.objects.create(name="Collector")
    Shelf.objects.create(author=collector, book=book)
    book.delete()
    collector.delete()

    with pytest.raises(ParentDeletedError) as raised:
        book.restore()
    assert raised.value.objects == (collector,)

    collector.restore()
    assert book.restore() == (2, {"library.Book": 1, "library.Shelf": 1})


def test_a_deleted_parent_of_a_link_that_is_set_null_does_not_stop_it(author, book):
    translator = Author.objects.create(name="Karen")
    Book.objects.update(translator=translator)
    author.delete()
    translator.delete()

    assert author.restore() == (2, {"library.Author": 1, "library.Book": 1})


def test_the_number_of_queries_does_not_grow_with_the_rows(author, django_assert_num_queries):
    books = [Book.objects.create(author=author, title=str(number)) for number in range(20)]
    Chapter.objects.bulk_create(Chapter(book=book, title="1") for book in books for _ in range(10))
    author.delete()

    # Savepoint; lock of the author; her books; chapters and shelves of these; parts of the chapters; deleted parents of
    # books, and of chapters by book and by part; one UPDATE each of authors, books and chapters; release.
    with django_assert_num_queries(13):
        assert author.restore()[0] == 221
