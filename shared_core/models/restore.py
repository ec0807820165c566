"""What comes back with a row that is restored?

Exactly what went in its deletion below it: rows reached by CASCADE that bear the same ``deleted_at``. A row deleted
earlier, or by itself, stays deleted.

    RestoreError
      ParentDeletedError     a row would come back under a parent that stays deleted
      RestoreConflictError   an active row has taken a value that must be unique among active rows

Both are found before anything is written. Rows are locked parents before children, beginning with parents that stay
as they are, so that none of them is deleted meanwhile.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F

from shared_core.models.changes import Change, Counts, timestamp
from shared_core.models.conflicts import conditional_constraints, holders
from shared_core.models.deletion import Rows, mark_alone, mark_related, meant, row_of
from shared_core.models.graph import Cascade, Family, Relation, Row, family_of, owned, walk
from shared_core.models.statements import AnyFrom, AnyOf, Update, columns, lock, rows_of


class RestoreError(Exception):
    """Rows cannot be restored, and none was. ``objects`` are those that stand in the way."""

    def __init__(self, message: str, objects: Iterable[models.Model] = (), fields: Iterable[str] = ()) -> None:
        super().__init__(message, tuple(objects), tuple(fields))

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def objects(self) -> tuple[models.Model, ...]:
        """The rows that stand in the way."""
        found: tuple[models.Model, ...] = self.args[1]
        return found

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields whose values are taken; none where it is something else, or an expression."""
        found: tuple[str, ...] = self.args[2]
        return found


class ParentDeletedError(RestoreError):
    """A row would come back under a parent that stays deleted; ``objects`` are the parents to restore first."""


class RestoreConflictError(RestoreError):
    """A unique value of a row that would come back is taken; ``objects`` are the rows that hold it."""


def restore(rows: Rows, at: dt.datetime, *, instance: models.Model | None = None) -> Counts:
    """Bring back the deleted ones among ``rows``, and what went with each, ``at`` now.

    Args:
        rows: Rows of the database to write to.
        at: The moment of the restore.
        instance: The one row meant of these, where it is one.

    Raises:
        ParentDeletedError, RestoreConflictError: See there.
    """
    family = family_of(rows.model)
    change = Change(rows.model, rows.db, at, deleted=False, instance=instance)
    is_heard = change.is_heard(family.closure)
    is_simple = not is_heard and _is_simple(family)
    if is_simple and not family.cascades and not family.parents:
        mark_alone(family, rows, change)
        return change.done()
    with transaction.atomic(using=rows.db):
        if not is_simple or instance is None or not _mark(family, change, instance):
            _collect(family, rows, change)
            change.write()
    return change.done()


def obstacle(rows: Rows) -> RestoreError | None:
    """Return what `restore` would raise for these rows; nothing is locked, so that it may turn out otherwise."""
    family = family_of(rows.model)
    if _is_simple(family):
        roots = Change(rows.model, rows.db, timestamp(), deleted=False)
        roots.add(rows.model, family, owned(rows, family).filter(is_deleted=True).values_list(*_names_of(family)))
        if _obstacle(roots) is None:
            return None
        # In a cycle, a parent may come back too: that is known once all that comes back is.
    change = Change(rows.model, rows.db, timestamp(), deleted=False)
    _find(family, rows, change)
    return _obstacle(change)


def went_along(relation: Cascade, parents: list[Row], using: str) -> list[Row]:
    """Return the rows that refer to these parents, and were deleted in the same deletion as theirs.

    Args:
        relation: What leads to the rows.
        parents: The rows they refer to; their last value is ``deleted_at``, as it is of those returned.
        using: The database's alias.
    """
    moments: dict[Any, set[dt.datetime]] = {}  # {what the link holds: when such parents were deleted}
    for value, parent in zip(relation.values(parents), parents, strict=True):
        moments.setdefault(relation.link.to_python(value), set()).add(parent[-1])
    at = AnyOf(F("deleted_at"), list(set().union(*moments.values())))
    deleted = relation.rows(parents, using).filter(at)
    link = relation.path or relation.link.attname
    found = deleted.values_list(*_names_of(relation.family), link)
    return [row[:-1] for row in found if row[-2] in moments.get(row[-1], ())]


def _names_of(family: Family) -> list[str]:
    return [*(field.attname for field in family.targets), "deleted_at"]


def _is_simple(family: Family) -> bool:
    """Say whether nothing but a parent of the rows themselves can stand in the way of their restore."""
    below = [relation.family for one in family.closure for relation in one.cascades]
    return all(len(one.parents) == 1 for one in below) and not any(
        list(conditional_constraints(one)) for one in family.closure
    )


