"""Statements of a delete and of the restore of the same tree, side by side.

What begins and ends a transaction does not count, in either of them.
"""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from shared_core.models import BaseModel, post_restore, post_soft_delete
from tests.library.models import Account, Author, Book, Chain, Chapter, City, Note, Place, Reply, Restaurant, Tag, Topic

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]


def one_row():
    return Note.objects.create(text="a")


def a_child():
    return Reply.objects.create(topic=Topic.objects.create())


def parent_and_children():
    topic = Topic.objects.create()
    Reply.objects.bulk_create(Reply(topic=topic) for _ in range(20))
    return topic


def parent_and_tags():
    topic = parent_and_children()
    Tag.objects.create(subject=topic)
    return topic


def three_levels():
    author = Author.objects.create(name="Ursula")
    books = [Book.objects.create(author=author, title=str(number)) for number in range(3)]
    Chapter.objects.bulk_create(Chapter(book=book, title=str(number)) for book in books for number in range(5))
    return author


def inherited_tables():
    city = City.objects.create(code="LIS")
    Restaurant.objects.create(city=city, chain=Chain.objects.create())
    Place.objects.create(city=city)
    return city


def unique_values():
    account = Account.objects.create(email="a@b.c", handle="ada", team="core", is_lead=True)
    Account.objects.create(email="g@b.c", invited_by=account)
    return account


def statements(code):
    with CaptureQueriesContext(connection) as queries:
        code()
    return sum(query["sql"].split()[0] not in {"SAVEPOINT", "RELEASE"} for query in queries)


def both(row, *, is_queryset):
    """Return the numbers of statements that delete the row, and that restore it."""
    ContentType.objects.get_for_model(Topic)  # is known from then on
    rows = type(row).all_objects.filter(pk=row.pk)
    return statements(rows.delete if is_queryset else row.delete), statements(
        rows.restore if is_queryset else row.restore
    )


@pytest.mark.parametrize("is_queryset", [False, True], ids=["instance", "queryset"])
@pytest.mark.parametrize(
    ("make", "delete", "restore"),
    [
        (one_row, 1, 1),
        # A restore locks the parent, locks the row and updates it.
        (a_child, 1, 3),
        # Topic, replies, tags: an UPDATE each. A restore locks the topic, finds no tag, and updates all at once.
        (parent_and_children, 3, 3),
        (parent_and_tags, 3, 3),
        # Locks of the author, books, chapters by book and by part, shelves; what may refuse the delete; the UPDATEs,
        # which a restore does at once.
        (three_levels, 10, 6),
        # City, places, vases, reviews and waiters. A restore locks the city, places and vases, reads the places' chains
        # from the other table, locks these, and updates all at once.
        (inherited_tables, 5, 6),
        # Account, those it invited, those they invited. A restore checks all unique values by one query.
        (unique_values, 3, 5),
    ],
)
def test_a_restore_takes_at_most_two_statements_more_than_the_delete(make, delete, restore, is_queryset):
    assert both(make(), is_queryset=is_queryset) == (delete, restore)


def a_model(name, *parents, **attributes):
    links = {parent.__name__.lower(): models.ForeignKey(parent, models.CASCADE, related_name="+") for parent in parents}
    meta = type("Meta", (), {"app_label": "library", "constraints": attributes.pop("constraints", [])})
    model = type(name, (BaseModel,), {"__module__": __name__, "Meta": meta, **links, **attributes})
    with connection.schema_editor() as editor:
        editor.create_model(model)
    return model


@pytest.mark.parametrize("is_queryset", [False, True], ids=["instance", "queryset"])
@isolate_apps("tests.library")
def test_a_diamond_takes_five_statements_to_delete_and_six_to_restore(is_queryset):
    top = a_model("Top")
    left, right = a_model("Left", top), a_model("Right", top)
    bottom = a_model("Bottom", left, right)
    row = top.objects.create()
    bottom.objects.create(left=left.objects.create(top=row), right=right.objects.create(top=row))

    # Top, left, right, bottom by left and by right. A restore locks them, and updates all at once.
    assert both(row, is_queryset=is_queryset) == (5, 6)


@pytest.mark.parametrize("is_queryset", [False, True], ids=["instance", "queryset"])
def test_with_receivers_delete_and_restore_load_the_rows(is_queryset):
    def receive(**kwargs):
        pass

    for signal in (post_soft_delete, post_restore):
        signal.connect(receive)
    try:
        # Locks of the topic, replies and tags; topic and replies loaded; two UPDATEs, which a restore does at once.
        assert both(parent_and_children(), is_queryset=is_queryset) == (7, 6)
    finally:
        for signal in (post_soft_delete, post_restore):
            signal.disconnect(receive)


@pytest.mark.parametrize("rows", [2, 50])
def test_restoring_rows_of_several_deletions_takes_as_many_statements_as_of_one(rows):
    topics = [parent_and_children() for _ in range(rows)]
    for topic in topics:
        topic.delete()

    # Locks of the topics, replies and tags, and one UPDATE.
    assert statements(Topic.all_objects.all().restore) == 4
    assert (Topic.objects.count(), Reply.objects.count()) == (rows, 20 * rows)
