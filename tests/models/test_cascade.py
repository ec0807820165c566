"""The order of locks, without a database."""

import pytest
from django.db import models
from django.test.utils import isolate_apps

from shared_core.models import SoftDeleteModel
from shared_core.models.cascade import walk
from shared_core.models.relations import hierarchy_of
from tests.library.models import Author, Place


def make(name, *parents, on_delete=models.CASCADE, **fields):
    links = {parent.__name__.lower(): models.ForeignKey(parent, on_delete, related_name="+") for parent in parents}
    meta = type("Meta", (), {"app_label": "library"})
    return type(name, (SoftDeleteModel,), {"__module__": __name__, "Meta": meta, **links, **fields})


def taken(model):
    """Return the relations of a walk in the order in which they are taken; each leads to a new row."""
    order = []

    def take(relation, parents):
        order.append(f"{relation.child.__name__}.{relation.link.name}")
        return [(len(order),)] if len(order) < 20 else []

    walk(hierarchy_of(model), [(0,)], take)
    return order


@isolate_apps("tests.library")
def test_a_child_is_collected_once_after_all_its_parents():
    a = make("A")
    x = make("X", a)
    b = make("B", x)
    make("D", a, b)

    assert taken(a) == ["X.a", "B.x", "D.a", "D.b"]


@isolate_apps("tests.library")
def test_unrelated_models_are_collected_in_one_order_from_any_root():
    a, b = make("A"), make("B")
    make("Y", b, a)
    make("X", a, b)

    assert taken(a) == ["X.a", "Y.a"]
    assert taken(b) == ["X.b", "Y.b"]


@isolate_apps("tests.library")
def test_a_cycle_is_collected_level_by_level():
    a = make("A", other=models.ForeignKey("B", models.CASCADE, null=True, related_name="+"))
    b = make("B", a)
    make("C", b)

    order = taken(a)
    assert order[:4] == ["B.a", "A.other", "B.a", "A.other"]
    assert set(order[20:]) == {"C.b"}
    assert hierarchy_of(a).rank == hierarchy_of(b).rank


@isolate_apps("tests.library")
def test_a_model_defined_later_is_seen():
    a = make("A")
    assert taken(a) == []

    make("B", a)
    assert taken(a) == ["B.a"]


@pytest.mark.parametrize("model", [Author, Place])
def test_parents_come_before_children_in_the_order_of_all_locks(model):
    hierarchy = hierarchy_of(model)

    assert all(
        hierarchy.rank < relation.hierarchy.rank
        for relation in hierarchy.cascades
        if relation.hierarchy is not hierarchy
    )


def test_models_that_inherit_a_table_are_one_hierarchy():
    hierarchy = hierarchy_of(Place)

    assert [member.__name__ for member in hierarchy.members] == ["Place", "Restaurant"]
    assert {relation.name for relation in hierarchy.cascades} == {"'Waiter.restaurant'", "'Review.place'"}


@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="came with Django 6.1")
@isolate_apps("tests.library")
def test_db_cascade_and_db_set_null_count_as_cascade_and_set_null():
    a = make("A")
    make("B", a, on_delete=models.DB_CASCADE)
    make("C", other=models.ForeignKey(a, models.DB_SET_NULL, null=True, related_name="+"))

    assert taken(a) == ["B.a"]
    assert hierarchy_of(a).blocking == []