def _mark(family: Family, change: Change, instance: models.Model) -> bool:
    """Mark the row and, a statement a relation, what went with it; False where that takes a closer look."""
    moment = getattr(instance, "deleted_at", None)
    if moment is None:
        return False
    key = [getattr(instance, family.key.attname)]
    for relation in sorted(family.parents, key=lambda one: one.parent.rank):
        if any(parent.is_deleted for parent in lock(_parents(relation, key, change.using))):
            return False
    values = columns(family.owner, change.at, deleted=False)
    row = row_of(instance, family, deleted_at=moment)
    roots = Update.of_one(family.owner, change.using, values, row).rows(family.targets)
    change.count(change.model, len(roots))

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        # Whoever else would change these waits for their parent, so that they need no order.
        return mark_related(relation, parents, change, locks=False, also={"deleted_at": moment})

    walk(family, roots, take)
    return bool(roots)


def _collect(family: Family, rows: Rows, change: Change) -> None:
    """Lock and collect the rows and what went with them; raise where something stands in the way."""
    # Twice: what there is to lock is known only once it has been found, and what there is only once it is locked.
    seen = replace(change, counts={}, rows={}, groups=[])
    _find(family, rows, seen)
    _lock(seen)
    _find(family, rows, change, locked=seen)
    if error := _obstacle(change):
        raise error


def _obstacle(change: Change) -> RestoreError | None:
    """Return what stands in the way: a parent of what was collected stays deleted, or a unique value is taken."""
    deleted = [
        parent
        for one in change.rows
        for relation in one.parents
        for parent in _parents(relation, change.keys(one), change.using)
        if parent.is_deleted and parent.pk not in change.rows.get(relation.parent, ())
    ]
    if deleted := list({(type(parent), parent.pk): parent for parent in deleted}.values()):
        message = f"Cannot restore {change.model._meta.label}: restore {_names(deleted)} first."
        return ParentDeletedError(message, deleted)
    for one in change.rows:
        for constraint, found in holders(one, change.keys(one), change.using):
            return RestoreConflictError(
                f"Cannot restore {change.model._meta.label}: {_names(found)} has the values that "
                f"{constraint.name} wants unique.",
                found,
                constraint.fields,
            )
    return None


def _find(family: Family, rows: Rows, change: Change, *, locked: Change | None = None) -> None:
    """Collect the deleted ones among the rows and what went with each, of what was ``locked``.

    A row that was restored and deleted again meanwhile counts as active: that deletion came after this restore. To
    lock it now would be out of order.
    """

    def still(one: Family, found: Iterable[Row]) -> list[Row]:
        return [row for row in found if locked is None or locked.rows.get(one, {}).get(row[0]) == row]

    def take(relation: Cascade, parents: list[Row]) -> list[Row]:
        found = went_along(relation, parents, change.using)
        return change.add(relation.child, relation.family, still(relation.family, found))

    deleted = owned(meant(rows, family, change), family).filter(is_deleted=True)
    walk(family, change.add(rows.model, family, still(family, deleted.values_list(*_names_of(family)))), take)


def _lock(change: Change) -> None:
    """Lock what was found, and the parents that it must not lose meanwhile."""
    wanted: dict[Family, set[Any]] = {}
    for one in change.rows:
        wanted.setdefault(one, set()).update(change.keys(one))
        for relation in one.parents:
            parents = _parents(relation, change.keys(one), change.using).values_list("pk", flat=True)
            wanted.setdefault(relation.parent, set()).update(parents)
    for one in sorted(wanted, key=lambda family: (family.rank, family.owner._meta.label)):
        if wanted[one]:
            rows = rows_of(one.owner, change.using).filter(AnyOf(F("pk"), list(wanted[one])))
            list(lock(rows).values_list("pk"))


def _parents(relation: Relation, keys: list[Any], using: str) -> models.QuerySet[Any]:
    """Return the rows that rows with these keys refer to by a relation."""
    child, parent = relation.family, relation.parent
    if child is None:
        return rows_of(parent.owner, using).none()
    children = rows_of(relation.child, using).filter(AnyOf(F(child.key.name), keys))
    rows = rows_of(parent.owner, using)
    if relation.generic:
        children = children.filter(**relation.of_parent(using))
        return rows.filter(AnyOf(F("pk"), _as_keys(parent, children.values_list(relation.link.attname, flat=True))))
    if relation.path:
        return rows.filter(AnyFrom(F("pk"), children.values(relation.path).distinct()))
    target = parent.targets[relation.target or 0]
    return rows.filter(AnyFrom(F(target.name), children.values(relation.link.attname).distinct()))


def _as_keys(family: Family, values: Iterable[Any]) -> list[Any]:
    """Return what a GenericForeignKey holds as keys of the model that it names; nothing where it cannot be one."""
    keys = []
    for value in values:
        try:
            keys.append(family.key.to_python(value))
        except ValidationError:
            continue
    return keys


def _names(found: list[Any]) -> str:
    """Return the rows' names for a message, the first few of them."""
    names = ", ".join(f"{row._meta.label} {row.pk}" for row in found[:3])
    return names if len(found) <= 3 else f"{names} and {len(found) - 3} more"
