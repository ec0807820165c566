import pickle

import django
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from shared_core.models import ParentDeletedError, RestoreConflictError, RestoreError, changes
from shared_core.models.restore import checked, find_restore_error
from shared_core.models.signals import post_restore
from tests.library.models import Account, Author, Book, Chapter, Note, Reply, Shelf, Slot, Topic

pytestmark = pytest.mark.django_db


def test_restore_brings_back_exactly_the_cascade_of_its_deletion(author, book, chapters):
    chapters[2].delete()
    author.delete()

    assert author.restore() == (4, {"library.Author": 1, "library.Book": 1, "library.Chapter": 2})
    assert set(Chapter.objects.all()) == set(chapters[:2])
    assert Chapter.objects.deleted().get() == chapters[2]


def test_a_child_deleted_separately_stays_deleted(author, book, chapters):
    book.delete()
    author.delete()

    assert author.restore() == (1, {"library.Author": 1})
    assert not Book.objects.exists()
    assert book.restore() == (4, {"library.Book": 1, "library.Chapter": 3})


def test_a_queryset_restores_each_row_with_its_own_cascade(author):
    books = [Book.objects.create(author=author, title=str(number)) for number in range(3)]
    chapters = [Chapter.objects.create(book=book, title="1") for book in books]
    chapters[0].delete()
    for book in books:
        book.delete()

    assert Book.objects.all().restore() == (5, {"library.Book": 3, "library.Chapter": 2})
    assert Chapter.objects.deleted().get() == chapters[0]


def test_a_tree_of_more_levels_than_a_statement_has_columns_comes_back(book):
    chapters = [Chapter(book=book, title="1")]
    for _ in range(1700):  # PostgreSQL's limit is 1664
        chapters.append(Chapter(book=book, title="1", part_of=chapters[-1]))
    Chapter.objects.bulk_create(chapters)
    chapters[0].delete()

    assert chapters[0].restore() == (1701, {"library.Chapter": 1701})
    assert Chapter.objects.count() == 1701


def test_a_row_is_not_restored_while_its_parent_is_deleted(author, book, chapters):
    author.delete()

    with pytest.raises(ParentDeletedError, match=f"restore library.Author {author.pk} first") as raised:
        book.restore()

    assert raised.value.objects == (author,)
    assert isinstance(raised.value, RestoreError)
    assert not Book.objects.exists()
    assert pickle.loads(pickle.dumps(raised.value)).objects == (author,)


def test_a_deleted_restrict_parent_of_a_child_refuses_the_restore(author, book):
    collector = Author.objects.create(name="Collector")
    Shelf.objects.create(author=collector, book=book)
    book.delete()
    collector.delete()

    with pytest.raises(ParentDeletedError) as raised:
        book.restore()
    assert raised.value.objects == (collector,)

    collector.restore()
    assert book.restore() == (2, {"library.Book": 1, "library.Shelf": 1})


def test_a_deleted_set_null_parent_does_not_refuse_the_restore(author, book):
    translator = Author.objects.create(name="Karen")
    Book.objects.update(translator=translator)
    author.delete()
    translator.delete()

    assert author.restore() == (2, {"library.Author": 1, "library.Book": 1})


@pytest.mark.postgresql  # SQLite has no UPDATE of several tables
def test_the_number_of_queries_does_not_grow_with_the_rows(author, django_assert_num_queries):
    books = [Book.objects.create(author=author, title=str(number)) for number in range(20)]
    Chapter.objects.bulk_create(Chapter(book=book, title="1") for book in books for _ in range(10))
    author.delete()

    # Savepoint; lock of the author, of books, of chapters by book and by part, of shelves; one UPDATE; release.
    with django_assert_num_queries(8):
        assert author.restore()[0] == 221


