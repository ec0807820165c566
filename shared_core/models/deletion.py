"""What goes along when a row is soft-deleted?

Soft deletion follows each relation's ``on_delete`` as Django's own deletion does, over the active rows:

    CASCADE             the rows that refer go along, with the same ``deleted_at``
    PROTECT, RESTRICT   Django's own errors, before anything is written
    all others          the link stays, so that a restore loses nothing

Rows of models that cannot be soft-deleted are left where CASCADE would take them, and count where PROTECT counts.

There are two ways to the same end. Where nothing can forbid the deletion and nobody listens to it, each relation costs
one UPDATE that returns the keys to go on with. Else the rows are locked and collected first, and written at the end.
"""

import datetime as dt
import functools
from dataclasses import replace

from django.db import models, transaction
from django.db.models.deletion import PROTECT, ProtectedError, RestrictedError

from shared_core.models.changes import Change, Counts
from shared_core.models.graph import Cascade, Family, Model, Relation, Row, family_of, is_soft_deletable, owned, walk
from shared_core.models.statements import Update, Values, columns, lock

type Rows = models.QuerySet[models.Model]


def soft_delete(rows: Rows, at: dt.datetime, *, cascade: bool = True, instance: models.Model | None = None) -> Counts:
    """Mark the active ones among ``rows``, and what goes along, as deleted ``at``.

    Args:
        rows: Rows of the database to write to.
        at: The moment that identifies the deletion.
        cascade: False marks ``rows`` and nothing else.
        instance: The one row meant of these, where it is one.

    Raises:
        ProtectedError, RestrictedError: As Django's own deletion raises them.
    """
    family = family_of(rows.model)
    change = Change(rows.model, rows.db, at, deleted=True, instance=instance)
    reached = family.closure if cascade else [family]
    is_heard = change.is_heard(reached)
    if not is_heard and not (cascade and (family.cascades or family.vetoes)):
        mark_alone(family, rows, change)
        return change.done()
    with transaction.atomic(using=rows.db):
        if is_heard or (cascade and any(one.vetoes for one in reached)):
            _collect(family, rows, change, cascade=cascade)
            change.write()
        else:
            _mark(family, rows, change)
    return change.done()


def mark_alone(family: Family, rows: Rows, change: Change) -> None:
    """Mark the rows, and nothing else, by one statement: it is all or nothing by itself."""
    values = columns(family.owner, change.at, deleted=change.deleted)
    if change.instance is not None:
        row = row_of(change.instance, family, is_deleted=not change.deleted)
        number = Update.of_one(family.owner, change.using, values, row).count()
    else:
        others = owned(rows, family).filter(is_deleted=not change.deleted)
        number = models.QuerySet.update(others, **values)
    change.count(rows.model, number)


def mark_related(
    relation: Cascade, parents: list[Row], change: Change, *, locks: bool, also: Values | None = None
) -> list[Row]:
    """Mark what refers to these parents, and return the rows that others may refer to.

    Args:
        relation: What leads to the rows.
        parents: The rows they refer to.
        change: The deletion or restore.
        locks: Whether the rows are locked in the order of their keys first.
        also: What else they must have.
    """
    content_type = next(iter(relation.of_parent(change.using).values())).pk if relation.generic else None
    values = columns(relation.family.owner, change.at, deleted=change.deleted)
    update = replace(_compiled(relation, change.using, content_type, locks=locks), values=values)
    update = update.where_any(relation.values(parents), also)
    if not relation.family.cascades:
        change.count(relation.child, update.count())
        return []
    new = update.rows(relation.family.targets)
    change.count(relation.child, len(new))
    return new


@functools.lru_cache(maxsize=1024)
def _compiled(relation: Cascade, using: str, content_type: object, *, locks: bool) -> Update:  # noqa: ARG001  # a key
    """Return the UPDATE of what refers to parents to come: Django needs half a millisecond to compile it."""
    rows = owned(relation.rows(None, using), relation.family)
    return Update.of_rows(rows.filter(is_deleted=False), {}) if locks else Update.of_unlocked(rows, {})


def row_of(instance: models.Model, family: Family, **conditions: object) -> Values:
    """Return the conditions that an instance's own row meets."""
    return {family.key.name: getattr(instance, family.key.attname), **conditions}


def meant(rows: Rows, family: Family, change: Change) -> Rows:
    """Return the rows, or the one of them that is meant: Django takes as long to say that as to delete it."""
    return rows if change.instance is None else rows.filter(**row_of(change.instance, family))


def _mark(family: Family, rows: Rows, change: Change) -> None:
    """Mark the rows and, a statement a relation, what refers to them."""
    values = columns(family.owner, change.at, deleted=True)
    if change.instance is not None:
        row = row_of(change.instance, family, is_deleted=False)
        roots = Update.of_one(family.owner, change.using, values, row).rows(family.targets)
    else:
        roots = Update.of_rows(owned(rows, family).filter(is_deleted=False), values).rows(family.targets)
    change.count(rows.model, len(roots))

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        if relation.family.is_last:
            return mark_related(relation, parents, change, locks=False, also={"is_deleted": False})
        return mark_related(relation, parents, change, locks=True)

    walk(family, roots, take)


def _collect(family: Family, rows: Rows, change: Change, *, cascade: bool) -> None:
    """Lock and collect the rows and what goes along; ProtectedError or RestrictedError where something forbids it."""
    restricted: list[tuple[Relation, models.Model]] = []
    active = lock(owned(meant(rows, family, change), family).filter(is_deleted=False))
    roots = change.add(rows.model, family, active.values_list(*(field.attname for field in family.targets)))
    if not cascade:
        return

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        child = relation.family
        active = lock(owned(relation.rows(parents, change.using), child).filter(is_deleted=False))
        new = change.add(relation.child, child, active.values_list(*(field.attname for field in child.targets)))
        restricted.extend(_vetoes(child, relation.child, new, change.using))
        return new

    restricted.extend(_vetoes(family, rows.model, roots, change.using))
    walk(family, roots, take)
    # RESTRICT lets pass what goes along by another way, so it is known only now.
    staying = [(relation, row) for relation, row in restricted if not _is_collected(row, relation, change)]
    if staying:
        names = ", ".join(dict.fromkeys(relation.name for relation, _ in staying))
        raise RestrictedError(
            f"Cannot delete some instances of model {rows.model.__name__!r} because they are referenced through "
            f"restricted foreign keys: {names}.",
            {row for _, row in staying},
        )


def _vetoes(family: Family, model: Model, new: list[Row], using: str) -> list[tuple[Relation, models.Model]]:
    """Raise for rows that refer to new ones by PROTECT, and return those that do by RESTRICT."""
    found: list[tuple[Relation, models.Model]] = []
    for relation in family.vetoes if new else ():
        referring = relation.rows(new, using)
        if is_soft_deletable(relation.child):
            referring = referring.filter(is_deleted=False)
        found += [(relation, row) for row in referring]
    if protected := [(relation, row) for relation, row in found if relation.on_delete == PROTECT]:
        names = ", ".join(dict.fromkeys(relation.name for relation, _ in protected))
        raise ProtectedError(
            f"Cannot delete some instances of model {model.__name__!r} because they are referenced through "
            f"protected foreign keys: {names}.",
            {row for _, row in protected},
        )
    return found


def _is_collected(row: models.Model, relation: Relation, change: Change) -> bool:
    family = relation.family
    return family is not None and getattr(row, family.key.attname) in change.rows.get(family, ())
