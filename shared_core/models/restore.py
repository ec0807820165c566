"""What comes back with a row that is restored?

Exactly what went in its deletion below it: rows reached by CASCADE that bear the same ``deleted_at``. A row deleted
earlier, or by itself, stays deleted.

    RestoreError
      ParentDeletedError     a row would come back under a parent that stays deleted
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.deletion import PROTECT, RESTRICT

from shared_core.models.deletion import (
    CASCADES,
    Counts,
    Rows,
    as_counts,
    batches,
    columns,
    is_soft_deletable,
    key_batches,
    lock,
    record,
    relations_to,
    write_database,
)


class RestoreError(Exception):
    """Rows cannot be restored, and none was. ``objects`` are those that stand in the way."""

    def __init__(self, message: str, objects: Iterable[models.Model] = ()) -> None:
        super().__init__(message, tuple(objects))

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def objects(self) -> tuple[models.Model, ...]:
        """The rows that stand in the way."""
        found: tuple[models.Model, ...] = self.args[1]
        return found


class ParentDeletedError(RestoreError):
    """A row would come back under a parent that stays deleted; ``objects`` are the parents to restore first."""


def restore(rows: models.QuerySet[Any], at: dt.datetime) -> Counts:
    """Bring back ``rows``, which are deleted, and what went with each, ``at`` now; see `SoftDeleteQuerySet.restore`."""
    model, using = rows.model, write_database(rows)
    with transaction.atomic(using=using):
        coming = _collect(model, lock(rows, using).values_list("pk", flat=True), using)
        if parents := _deleted_parents(coming, using):
            names = ", ".join(f"{parent._meta.label} {parent.pk}" for parent in parents)
            raise ParentDeletedError(f"Cannot restore {model._meta.label}: restore {names} first.", parents)
        changed = {
            model: sum(batch.update(**columns(model, at, deleted=False)) for batch in batches(model, keys, using))
            for model, keys in coming.items()
        }
    counts = as_counts(changed)
    record("Restored", model, counts)
    return counts


def _collect(model: type[models.Model], keys: Iterable[Any], using: str) -> Rows:
    """Return these rows and what went with them, breadth first, parents before children."""
    coming: Rows = {model: set(keys)}
    queue = deque([(model, coming[model])])
    while queue:
        parent, parent_keys = queue.popleft()
        for relation in relations_to(parent):
            child, link = relation.field.model, relation.field.name
            if relation.on_delete not in CASCADES:
                continue
            new: set[Any] = set()
            for some in key_batches(parent, parent_keys, using):
                went_along = child._base_manager.using(using).filter(
                    **{f"{link}__pk__in": some}, is_deleted=True, deleted_at=F(f"{link}__deleted_at")
                )
                new.update(went_along.values_list("pk", flat=True))
            new -= coming.setdefault(child, set())
            coming[child] |= new
            if new:
                queue.append((child, new))
    return coming


def _deleted_parents(coming: Rows, using: str) -> list[models.Model]:
    """Return the deleted rows that these refer to by CASCADE, PROTECT or RESTRICT and that don't come back too."""
    missing: dict[tuple[type[models.Model], Any], models.Model] = {}
    for model, keys in coming.items():
        for field in model._meta.concrete_fields:
            if not isinstance(field, models.ForeignKey) or not is_soft_deletable(field.related_model):
                continue
            if field.remote_field.on_delete not in {*CASCADES, PROTECT, RESTRICT}:
                continue
            parent = field.related_model
            for batch in batches(model, keys, using):
                deleted = batch.filter(**{f"{field.name}__is_deleted": True}).values(f"{field.name}__pk")
                for row in parent._base_manager.using(using).filter(pk__in=deleted):
                    if row.pk not in coming.get(parent, ()):
                        missing[parent, row.pk] = row
    return list(missing.values())
