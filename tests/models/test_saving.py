"""What each way to write rows does with is_deleted, and with rows that are deleted."""

import pytest
from django.db import IntegrityError, models, transaction
from django.db.models import Case, F, Value, When
from django.test.utils import isolate_apps

from shared_core.models import SoftDeleteModel
from tests.library.models import Account, Author, Book, Note
from tests.models.test_purging import a_model, make_tables

pytestmark = pytest.mark.django_db


@pytest.fixture
def notes():
    return [Note.objects.create(text=text) for text in "abc"]


def state(model=Note):
    return dict(model.all_objects.values_list("text" if model is Note else "pk", "is_deleted"))


class TestSave:
    def test_an_unsaved_is_deleted_survives_a_save_of_other_fields(self, author):
        author.is_deleted = True
        author.save(update_fields=["name"])
        assert not Author.all_objects.get().is_deleted

        author.save()
        stored = Author.all_objects.get()
        assert (stored.is_deleted, stored.deleted_at) == (True, author.deleted_at)

    @pytest.mark.parametrize("fields", [["is_deleted"], ["deleted_at"], ["deleted_at", "name"]])
    def test_update_fields_with_either_column_writes_both(self, author, fields):
        author.is_deleted = True
        author.save(update_fields=fields)

        stored = Author.all_objects.get()
        assert stored.is_deleted
        assert stored.deleted_at is not None

    def test_update_fields_may_be_an_iterator(self, author):
        author.name = "changed"
        author.save(update_fields=iter(["name"]))

        assert Author.objects.get().name == "changed"

    def test_update_fields_of_a_stale_copy_do_not_undelete(self, author):
        stale = Author.objects.get()
        author.delete()
        stale.save(update_fields=["is_deleted", "name"])

        assert Author.all_objects.get().deleted_at == author.deleted_at

    def test_a_partial_refresh_keeps_an_unsaved_is_deleted(self, author):
        author.is_deleted = True
        author.refresh_from_db(fields=["name"])
        author.save()

        assert Author.all_objects.get().is_deleted

    def test_a_forced_insert_writes_is_deleted_of_the_instance(self, author):
        author.delete()
        author.pk = Author().pk
        author.save(force_insert=True)

        assert Author.all_objects.filter(is_deleted=True, deleted_at=author.deleted_at).count() == 2

    def test_a_forced_update_of_a_stale_copy_writes_the_rest(self, author):
        stale = Author.objects.get()
        author.delete()
        stale.name = "changed"
        stale.save(force_update=True)

        stored = Author.all_objects.get()
        assert (stored.name, stored.is_deleted) == ("changed", True)

    def test_a_field_that_refuses_assignment_survives(self, monkeypatch):
        """As the protected fields of django-fsm: once loaded, only its own methods may set it."""
        note = Note.objects.create(text="draft")

        class Protected:
            def __get__(self, instance, owner):
                return instance.__dict__["text"]

            def __set__(self, instance, value):
                raise AttributeError("text is protected")

        monkeypatch.setattr(Note, "text", Protected())
        assert note.delete() == (1, {"library.Note": 1})
        assert note.restore() == (1, {"library.Note": 1})
        assert note.text == "draft"


class TestUpdate:
    def test_an_update_keeps_deleted_at_of_deleted_rows(self, notes):
        notes[0].delete()
        Note.all_objects.update(is_deleted=True)

        notes[0].refresh_from_db()
        moments = dict(Note.all_objects.values_list("text", "deleted_at"))
        assert moments["a"] == notes[0].deleted_at
        assert moments["b"] == moments["c"] > moments["a"]

    def test_an_update_accepts_deleted_at_with_is_deleted(self, notes):
        Note.objects.update(is_deleted=True, deleted_at="2020-01-01T00:00:00Z")

        assert {note.deleted_at.year for note in Note.all_objects.all()} == {2020}

    def test_an_update_of_is_deleted_by_an_expression_needs_deleted_at(self, notes):
        with pytest.raises(TypeError, match="takes True or False, or deleted_at beside an expression"):
            Note.objects.update(is_deleted=Case(When(text="a", then=Value(True)), default=F("is_deleted")))

        assert Note.objects.count() == 3


