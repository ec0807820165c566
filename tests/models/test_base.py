import copy
import datetime as dt
import pickle
import uuid

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.base_user import BaseUserManager
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.utils import timezone

from shared_core.models import BaseModel, SoftDeleteManager, SoftDeleteQuerySet, uuid7
from tests.library.models import Author, Book, Note

pytestmark = pytest.mark.django_db


def test_the_five_columns_are_those_of_the_contract():
    columns = {field.name: field.deconstruct()[1:] for field in Author._meta.get_fields() if field.concrete}
    columns.pop("name")
    key = {"primary_key": True, "default": uuid7, "editable": False, "serialize": False}

    assert columns == {
        "id": ("django.db.models.UUIDField", [], key),
        "created_at": ("django.db.models.DateTimeField", [], {"auto_now_add": True}),
        "updated_at": ("django.db.models.DateTimeField", [], {"auto_now": True}),
        "is_deleted": ("django.db.models.BooleanField", [], {"default": False, "db_index": True}),
        "deleted_at": ("django.db.models.DateTimeField", [], {"null": True, "blank": True}),
    }
    assert MigrationWriter.serialize(uuid7)[0] == "shared_core.models.uuid7"


def test_a_new_row_has_a_key_before_it_is_saved_and_timestamps_after():
    author = Author(name="Ursula")
    key = author.pk
    author.save()

    assert isinstance(key, uuid.UUID)
    assert (author.pk, author.is_deleted, author.deleted_at) == (key, False, None)
    assert dt.timedelta(0) <= author.updated_at - author.created_at < dt.timedelta(seconds=5)


def test_a_save_changes_only_updated_at(author):
    created, updated = author.created_at, author.updated_at
    author.save()

    assert (author.created_at, author.updated_at > updated) == (created, True)


def test_delete_hides_the_row_and_updates_the_instance(author):
    updated = author.updated_at
    author.name = "not saved"

    assert author.delete() == (1, {"library.Author": 1})
    assert author.is_deleted
    assert author.deleted_at == author.updated_at > updated
    assert author.name == "not saved"
    assert not Author.objects.exists()
    stored = Author.all_objects.get()
    assert (stored.is_deleted, stored.deleted_at, stored.updated_at) == (True, author.deleted_at, author.updated_at)
    assert stored.name == "Ursula"


def test_deleting_twice_changes_nothing(author):
    stale = Author.objects.get()
    author.delete()
    first = author.deleted_at

    assert author.delete() == (0, {})
    assert stale.delete() == (0, {})
    assert stale.is_deleted
    assert author.deleted_at == stale.deleted_at == Author.all_objects.get().deleted_at == first


def test_restore_shows_the_row_again_and_updates_the_instance(author):
    author.delete()
    deleted = author.updated_at

    assert author.restore() == (1, {"library.Author": 1})
    assert (author.is_deleted, author.deleted_at) == (False, None)
    assert author.updated_at > deleted
    assert Author.objects.get() == author
    assert author.restore() == (0, {})


def test_a_hard_delete_cascades_as_djangos_delete(author, book):
    book.delete()

    assert author.hard_delete() == (2, {"library.Book": 1, "library.Author": 1})
    assert not Author.all_objects.exists()
    assert not Book.all_objects.exists()


def test_a_row_without_relations_is_deleted_by_one_statement_and_no_transaction(django_assert_num_queries):
    note = Note.objects.create(text="buy milk")

    with django_assert_num_queries(1) as queries:
        note.delete()

    assert queries[0]["sql"].startswith("UPDATE")


