"""What a preview shows is what then happens. Deletions and restores of random models: see test_random_graphs.py."""

import pytest
from django.db import models
from django.db.models import ProtectedError
from django.test.utils import isolate_apps

from shared_core.models import preview
from tests.library.models import Author, Book, Chapter, City, Item, Loan, Restaurant, Review, Stamp, Tag, Topic, Waiter
from tests.models.test_purging import a_model, make_tables

pytestmark = pytest.mark.django_db


def rows_of(*instances):
    return models.QuerySet(type(instances[0])).filter(pk__in=[one.pk for one in instances])


def labels(counts):
    return {model._meta.label: count for model, count in counts.items()}


def a_city():
    city = City.objects.create(code="ROM")
    restaurant = Restaurant.objects.create(city=city)
    Waiter.objects.create(restaurant=restaurant)
    Review.objects.create(place=restaurant)
    Item.objects.create(city=city)
    return city


def a_topic():
    topic = Topic.objects.create()
    Tag.objects.create(subject=topic)
    return topic


def a_book():
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(author=author, title="Tales")
    chapter = Chapter.objects.create(book=book, title="1")
    Chapter.objects.create(book=book, part_of=chapter, title="2").delete()
    Stamp.objects.create(book=book)
    return author


@pytest.mark.parametrize("make", [a_city, a_topic, a_book])
def test_a_hard_delete_deletes_what_its_preview_shows(make):
    row = make()
    tree = preview.of_hard_deletion(rows_of(row))

    assert all(len(list(branch.rows())) == branch.count for branch in tree)
    assert labels(tree.counts()) == row.hard_delete()[1]


def test_the_preview_of_a_hard_delete_lists_rows_that_are_set_null():
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(author=Author.objects.create(name="Bo"), translator=author, title="Tales")
    tree = preview.of_hard_deletion(rows_of(author))

    assert [(branch.fate, branch.first) for branch in tree.branches] == [(preview.STAYS, [book])]


def test_the_preview_of_a_hard_delete_lists_protecting_rows_even_deleted_ones():
    author = a_book()
    loan = Loan.objects.create(book=author.books.get())
    loan.delete()
    tree = preview.of_hard_deletion(rows_of(author))

    assert [(branch.fate, branch.first) for branch in tree.branches] == [(preview.BLOCKS, [loan])]
    with pytest.raises(ProtectedError):
        author.hard_delete()


@pytest.mark.postgresql
@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="came with Django 6.1")
@isolate_apps("tests.library")
def test_the_preview_counts_rows_deleted_by_db_cascade():
    ledger = a_model("Ledger")
    entry = a_model("Entry", ledger=models.ForeignKey(ledger, models.DB_CASCADE))
    make_tables(ledger, entry)
    row = ledger.objects.create()
    entry.objects.bulk_create(entry(ledger=row) for _ in range(3))

    assert preview.of_hard_deletion(rows_of(row)).counts() == {ledger: 1, entry: 3}


def test_the_preview_counts_leaf_rows_without_loading_them(django_assert_num_queries):
    topic = Topic.objects.create()
    topic.replies.model.objects.bulk_create(topic.replies.model(topic=topic) for _ in range(50))
    rows = rows_of(topic)
    preview.of_deletion(rows)  # content types are known from then on
    # The topic, its key; the first replies and their number; the first tags, none.
    with django_assert_num_queries(5):
        tree = preview.of_deletion(rows)

    (replies,) = tree.branches
    assert (replies.count, len(replies.first)) == (50, preview.FIRST)


@pytest.mark.parametrize("preview_of", [preview.of_deletion, preview.of_restore, preview.of_hard_deletion])
def test_the_preview_shows_the_first_rows_by_key(preview_of):
    author = Author.objects.create(name="Ann")
    books = [Book.objects.create(author=author, title=str(number)) for number in range(4)]
    for book in books:
        Chapter.objects.create(book=book, title="1")
    if preview_of is preview.of_restore:
        author.delete()
    Book.objects.with_deleted().filter(pk=books[0].pk).update(title="0, written last")  # the last on disk

    (shown,) = (branch for branch in preview_of(rows_of(author)).branches if branch.model is Book)

    assert shown.first == books