class TestBulk:
    def test_bulk_create_sets_deleted_at_of_deleted_rows(self):
        Note.objects.bulk_create([Note(text="a", is_deleted=True), Note(text="b")])

        gone = Note.objects.deleted().get()
        assert gone.text == "a"
        assert gone.deleted_at is not None
        assert Note.objects.get().text == "b"

    def test_a_bulk_created_instance_can_be_restored_by_a_save(self):
        (note,) = Note.objects.bulk_create([Note(text="a", is_deleted=True)])
        note.is_deleted = False
        note.save()

        assert Note.objects.get().deleted_at is None

    def test_a_bulk_update_writes_changed_is_deleted_and_no_stale_one(self, notes):
        stale = Note.objects.get(text="c")
        notes[1].delete()
        notes[2].delete()
        moment = notes[2].deleted_at
        notes[0].is_deleted = True
        notes[1].is_deleted = False
        stale.text = "C"
        assert Note.objects.bulk_update([notes[0], notes[1], stale], ["text", "is_deleted"]) == 3

        assert state() == {"a": True, "b": False, "C": True}
        assert Note.all_objects.get(text="a").deleted_at == notes[0].deleted_at is not None
        assert Note.all_objects.get(text="b").deleted_at is None
        assert Note.all_objects.get(text="C").deleted_at == moment

    def test_a_bulk_update_sets_updated_at_of_rows_it_deletes(self, author):
        before = author.updated_at
        author.is_deleted = True
        Author.objects.bulk_update([author], ["is_deleted"])

        stored = Author.all_objects.get()
        assert stored.updated_at == stored.deleted_at == author.deleted_at > before

    def test_a_bulk_update_of_other_fields_leaves_is_deleted(self, notes):
        stale = Note.objects.get(text="a")
        notes[0].delete()
        stale.text = "A"
        Note.objects.bulk_update([stale], ["text"])

        assert state()["A"]

    def test_an_upsert_cannot_target_a_unique_active_constraint(self):
        with pytest.raises(ValueError, match="cannot target library_account_email: it is unique under a condition"):
            Account.objects.bulk_create(
                [Account(email="a@b.c")], update_conflicts=True, unique_fields=["email"], update_fields=["handle"]
            )

        Account.objects.create(email="a@b.c")
        Account.objects.bulk_create([Account(email="a@b.c"), Account(email="d@e.f")], ignore_conflicts=True)
        assert Account.objects.count() == 2

    def test_an_upsert_by_the_key_also_writes_deleted_at(self, notes):
        notes[0].is_deleted = True
        Note.objects.bulk_create(notes, update_conflicts=True, unique_fields=["pk"], update_fields=["is_deleted"])

        assert Note.all_objects.get(text="a").deleted_at == notes[0].deleted_at is not None

    @pytest.mark.postgresql  # SQLite makes no tables inside of a transaction
    @isolate_apps("tests.library")
    def test_an_upsert_by_a_key_of_another_name_works(self):
        team = a_model(
            "Team", SoftDeleteModel, code=models.CharField(max_length=9, primary_key=True), size=models.IntegerField()
        )
        make_tables(team)
        for size in (1, 2):
            options = {"update_conflicts": True, "unique_fields": ["pk"], "update_fields": ["size"]}
            team.objects.bulk_create([team(code="red", size=size)], **options)

        assert team.objects.get().size == 2


class TestGetOrCreate:
    """A deleted row that has the values one looks for."""

    def test_get_or_create_looks_only_among_visible_rows(self):
        gone = Account.objects.create(email="a@b.c")
        gone.delete()

        assert Account.all_objects.get_or_create(email="a@b.c") == (gone, False)
        made, is_new = Account.objects.get_or_create(email="a@b.c")
        assert is_new
        assert made != gone
        assert Account.objects.update_or_create(email="a@b.c", defaults={"handle": "a"}) == (made, False)

    def test_get_or_create_of_a_deleted_rows_unique_value_is_an_integrity_error(self):
        from tests.library.models import City

        City.objects.create(code="LIS").delete()

        with pytest.raises(IntegrityError), transaction.atomic():
            City.objects.get_or_create(code="LIS")
        assert not City.all_objects.get_or_create(code="LIS")[1]

    def test_update_or_create_of_all_rows_does_not_undelete(self):
        Account.objects.create(email="a@b.c").delete()
        found, _ = Account.all_objects.update_or_create(email="a@b.c", defaults={"handle": "x"})

        assert found.is_deleted
        found, _ = Account.all_objects.update_or_create(email="a@b.c", defaults={"is_deleted": False})
        assert Account.objects.get().deleted_at is None


def test_a_manager_made_from_a_queryset_hides_deleted_rows(book):
    manager = type(Book.objects.all()).as_manager()
    manager.model = Book
    book.delete()

    assert not manager.exists()
    assert manager.deleted().get() == book
    assert isinstance(manager, models.Manager)