def test_deletions_never_share_a_timestamp_even_under_a_frozen_clock(monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    notes = [Note.objects.create(text=str(number)) for number in range(3)]
    for note in notes:
        note.delete()

    moments = [note.deleted_at for note in notes]
    assert moments == sorted(set(moments))


def test_deleting_an_unsaved_instance_does_nothing_or_raises_as_django():
    assert Author(name="nobody").delete() == (0, {})
    with pytest.raises(ValueError, match="Note object can't be deleted because its id attribute is None"):
        Note(text="no key").delete()
    with pytest.raises(ValueError, match="Note object can't be restored because its id attribute is None"):
        Note(text="no key").restore()


class TestSaving:
    def test_a_stale_copy_does_not_undelete(self, author):
        stale = Author.objects.get()
        author.delete()
        stale.name = "changed"
        stale.save()

        stored = Author.all_objects.get()
        assert (stored.name, stored.is_deleted, stored.deleted_at) == ("changed", True, author.deleted_at)

    def test_a_stale_copy_does_not_delete(self, author):
        author.delete()
        stale = Author.all_objects.get()
        author.restore()
        stale.save()

        assert Author.objects.get() == author

    def test_saving_is_deleted_also_writes_deleted_at(self, author):
        author.is_deleted = True
        author.save()
        deleted = Author.all_objects.get()
        deleted.is_deleted = False
        deleted.save(update_fields=["is_deleted"])

        assert author.deleted_at is not None
        stored = Author.objects.get()
        assert (stored.is_deleted, stored.deleted_at) == (False, None)

    def test_a_row_may_be_created_deleted(self):
        author = Author.objects.create(name="gone", is_deleted=True)

        assert Author.all_objects.get().deleted_at == author.deleted_at is not None

    def test_refreshed_and_copied_instances_know_the_stored_state(self, author):
        other = Author.objects.get()
        other.delete()
        author.refresh_from_db()
        twin = pickle.loads(pickle.dumps(copy.copy(author)))
        other.restore()
        twin.save()

        assert author.is_deleted
        assert Author.objects.get() == author

    def test_a_deferred_instance_can_be_saved_and_deleted(self, author):
        deferred = Author.objects.only("name").get()
        deferred.name = "changed"
        deferred.save()
        deferred.delete()

        stored = Author.all_objects.get()
        assert (stored.name, stored.is_deleted) == ("changed", True)


def test_the_async_methods_delete_and_restore(author):
    # async_to_sync keeps the database work in this thread, and so in the test's own transaction.
    async def story():
        deleted = await author.adelete()
        restored = await author.arestore()
        again = await Author.objects.all().asoft_delete()
        back = await Author.all_objects.all().arestore()
        gone = await author.ahard_delete()
        return deleted, restored, again, back, gone

    one = (1, {"library.Author": 1})
    assert async_to_sync(story)() == (one, one, one, one, one)


class TestCombiningWithOtherManagers:
    def test_djangos_user_manager_keeps_the_filter_in_either_order(self):
        class First(SoftDeleteManager, BaseUserManager):
            pass

        class Second(BaseUserManager, SoftDeleteManager):
            pass

        for manager_class in (First, Second):
            manager = manager_class()
            manager.model = Author
            assert "is_deleted" in str(manager.all().query.where)
            assert manager.normalize_email("Ada@EXAMPLE.com") == "Ada@example.com"

    def test_a_manager_accepts_only_soft_delete_querysets(self):
        with pytest.raises(TypeError, match="QuerySet must derive from shared_core"):
            SoftDeleteManager.from_queryset(models.QuerySet)

        assert Book.objects.long().count() == 0
        assert issubclass(type(Book.objects.all()), SoftDeleteQuerySet)

    def test_a_manager_does_not_offer_to_delete_a_whole_table(self):
        for name in ("delete", "soft_delete", "restore", "hard_delete", "asoft_delete"):
            assert not hasattr(Book.objects, name)

    def test_the_base_manager_never_filters(self, author, book):
        author.delete()
        stored = Book.all_objects.select_related("author").get()

        assert Book.all_objects.get().author == author
        assert stored.author == author


def test_each_parent_of_the_base_model_is_abstract_and_usable_alone():
    assert [parent.__name__ for parent in BaseModel.__bases__] == ["UUIDModel", "TimeStampedModel", "SoftDeleteModel"]
    assert all(parent._meta.abstract for parent in BaseModel.__mro__[:4])
    assert [field.name for field in Note._meta.fields] == ["id", "is_deleted", "deleted_at", "text"]
