"""Cascades by relations that are less common than a foreign key to a primary key."""

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connection, models, transaction
from django.db.models import ProtectedError
from django.test.utils import isolate_apps

from shared_core.models import ParentDeletedError, SoftDeleteModel
from shared_core.models.cascade import as_owner_rows, related_rows
from shared_core.models.relations import hierarchy_of, relations_declared_by, relations_to
from tests.library.models import (
    Book,
    Chain,
    City,
    Item,
    Loan,
    Membership,
    Person,
    Place,
    Reply,
    Restaurant,
    Review,
    Stamp,
    Tag,
    Topic,
    Vase,
    Waiter,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def city():
    return City.objects.create(code="LIS")


def referring(model, effect):
    return {(relation.child, relation.link.name): getattr(relation, effect).name for relation in relations_to(model)}


@isolate_apps("tests.library")
def test_each_on_delete_maps_to_its_effect():
    def keep_some(collector, field, sub_objs, using):
        """An on_delete of a service's own."""

    names = ("CASCADE", "PROTECT", "RESTRICT", "DO_NOTHING")
    kinds = {
        **{name.lower(): getattr(models, name) for name in names},
        "set_null": models.SET_NULL,
        "set": models.SET(None),
        "own": keep_some,
    }
    links = {name: models.ForeignKey(Book, on_delete, null=True, related_name="+") for name, on_delete in kinds.items()}
    loose = models.ForeignKey(Book, models.DO_NOTHING, null=True, related_name="+", db_constraint=False)
    meta = type("Meta", (), {"app_label": "library"})
    made = type("Made", (SoftDeleteModel,), {"__module__": __name__, "Meta": meta, **links, "loose": loose})
    effects = {relation.link.name: (relation.soft.name, relation.hard.name) for relation in relations_declared_by(made)}

    assert effects == {
        "cascade": ("CASCADE", "CASCADE"),
        "protect": ("PROTECT", "PROTECT"),
        "restrict": ("RESTRICT", "RESTRICT"),
        "do_nothing": ("KEEP", "RESTRICT"),
        "loose": ("KEEP", "KEEP"),
        "set_null": ("KEEP", "KEEP"),
        "set": ("KEEP", "KEEP"),
        "own": ("KEEP", "CASCADE"),
    }


def test_relations_to_any_model_are_found():
    assert referring(Topic, "soft") == {(Reply, "topic"): "CASCADE", (Tag, "object_id"): "CASCADE"}
    assert referring(Item, "soft") == {(Vase, "item_ptr"): "CASCADE"}  # cannot be soft-deleted itself
    assert referring(Book, "soft")[Stamp, "book"] == "KEEP"
    assert referring(Book, "hard")[Stamp, "book"] == "CASCADE"
    (through,) = (relation for relation in relations_to(Person) if relation.child is Membership)
    assert (through.link.name, through.columns, through.target_columns) == ("person", ["person_id"], ["id"])


class TestGenericRelations:
    def test_delete_and_restore_cascade_over_a_generic_relation(self):
        topic, other = Topic.objects.create(), Topic.objects.create()
        tag, stranger = Tag.objects.create(subject=topic), Tag.objects.create(subject=other)

        assert topic.delete() == (2, {"library.Topic": 1, "library.Tag": 1})
        assert Tag.objects.get() == stranger
        assert topic.restore() == (2, {"library.Topic": 1, "library.Tag": 1})
        assert set(Tag.objects.all()) == {tag, stranger}

    def test_a_row_of_another_model_with_the_same_key_stays(self):
        topic = Topic.objects.create()
        City.objects.create(pk=topic.pk, code="LIS")
        Tag.objects.create(subject=City.objects.get())

        assert topic.delete() == (1, {"library.Topic": 1})

    def test_a_row_is_not_restored_while_its_generic_target_is_deleted(self):
        topic = Topic.objects.create()
        tag = Tag.objects.create(subject=topic)
        topic.delete()

        with pytest.raises(ParentDeletedError) as raised:
            Tag.all_objects.get(pk=tag.pk).restore()
        assert raised.value.objects == (topic,)

    def test_an_invalid_generic_key_does_not_refuse_a_restore(self):
        tag = Tag.objects.create(subject=Topic.objects.create())
        Tag.objects.update(object_id="nonsense")
        tag.delete()

        assert tag.restore() == (1, {"library.Tag": 1})


class TestMultiTableInheritance:
    @pytest.fixture
    def restaurant(self, city):
        return Restaurant.objects.create(city=city, chain=Chain.objects.create())

    def test_deleting_a_multi_table_child_writes_the_parents_table(self, restaurant):
        place = Place.objects.get()

        assert restaurant.delete() == (1, {"library.Restaurant": 1})
        assert restaurant.is_deleted
        assert not Place.objects.exists()
        assert not Restaurant.objects.exists()
        assert Restaurant.objects.deleted().get().deleted_at == restaurant.deleted_at
        place.refresh_from_db()
        assert place.restore() == (1, {"library.Place": 1})
        assert Restaurant.objects.get() == restaurant

    @pytest.mark.parametrize("model", [Place, Restaurant])
    def test_the_cascade_follows_relations_to_parent_and_child_table(self, restaurant, model):
        Waiter.objects.create(restaurant=restaurant)
        Review.objects.create(place=restaurant)

        total, counts = model.objects.get().delete()
        assert (total, counts["library.Waiter"], counts["library.Review"]) == (3, 1, 1)
        assert model.objects.deleted().get().restore()[0] == 3
        assert (Waiter.objects.count(), Review.objects.count()) == (1, 1)

    def test_changing_is_deleted_of_a_child_updates_the_parents_columns(self, restaurant):
        before = restaurant.updated_at
        Restaurant.objects.update(is_deleted=True)
        deleted = Place.objects.deleted().get()
        assert deleted.updated_at == deleted.deleted_at > before

        deleted.is_deleted = False
        assert Place.objects.bulk_update([deleted], ["is_deleted"]) == 1
        restored = Restaurant.objects.get()
        assert restored.deleted_at is None
        assert restored.updated_at > before
        restored.is_deleted = True
        restored.save()
        assert Place.objects.deleted().get().deleted_at == restored.deleted_at

    def test_a_cascade_by_a_foreign_key_of_the_child_marks_the_parent_row(self, restaurant):
        waiter = Waiter.objects.create(restaurant=restaurant)

        assert Chain.objects.get().delete()[0] == 3
        assert not Place.objects.exists()
        assert Chain.objects.deleted().get().restore()[0] == 3
        assert Waiter.objects.get() == waiter

    def test_the_cascade_follows_a_foreign_key_with_to_field(self, restaurant, city):
        Waiter.objects.create(restaurant=restaurant)
        elsewhere = Place.objects.create(city=City.objects.create(code="OPO"))

        assert city.delete()[1] == {"library.City": 1, "library.Place": 1, "library.Waiter": 1}
        assert Place.objects.get() == elsewhere
        assert city.restore()[0] == 3

    def test_a_queryset_of_children_deletes_and_restores(self, restaurant, city):
        Place.objects.create(city=city)
        Review.objects.create(place=restaurant)

        assert Restaurant.objects.filter(chain__isnull=False).delete()[0] == 2
        assert Place.objects.count() == 1
        assert Restaurant.objects.all().restore()[0] == 2

    def test_a_cascade_by_a_foreign_key_of_a_plain_parent_deletes_the_child(self, city):
        vase = Vase.objects.create(city=city)
        plain = Item.objects.create(city=city)

        assert city.delete() == (2, {"library.City": 1, "library.Vase": 1})
        assert not Vase.objects.exists()
        assert set(Item.objects.all()) == {vase.item_ptr, plain}
        assert city.restore()[0] == 2


class TestUnusualModels:
    @pytest.fixture
    def root(self):
        """Return a model with a table, to which an unmanaged one without refers."""
        with isolate_apps("tests.library"):

            class Root(SoftDeleteModel):
                class Meta:
                    app_label = "library"

            class Ghost(SoftDeleteModel):
                root = models.ForeignKey(Root, models.CASCADE, db_constraint=False)

                class Meta:
                    app_label = "library"
                    managed = False

            with connection.schema_editor() as editor:
                editor.create_model(Root)
            yield Root

    @pytest.mark.postgresql
    def test_a_missing_table_is_djangos_error_with_the_relation_as_a_note(self, root):
        row = root.objects.create()

        with pytest.raises(ProgrammingError, match="library_ghost") as raised, transaction.atomic():
            row.delete()
        assert raised.value.__notes__ == ["The cascade was following library.Ghost.root."]
        assert root.objects.get() == row
        assert not row.is_deleted
        assert row.soft_delete(cascade=False) == (1, {"library.Root": 1})

    @pytest.mark.skipif(django.VERSION < (5, 2), reason="Django 5.2 brought composite keys")
    @isolate_apps("tests.library")
    def test_a_composite_primary_key_is_an_error_that_names_the_model(self):
        class Root(SoftDeleteModel):
            class Meta:
                app_label = "library"

        class Line(SoftDeleteModel):
            pk = models.CompositePrimaryKey("root", "number")
            root = models.ForeignKey(Root, models.CASCADE)
            number = models.IntegerField()

            class Meta:
                app_label = "library"

        root = hierarchy_of(Root)
        with pytest.raises(ImproperlyConfigured, match=r"library.Line has a composite primary key"):
            as_owner_rows(related_rows(root.cascades[0], [(1,)], "default"), root.cascades[0].hierarchy)

    @isolate_apps("tests.library")
    def test_a_swapped_model_has_no_relations(self, settings):
        settings.TEST_SWAPPED = "library.Topic"

        class Root(SoftDeleteModel):
            class Meta:
                app_label = "library"

        class Swapped(SoftDeleteModel):
            root = models.ForeignKey(Root, models.CASCADE, related_name="swapped")

            class Meta:
                app_label = "library"
                swappable = "TEST_SWAPPED"

        assert hierarchy_of(Root).cascades == []
        with pytest.raises(AttributeError, match=r"'library.Swapped' has been swapped"):
            Swapped.objects.all()

    def test_a_hard_delete_that_is_protected_is_djangos_error(self, author, book):
        Loan.objects.create(book=book).delete()

        with pytest.raises(ProtectedError):
            book.hard_delete()
        with pytest.raises(ProtectedError):
            Book.objects.all().hard_delete()
        assert Book.objects.get() == book