@pytest.mark.parametrize("restore", [lambda topic: topic.restore(), lambda topic: Topic.objects.all().restore()])
def test_rows_deleted_separately_stay_deleted_in_an_unconstrained_tree(restore):
    topic = Topic.objects.create()
    early, late, along = (Reply.objects.create(topic=topic) for _ in range(3))
    early.delete()
    topic.soft_delete(cascade=False)
    late.delete()
    topic.restore()
    topic.delete()

    assert restore(topic) == (2, {"library.Topic": 1, "library.Reply": 1})
    assert Reply.objects.get() == along
    assert set(Reply.objects.deleted()) == {early, late}


@pytest.mark.parametrize("make", [Topic, Note])
def test_find_restore_error_does_not_advance_the_clock(make):
    make.objects.create().delete()
    before = changes._last_timestamp

    assert find_restore_error(make.all_objects.all()) is None
    assert changes._last_timestamp == before


def test_find_restore_error_takes_no_lock_and_changes_nothing(author, book):
    author.delete()

    with CaptureQueriesContext(connection) as queries:
        error = find_restore_error(Book.all_objects.filter(pk=book.pk))
    assert isinstance(error, ParentDeletedError)
    assert error.objects == (author,)
    assert not any("FOR NO KEY UPDATE" in query["sql"] or "UPDATE " in query["sql"][:7] for query in queries)


class TestConflicts:
    def test_a_taken_unique_value_refuses_the_restore_before_any_write(self):
        gone = Account.objects.create(email="a@b.c")
        guest = Account.objects.create(email="g@b.c", invited_by=gone)
        gone.delete()
        holder = Account.objects.create(email="a@b.c")

        with pytest.raises(RestoreConflictError, match=f"library.Account {holder.pk} has the values") as raised:
            gone.restore()
        assert raised.value.objects == (holder,)
        assert "library_account_email" in str(raised.value)
        assert set(Account.objects.all()) == {holder}
        assert gone.is_deleted
        assert pickle.loads(pickle.dumps(raised.value)).objects == (holder,)

        holder.delete()
        assert gone.restore()[0] == 2
        assert set(Account.objects.all()) == {gone, guest}

    def test_a_taken_unique_value_of_a_child_refuses_the_restore(self):
        gone = Account.objects.create(email="a@b.c")
        Account.objects.create(email="g@b.c", invited_by=gone)
        gone.delete()
        holder = Account.objects.create(email="g@b.c")

        with pytest.raises(RestoreConflictError) as raised:
            gone.restore()
        assert raised.value.objects == (holder,)

    def test_two_restored_rows_with_the_same_unique_value_conflict(self):
        first = Account.objects.create(email="a@b.c")
        first.delete()
        second = Account.objects.create(email="a@b.c")
        second.delete()

        with pytest.raises(RestoreConflictError) as raised:
            Account.objects.all().restore()
        assert set(raised.value.objects) == {first, second}
        assert not Account.objects.exists()

    def test_constraints_with_expressions_and_conditions_are_checked(self):
        gone = Account.objects.create(email="a@b.c", handle="Ada")
        nameless = Account.objects.create(email="n@b.c", handle="")
        Account.objects.all().delete()
        Account.objects.create(email="x@b.c", handle="")
        holder = Account.objects.create(email="y@b.c", handle="ADA")

        nameless.restore()
        with pytest.raises(RestoreConflictError) as raised:
            gone.restore()
        assert raised.value.objects == (holder,)

    def test_rows_that_the_condition_leaves_out_do_not_conflict(self):
        gone = Account.objects.create(email="a@b.c", team="core", is_lead=True)
        gone.delete()
        Account.objects.create(email="b@b.c", team="core")

        assert gone.restore() == (1, {"library.Account": 1})
        gone.delete()
        holder = Account.objects.create(email="c@b.c", team="core", is_lead=True)
        with pytest.raises(RestoreConflictError) as raised:
            gone.restore()
        assert raised.value.objects == (holder,)

    @pytest.mark.postgresql  # SQLite knows no NULLS NOT DISTINCT
    @pytest.mark.skipif(django.VERSION < (5, 1), reason="Django 5.0 cannot make such a constraint")
    def test_a_null_conflicts_with_nulls_not_distinct(self):
        gone = Slot.objects.create(number=None, label="a")
        gone.delete()
        holder = Slot.objects.create(number=None, label="b")

        with pytest.raises(RestoreConflictError, match="library_slot_number") as raised:
            gone.restore()
        assert raised.value.objects == (holder,)

    @pytest.mark.postgresql  # as above
    def test_many_rows_with_nulls_not_distinct_are_not_compared_one_by_one(self):
        Slot.objects.bulk_create(Slot(number=number, label=str(number)) for number in range(20_000))
        Slot.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '8s'")  # a tenth of what 400,000,000 comparisons take

        assert Slot.all_objects.all().restore() == (20_000, {"library.Slot": 20_000})

    def test_constraints_with_deleted_at_and_ordered_expressions_are_checked(self):
        gone = Slot.objects.create(number=1, label="a")
        gone.delete()
        holder = Slot.objects.create(number=2, label="a")

        with pytest.raises(RestoreConflictError, match="library_slot_label") as raised:
            gone.restore()
        assert raised.value.objects == (holder,)

    def test_a_constraint_that_ignores_is_deleted_does_not_refuse_a_restore(self):
        slot = Slot.objects.create(number=0, label="a")
        slot.delete()

        assert slot.restore() == (1, {"library.Slot": 1})


