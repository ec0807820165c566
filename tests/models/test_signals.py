import pytest
from asgiref.sync import async_to_sync
from django.db.models import ProtectedError

from shared_core.models import post_restore, post_soft_delete, pre_restore, pre_soft_delete
from tests.library.models import Author, Book, Chapter, Loan, Note

pytestmark = pytest.mark.django_db
SIGNALS = {
    "pre_soft_delete": pre_soft_delete,
    "post_soft_delete": post_soft_delete,
    "pre_restore": pre_restore,
    "post_restore": post_restore,
}


@pytest.fixture
def heard():
    """Return what each signal said, as it came: ``[(signal, sender, instance, using, deleted_at, is_deleted)]``."""
    calls, receivers = [], []
    for name, signal in SIGNALS.items():

        def receive(sender, instance, using, deleted_at, name=name, **kwargs):
            stored = type(instance)._base_manager.values_list("is_deleted", flat=True).get(pk=instance.pk)
            calls.append((name, sender, instance, using, deleted_at, instance.is_deleted, stored))

        signal.connect(receive)
        receivers.append((signal, receive))
    yield calls
    for signal, receive in receivers:
        signal.disconnect(receive)


def test_signals_are_sent_before_and_after_each_row_is_written(author, book, heard):
    counts = author.delete()
    at = author.deleted_at

    assert counts == (2, {"library.Author": 1, "library.Book": 1})
    assert heard == [
        ("pre_soft_delete", Author, author, "default", at, False, False),
        ("pre_soft_delete", Book, book, "default", at, False, False),
        ("post_soft_delete", Author, author, "default", at, True, True),
        ("post_soft_delete", Book, book, "default", at, True, True),
    ]
    assert heard[0][2] is author

    heard.clear()
    author.restore()
    assert heard == [
        ("pre_restore", Author, author, "default", at, True, True),
        ("pre_restore", Book, book, "default", at, True, True),
        ("post_restore", Author, author, "default", at, False, False),
        ("post_restore", Book, book, "default", at, False, False),
    ]


def test_no_signal_is_sent_for_a_row_that_is_already_deleted(author, heard):
    author.delete()
    heard.clear()

    assert author.delete() == (0, {})
    assert Author.all_objects.all().delete() == (0, {})
    assert heard == []


def test_an_exception_in_a_receiver_rolls_the_delete_back(author, book):
    def refuse(sender, **kwargs):
        raise ValueError("not today")

    pre_soft_delete.connect(refuse, sender=Book)
    try:
        with pytest.raises(ValueError, match="not today"):
            author.delete()
    finally:
        pre_soft_delete.disconnect(refuse, sender=Book)

    assert not author.is_deleted
    assert (Author.objects.count(), Book.objects.count()) == (1, 1)


def test_no_signal_is_sent_for_a_protected_delete(author, book, heard):
    Loan.objects.create(book=book)

    with pytest.raises(ProtectedError):
        author.delete()
    assert heard == []


def test_signals_are_sent_for_a_row_without_relations_or_cascade(author, book, heard):
    note = Note.objects.create(text="a")
    note.delete()
    author.soft_delete(cascade=False)

    assert [call[:3] for call in heard] == [
        ("pre_soft_delete", Note, note),
        ("post_soft_delete", Note, note),
        ("pre_soft_delete", Author, author),
        ("post_soft_delete", Author, author),
    ]


def test_a_queryset_sends_a_signal_for_each_row_also_from_async_code(author, heard):
    books = {Book.objects.create(author=author, title=str(number)) for number in range(3)}
    assert async_to_sync(Book.objects.all().asoft_delete)()[0] == 3

    assert {call[2] for call in heard if call[0] == "pre_soft_delete"} == books


def test_rows_are_loaded_only_for_models_with_receivers(author, book, chapters, django_assert_num_queries):
    seen = []

    def listen(sender, instance, **kwargs):
        seen.append(instance)

    post_soft_delete.connect(listen, sender=Chapter)
    try:
        with django_assert_num_queries(13) as queries:  # as many as without, and one that loads the chapters
            author.delete()
    finally:
        post_soft_delete.disconnect(listen, sender=Chapter)

    assert set(seen) == set(chapters)
    assert sum('"title"' in query["sql"] for query in queries) == 1


def test_saving_is_deleted_and_update_send_no_signal(author, heard):
    author.is_deleted = True
    author.save()
    Author.all_objects.update(is_deleted=False)

    assert heard == []
