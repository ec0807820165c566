"""Soft-delete rows, and what refers to them by CASCADE.

Soft delete follows each relation's ``on_delete`` as Django's own deletion does, over the active rows:

    CASCADE             the rows that refer are deleted too, with the same ``deleted_at``
    PROTECT, RESTRICT   Django's own errors, before anything is written
    all others          the link stays, so that a restore loses nothing

Rows of models that cannot be soft-deleted stay under CASCADE, and count under PROTECT and RESTRICT.

    soft_delete ─┬─ nothing refers to the rows ───────────────── one UPDATE, no transaction
                 ├─ nothing can refuse, no receivers ── _mark ── an UPDATE a relation returns the keys to go on with
                 └─ otherwise ──────────────────── _collect ──── lock and collect, check, send pre_, UPDATE, send post_
"""

import datetime as dt
from collections import Counter

from django.db import models, transaction
from django.db.models.deletion import ProtectedError, RestrictedError

from shared_core.models.cascade import as_owner_rows, instance_filter, narrow_to_instance, related_rows, walk
from shared_core.models.changes import Change, Counts
from shared_core.models.collector import Collector
from shared_core.models.relations import (
    Cascade,
    Effect,
    Hierarchy,
    HierarchyRelation,
    Model,
    Row,
    hierarchy_of,
    is_soft_deletable,
)
from shared_core.models.signals import has_receivers
from shared_core.models.statements import Rows, Update, execute_each, lock
from shared_core.models.writing import related_update, update_rows, write

type _Referring = list[tuple[HierarchyRelation, models.Model]]  # rows, each with the relation by which it refers


def soft_delete(rows: Rows, at: dt.datetime, *, cascade: bool = True, instance: models.Model | None = None) -> Counts:
    """Mark the active ones of ``rows``, and what refers to them by CASCADE, as deleted ``at``.

    Args:
        rows: Rows of the database to write to.
        at: The time that identifies the deletion.
        cascade: False marks ``rows`` and nothing else.
        instance: The only row of these to delete, if it is called on one.

    Raises:
        ProtectedError, RestrictedError: As Django's own deletion raises them.
    """
    hierarchy = hierarchy_of(rows.model)
    change = Change(model=rows.model, using=rows.db, at=at, is_deleted=True, instance=instance)
    reached = hierarchy.closure if cascade else [hierarchy]
    is_observed = has_receivers(change, {rows.model, *(member for one in reached for member in one.members)})
    if not is_observed and not (cascade and (hierarchy.cascades or hierarchy.blocking)):
        return change.log(update_rows(hierarchy, rows, change))
    with transaction.atomic(using=rows.db):
        if is_observed or (cascade and any(one.blocking for one in reached)):
            counter = write(_collect(hierarchy, rows, change, cascade=cascade), change, [], execute_each)
        else:
            counter = _mark(hierarchy, rows, change)
    return change.log(counter)


def _mark(hierarchy: Hierarchy, rows: Rows, change: Change) -> Counter[str]:
    """Mark the rows and, by one statement a relation, what refers to them."""
    values = change.values(hierarchy)
    if change.instance is not None:
        conditions = instance_filter(change.instance, hierarchy, is_deleted=False)
        update = Update.of_one(hierarchy.owner, change.using, values, conditions)
    else:
        update = Update.of_rows(as_owner_rows(rows, hierarchy).filter(is_deleted=False), values)
    roots = update.rows(hierarchy.targets)
    counter = Counter({rows.model._meta.label: len(roots)})

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        child = relation.hierarchy
        also = {"is_deleted": False} if child.is_leaf else None
        update = related_update(relation, parents, change, ordered=not child.is_leaf, also=also)
        new = update.rows(child.targets) if child.cascades else []
        counter[relation.child._meta.label] += len(new) if child.cascades else update.count()
        return new

    walk(hierarchy, roots, take)
    return counter


def _collect(hierarchy: Hierarchy, rows: Rows, change: Change, *, cascade: bool) -> Collector:
    """Lock and collect the rows and what is deleted with them; ProtectedError or RestrictedError if a row refuses."""
    collector = Collector()
    restricting: _Referring = []

    def add(model: Model, child: Hierarchy, found: Rows) -> list[Row]:
        active = lock(as_owner_rows(found, child).filter(is_deleted=False))
        new = collector.add(model, child, active.values_list(*(field.attname for field in child.targets)))
        if cascade and new:
            restricting.extend(_check_protected(child, model, new, change.using))
        return new

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        return add(relation.child, relation.hierarchy, related_rows(relation, parents, change.using))

    roots = add(rows.model, hierarchy, narrow_to_instance(rows, hierarchy, change.instance))
    if cascade:
        walk(hierarchy, roots, take)
    # RESTRICT lets pass what is deleted by another relation, so it is known only now.
    kept = [(relation, row) for relation, row in restricting if not _is_collected(row, relation, collector)]
    if kept:
        raise RestrictedError(_message(rows.model, "restricted", kept), {row for _, row in kept})
    return collector


def _check_protected(hierarchy: Hierarchy, model: Model, new: list[Row], using: str) -> _Referring:
    """Raise ProtectedError for rows that refer to new ones by PROTECT, and return those that do by RESTRICT."""
    found: _Referring = []
    for relation in hierarchy.blocking:
        referring = related_rows(relation, new, using)
        if is_soft_deletable(relation.child):
            referring = referring.filter(is_deleted=False)
        found += [(relation, row) for row in referring]
    if protecting := [(relation, row) for relation, row in found if relation.soft is Effect.PROTECT]:
        raise ProtectedError(_message(model, "protected", protecting), {row for _, row in protecting})
    return found


def _message(model: Model, kind: str, referring: _Referring) -> str:
    """Return Django's own message."""
    names = ", ".join(dict.fromkeys(relation.name for relation, _ in referring))
    return (
        f"Cannot delete some instances of model {model.__name__!r} because they are referenced through "
        f"{kind} foreign keys: {names}."
    )


def _is_collected(row: models.Model, relation: HierarchyRelation, collector: Collector) -> bool:
    child = relation.hierarchy
    return child is not None and getattr(row, child.key.attname) in collector.rows.get(child, ())