class TestStaleCopies:
    def test_a_stale_active_copy_restores_the_row(self, author, book):
        stale = Author.objects.get()
        author.delete()

        assert stale.restore() == (2, {"library.Author": 1, "library.Book": 1})
        assert not stale.is_deleted

    def test_a_copy_from_an_earlier_deletion_restores_the_last_one(self):
        topic = Topic.objects.create()
        first, second = Reply.objects.create(topic=topic), Reply.objects.create(topic=topic)
        topic.delete()
        stale = Topic.all_objects.get()
        topic.restore()
        first.refresh_from_db()
        first.delete()
        topic.delete()

        assert stale.restore() == (2, {"library.Topic": 1, "library.Reply": 1})
        assert Reply.objects.get() == second

    def test_restoring_a_stale_copy_of_an_active_row_only_updates_the_copy(self, author):
        author.delete()
        stale = Author.all_objects.get()
        author.restore()

        assert stale.restore() == (0, {})
        assert (stale.is_deleted, stale.deleted_at) == (False, None)


@pytest.mark.django_db
def test_a_check_gets_every_row_that_a_restore_would_write_and_may_refuse():
    topic = Topic.objects.create()
    replies = [Reply.objects.create(topic=topic) for _ in range(2)]  # rows that are not collected without a check
    topic.delete()
    seen = []

    def refuse(groups):
        seen.extend((group.model, set(group.keys)) for group in groups)
        raise PermissionError

    with pytest.raises(PermissionError), checked(refuse):
        topic.restore()

    assert seen == [(Topic, {topic.pk}), (Reply, {reply.pk for reply in replies})]
    assert not Topic.objects.exists()
    topic.restore()
    assert Reply.objects.count() == 2


@pytest.mark.django_db
def test_a_check_does_not_get_what_a_receiver_restores():
    first, second = Topic.objects.create(), Topic.objects.create()
    first.delete()
    second.delete()
    seen = []

    def restore_second(instance, **_):
        if instance.pk == first.pk:
            second.restore()

    post_restore.connect(restore_second, sender=Topic)
    try:
        with checked(lambda groups: seen.extend(key for group in groups for key in group.keys)):
            first.restore()
            Topic.objects.create().delete()
    finally:
        post_restore.disconnect(restore_second, sender=Topic)

    assert seen == [first.pk]
    assert Topic.objects.count() == 2
