"""Rows of several databases, under one set of models."""

import pytest
from django.contrib.contenttypes.models import ContentType

from shared_core.models import ParentDeletedError, RestoreConflictError, post_soft_delete
from tests.library.models import Account, Author, Book, Note, Reply, Tag, Topic

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture
def topic():
    """Return a topic with a reply and a tag, in the archive; the same rows are in the other database."""
    topic = Topic()
    for using in ("default", "archive"):
        topic.save(using=using, force_insert=True)
        Reply(topic_id=topic.pk).save(using=using)
        content_type = ContentType.objects.db_manager(using).get_for_model(Topic)
        Tag(content_type_id=content_type.pk, object_id=str(topic.pk)).save(using=using)
    return Topic.objects.using("archive").get()


def counts(using):
    return [model.objects.using(using).count() for model in (Topic, Reply, Tag)]


def test_an_instance_is_deleted_and_restored_in_its_own_database(topic):
    assert topic.delete()[0] == 3
    assert (counts("archive"), counts("default")) == ([0, 0, 0], [1, 1, 1])
    assert topic.restore()[0] == 3
    assert (counts("archive"), counts("default")) == ([1, 1, 1], [1, 1, 1])


def test_the_using_argument_overrides_the_instances_database(topic):
    assert topic.delete(using="default")[0] == 3
    assert (counts("archive"), counts("default")) == ([1, 1, 1], [0, 0, 0])
    assert topic.restore(using="default")[0] == 3
    assert topic.hard_delete(using="default")[0] == 3
    assert (counts("archive"), counts("default")) == ([1, 1, 1], [0, 0, 0])


def test_a_queryset_deletes_and_restores_in_its_own_database(topic):
    assert Topic.objects.using("archive").all().delete()[0] == 3
    assert (counts("archive"), counts("default")) == ([0, 0, 0], [1, 1, 1])
    assert Topic.all_objects.using("archive").restore()[0] == 3
    assert Note.objects.using("archive").delete() == (0, {})


def test_restore_looks_for_conflicts_in_its_own_database():
    for using in ("default", "archive"):
        author = Author.objects.using(using).create(name="Ursula")
        Book.objects.using(using).create(author=author, title="Lavinia")
    book = Book.objects.using("archive").get()
    Author.objects.using("archive").get().delete()

    with pytest.raises(ParentDeletedError):
        Book.all_objects.using("archive").get(pk=book.pk).restore()
    assert Book.objects.using("default").get().restore() == (0, {})

    gone = Account.objects.using("archive").create(email="a@b.org")
    gone.delete()
    Account.objects.using("default").create(email="a@b.org")
    assert gone.restore() == (1, {"library.Account": 1})
    gone.delete()
    holder = Account.objects.using("archive").create(email="a@b.org")
    with pytest.raises(RestoreConflictError) as raised:
        gone.restore()
    assert raised.value.objects == (holder,)


def test_a_signal_names_the_database(topic):
    heard = []

    def listen(sender, using, instance, **kwargs):
        heard.append((sender, using, instance._state.db))

    post_soft_delete.connect(listen)
    try:
        topic.delete()
    finally:
        post_soft_delete.disconnect(listen)
    assert sorted(heard, key=str) == sorted([(model, "archive", "archive") for model in (Topic, Reply, Tag)], key=str)
