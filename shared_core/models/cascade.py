"""Follow relations from rows to the rows that refer to them, in the order in which rows are locked.

    walk(Author, …)                  1. Book.author          relations to one hierarchy are taken at one time,
      Author ◄── Book ◄── Chapter    2. Chapter.book         after all that lead there; only a cycle (here
             ◄── Shelf ──► Book      3. Chapter.part_of      Chapter.part_of) is taken again, level by level
                                     4. Shelf.book

Parents come before children, and all walks of all processes take hierarchies in the same order. So two walks that meet
wait for each other and do not deadlock, unless relations form a cycle.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.db import DatabaseError, models
from django.db.models import F

from shared_core.models.relations import Cascade, Hierarchy, HierarchyRelation, Relation, Row
from shared_core.models.statements import AnyOf, Rows, Values, is_lockable, rows_of


def walk(hierarchy: Hierarchy, rows: list[Row], take: Callable[[Cascade, list[Row]], list[Row]]) -> None:
    """Call ``take`` with each relation and the rows it refers to; it returns the new rows, which are followed too."""
    pending: dict[Cascade, list[Row]] = dict.fromkeys(hierarchy.cascades, rows) if rows else {}
    while pending:
        rank = min(relation.hierarchy.rank for relation in pending)
        found: dict[Hierarchy, list[Row]] = {}
        for relation in [relation for relation in pending if relation.hierarchy.rank == rank]:
            try:
                new = take(relation, pending.pop(relation))
            except DatabaseError as error:
                # The database names a table at most: that of an unmanaged model without one, for example.
                error.add_note(f"The cascade was following {relation.child._meta.label}.{relation.link.name}.")
                raise
            if new:
                found.setdefault(relation.hierarchy, []).extend(new)
        for child, new in found.items():
            for relation in child.cascades:
                pending[relation] = pending.get(relation, []) + new


def related_rows(relation: HierarchyRelation, parents: Iterable[Row] | None, using: str) -> Rows:
    """Return the child's rows that refer to these parents; None leaves the values to be set later."""
    values = None if parents is None else relation.values(parents)
    named = AnyOf(F(relation.path or relation.link.name), values)
    return rows_of(relation.child, using).filter(named, **content_type_filter(relation, using))


def content_type_filter(relation: Relation, using: str) -> Values:
    """Return the condition that a GenericForeignKey names the model that is referred to; empty for a foreign key."""
    if not relation.generic:
        return {}
    name = relation.generic.content_type_field_name
    link: Any = relation.child._meta.get_field(name)  # Any: a foreign key
    types = link.related_model.objects.db_manager(using)
    for_concrete_model = relation.generic.for_concrete_model
    return {name: types.get_for_model(relation.generic.model, for_concrete_model=for_concrete_model)}


def as_owner_rows(rows: Rows, hierarchy: Hierarchy) -> Rows:
    """Return the same rows as rows of the owner alone, so that they can be locked."""
    key = hierarchy.key
    if rows.model._meta.concrete_model is hierarchy.owner and is_lockable(rows):
        return rows
    return rows_of(hierarchy.owner, rows.db).filter(pk__in=rows.order_by().values(key.name))


def narrow_to_instance(rows: Rows, hierarchy: Hierarchy, instance: models.Model | None) -> Rows:
    """Return the instance's own row of these, or all of them if there is no instance."""
    return rows if instance is None else rows.filter(**instance_filter(instance, hierarchy))


def instance_filter(instance: models.Model, hierarchy: Hierarchy, **conditions: object) -> Values:
    """Return the conditions that only an instance's own row meets."""
    return {hierarchy.key.name: getattr(instance, hierarchy.key.attname), **conditions}
