import logging

import pytest
from django.db.models import ProtectedError, RestrictedError

from tests.library.models import (
    Author,
    Book,
    Booking,
    Chain,
    Chapter,
    Club,
    Group,
    Loan,
    Person,
    Reply,
    Seal,
    Shelf,
    Stamp,
    Tag,
    Topic,
)

pytestmark = pytest.mark.django_db


def test_delete_cascades_with_one_timestamp(author, book, chapters):
    counts = author.delete()

    assert counts == (5, {"library.Author": 1, "library.Book": 1, "library.Chapter": 3})
    rows = [*Book.all_objects.all(), *Chapter.all_objects.all()]
    assert {(row.is_deleted, row.deleted_at) for row in rows} == {(True, author.deleted_at)}


def test_delete_leaves_rows_of_others_and_rows_deleted_earlier(author, book, chapters):
    stranger = Book.objects.create(author=Author.objects.create(name="Stanislaw"), title="Solaris")
    chapters[2].delete()
    earlier = chapters[2].deleted_at
    author.delete()

    chapters[2].refresh_from_db()
    assert chapters[2].deleted_at == earlier
    assert Book.objects.get() == stranger


def test_a_delete_without_cascade_marks_one_row(author, book):
    assert author.soft_delete(cascade=False) == (1, {"library.Author": 1})
    assert Book.objects.get() == book


def test_a_set_null_foreign_key_is_kept_by_a_soft_delete(author, book):
    translator = Author.objects.create(name="Karen")
    book.translator = translator
    book.save()

    assert translator.delete() == (1, {"library.Author": 1})
    assert Book.objects.get().translator_id == translator.pk


def test_rows_without_soft_delete_are_not_deleted(author, book):
    stamp = Stamp.objects.create(book=book)
    author.delete()

    assert Stamp.objects.get() == stamp


def test_an_active_protected_row_refuses_the_delete_before_any_write(author, book):
    loan = Loan.objects.create(book=book)

    with pytest.raises(ProtectedError, match=r"'Book' because they .* protected foreign keys: 'Loan.book'") as raised:
        author.delete()

    assert raised.value.protected_objects == {loan}
    assert not author.is_deleted
    assert Book.objects.get() == book


def test_a_protected_child_refuses_the_delete_of_its_parent():
    group = Group.objects.create(club=Club.objects.create())
    booking = Booking.objects.create(group=group)

    with pytest.raises(ProtectedError, match=r"model 'Group' because they .* 'Booking.group'") as raised:
        group.club.delete()
    assert raised.value.protected_objects == {booking}
    assert Club.objects.get() == group.club
    booking.delete()
    assert group.club.delete()[0] == 2


@pytest.mark.parametrize(("link", "error"), [("restricting", RestrictedError), ("protecting", ProtectedError)])
def test_a_row_without_soft_delete_can_protect_or_restrict(link, error):
    person = Person.objects.create(name="Ada")
    seal = Seal.objects.create(**{link: person})

    with pytest.raises(error, match=f"'Seal.{link}'"):
        person.delete()
    seal.delete()
    assert person.delete() == (1, {"library.Person": 1})


def test_protected_error_names_all_protected_rows(author, book):
    loans = {Loan.objects.create(book=book) for _ in range(3)}

    with pytest.raises(ProtectedError) as raised:
        book.delete()
    assert raised.value.protected_objects == loans


def test_a_deleted_protected_row_does_not_refuse_the_delete(author, book):
    Loan.objects.create(book=book).delete()

    assert author.delete() == (2, {"library.Author": 1, "library.Book": 1})


def test_a_restricted_row_refuses_the_delete_unless_it_is_deleted_by_another_cascade(author, book):
    other = Book.objects.create(author=Author.objects.create(name="Stanislaw"), title="Solaris")
    staying = Shelf.objects.create(author=author, book=other)
    Shelf.objects.create(author=author, book=book)

    with pytest.raises(
        RestrictedError, match=r"'Author' because they .* restricted foreign keys: 'Shelf.author'"
    ) as raised:
        author.delete()
    assert raised.value.restricted_objects == {staying}

    staying.delete()
    assert author.delete() == (3, {"library.Author": 1, "library.Book": 1, "library.Shelf": 1})


def test_a_queryset_delete_cascades_from_each_of_its_rows(author, book, chapters):
    Book.objects.create(author=author, title="Lavinia")

    assert Book.objects.all().delete() == (5, {"library.Book": 2, "library.Chapter": 3})
    assert not Chapter.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_rows(author, django_assert_num_queries):
    books = [Book.objects.create(author=author, title=str(number)) for number in range(20)]
    Chapter.objects.bulk_create(Chapter(book=book, title="1") for book in books for _ in range(10))

    # Savepoint; lock of the author; books and shelves of hers; chapters, loans and shelves of the books; parts of the
    # chapters; one UPDATE each of authors, books and chapters; release of the savepoint.
    with django_assert_num_queries(12):
        assert author.delete()[0] == 221


@pytest.mark.parametrize("replies", [1, 300])
def test_a_tree_without_protection_is_deleted_by_one_update_per_relation(replies, django_assert_num_queries):
    topic = Topic.objects.create()
    Reply.objects.bulk_create(Reply(topic=topic) for _ in range(replies))
    Tag.objects.create(subject=topic)

    # Savepoint; topic, tags, replies; release.
    with django_assert_num_queries(5) as queries:
        assert topic.delete()[0] == replies + 2
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "UPDATE", "UPDATE", "UPDATE", "RELEASE"]


@pytest.mark.parametrize("rows", [Topic.all_objects.all, Topic.objects.deleted, Topic.all_objects.distinct])
def test_a_queryset_delete_does_not_change_deleted_rows(rows):
    topic = Topic.objects.create()
    Reply.objects.create(topic=topic)
    topic.delete()

    assert rows().delete() == (0, {})
    assert Topic.all_objects.get().deleted_at == Reply.all_objects.get().deleted_at == topic.deleted_at


def test_the_trees_of_a_queryset_are_deleted_by_one_update_per_relation(django_assert_num_queries):
    for _ in range(3):
        Reply.objects.create(topic=Topic.objects.create())
    Topic.objects.first().delete()

    with django_assert_num_queries(5):
        assert Topic.objects.filter(replies__isnull=False).distinct().delete()[0] == 4
    assert len(set(Topic.all_objects.values_list("deleted_at", flat=True))) == 2


def test_the_cascade_stops_at_a_relation_without_rows(django_assert_num_queries):
    chain = Chain.objects.create()

    # Savepoint; chain; its restaurants, of which there is none, so that nobody asks for waiters; release.
    with django_assert_num_queries(4):
        assert chain.delete() == (1, {"library.Chain": 1})


def test_each_delete_and_restore_writes_one_log_record(author, book, caplog):
    caplog.set_level(logging.INFO, "shared_core.models")
    author.delete()
    moment = author.deleted_at
    author.delete()
    author.restore()

    deleted, restored = caplog.records
    counts = {"library.Author": 1, "library.Book": 1}
    assert (deleted.message, deleted.rows, deleted.by_model) == ("Soft-deleted library.Author", 2, counts)
    assert deleted.deleted_at == moment
    assert (restored.message, restored.rows, restored.by_model) == ("Restored library.Author", 2, counts)
