"""What goes along when a row is soft-deleted?

Soft deletion follows each relation's ``on_delete`` as Django's own deletion does, over the active rows:

    CASCADE             the rows that refer go along, with the same ``deleted_at``
    PROTECT, RESTRICT   Django's own errors, before anything is written
    all others          the link stays, so that a restore loses nothing

Rows of models that cannot be soft-deleted are left where CASCADE would take them, and count where PROTECT counts.
"""

import datetime as dt
import functools
import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, cast

from django.db import connections, models, transaction
from django.db.models.deletion import CASCADE, PROTECT, RESTRICT, ProtectedError, RestrictedError
from django.utils import timezone

type Counts = tuple[int, dict[str, int]]
type Rows = dict[type[models.Model], set[Any]]  # Any: a primary key of whatever type the model has

logger = logging.getLogger("shared_core.models")

# Django 6.1 lets the database cascade; to a soft delete that is a CASCADE like any other.
CASCADES = {CASCADE, getattr(models, "DB_CASCADE", CASCADE)}


def soft_delete(rows: models.QuerySet[Any], at: dt.datetime, *, cascade: bool = True) -> Counts:
    """Mark ``rows``, which are active, and what goes along as deleted ``at``; see `SoftDeleteQuerySet.soft_delete`."""
    model: type[models.Model] = rows.model
    if not cascade or not relations_to(model):
        # One statement is all or nothing by itself.
        counts = as_counts({model: rows.update(**columns(model, at, deleted=True))})
        record("Soft-deleted", model, counts, at)
        return counts
    using = write_database(rows)
    with transaction.atomic(using=using):
        going = _collect(model, lock(rows, using).values_list("pk", flat=True), using)
        changed = {
            model: sum(
                batch.filter(is_deleted=False).update(**columns(model, at, deleted=True))
                for batch in batches(model, keys, using)
            )
            for model, keys in going.items()
        }
    counts = as_counts(changed)
    record("Soft-deleted", model, counts, at)
    return counts


def _collect(model: type[models.Model], keys: Iterable[Any], using: str) -> Rows:
    """Return the active rows that go along with these, breadth first, parents before children.

    Raises:
        ProtectedError, RestrictedError: As Django's own deletion raises them.
    """
    going: Rows = {model: set(keys)}
    restricted: list[tuple[models.ForeignObjectRel, models.Model]] = []
    queue = deque([(model, going[model])])
    while queue:
        parent, parent_keys = queue.popleft()
        for relation in relations_to(parent):
            for found in referring(relation, parent_keys, using):
                if relation.on_delete is PROTECT:
                    _raise_if_protected(relation, parent, list(found))
                elif relation.on_delete is RESTRICT:
                    restricted += [(relation, row) for row in found]
                else:
                    child = found.model
                    new = set(found.values_list("pk", flat=True)) - going.setdefault(child, set())
                    going[child] |= new
                    if new:
                        queue.append((child, new))
    # RESTRICT lets pass what goes along by another way, so it is known only now.
    staying = [(relation, row) for relation, row in restricted if row.pk not in going.get(type(row), ())]
    if staying:
        names = ", ".join(sorted({f"'{_through(relation)}'" for relation, _ in staying}))
        raise RestrictedError(
            f"Cannot delete some instances of model {model.__name__!r} because they are referenced through "
            f"restricted foreign keys: {names}.",
            {row for _, row in staying},
        )
    return going


def _raise_if_protected(relation: models.ForeignObjectRel, parent: type[models.Model], rows: list[Any]) -> None:
    if rows:
        raise ProtectedError(
            f"Cannot delete some instances of model {parent.__name__!r} because they are referenced through "
            f"protected foreign keys: '{_through(relation)}'.",
            set(rows),
        )


def _through(relation: models.ForeignObjectRel) -> str:
    return f"{relation.field.model.__name__}.{relation.field.name}"


@functools.cache
def relations_to(model: type[models.Model]) -> tuple[models.ForeignObjectRel, ...]:
    """Return the relations that a soft delete of ``model`` must look at: CASCADE to soft-deletable rows, and vetoes."""
    return tuple(
        relation
        for relation in model._meta.get_fields(include_hidden=True)
        if isinstance(relation, models.ForeignObjectRel)
        and (relation.one_to_many or relation.one_to_one)
        and (
            relation.on_delete in {PROTECT, RESTRICT}
            or (relation.on_delete in CASCADES and is_soft_deletable(relation.field.model))
        )
    )


def referring(relation: models.ForeignObjectRel, keys: set[Any], using: str) -> Iterator[models.QuerySet[Any]]:
    """Yield querysets of the rows that refer to ``keys``: the active ones, where rows can be soft-deleted."""
    child = relation.field.model
    for some in key_batches(relation.model, keys, using):
        # By the parent's key and not by the column: they differ where a foreign key has a `to_field`.
        found = child._base_manager.using(using).filter(**{f"{relation.field.name}__pk__in": some})
        yield found.filter(is_deleted=False) if is_soft_deletable(child) else found


def is_soft_deletable(model: type[models.Model]) -> bool:
    """Say whether ``model`` derives from `SoftDeleteModel`, which marks itself: it is defined on top of this module."""
    return bool(getattr(model, "_is_soft_deletable", False))


def columns(model: type[models.Model], at: dt.datetime, *, deleted: bool) -> dict[str, Any]:
    """Return what an UPDATE sets on ``model``'s rows to delete or restore them at a moment."""
    values: dict[str, Any] = {"is_deleted": deleted, "deleted_at": at if deleted else None}
    if any(getattr(field, "auto_now", False) and field.name == "updated_at" for field in model._meta.fields):
        values["updated_at"] = at
    return values


_last_timestamp = dt.datetime.min.replace(tzinfo=dt.UTC)
_timestamp_lock = threading.Lock()


def timestamp() -> dt.datetime:
    """Return the time now, later than any returned before: it is what tells one deletion of a process from another."""
    global _last_timestamp  # noqa: PLW0603  # one sequence for the process is the point
    with _timestamp_lock:
        now = timezone.now()
        if timezone.is_aware(now) == timezone.is_aware(_last_timestamp):
            now = max(now, _last_timestamp + dt.timedelta(microseconds=1))
        _last_timestamp = now
    return now


def write_database(rows: models.QuerySet[Any]) -> str:
    """Return the alias of the database that changes to ``rows`` go to, by the routers unless `using` said it."""
    target = rows._chain()  # type: ignore[attr-defined]  # as QuerySet.delete does
    target._for_write = True
    return cast("str", target.db)


def lock(rows: models.QuerySet[Any], using: str) -> models.QuerySet[Any]:
    """Return the same rows, locked in the order of their keys when they are read."""
    # By key: FOR UPDATE is not allowed with DISTINCT, nor on the nullable side of an outer join.
    keys = rows.using(using).order_by().values("pk")
    manager: models.Manager[Any] = rows.model._base_manager
    return manager.using(using).filter(pk__in=keys).order_by("pk").select_for_update()


def key_batches(model: type[models.Model], keys: set[Any], using: str) -> Iterator[list[Any]]:
    """Yield ``keys`` in lists that the database takes as parameters of one statement."""
    ordered = sorted(keys)
    size = max(connections[using].ops.bulk_batch_size([model._meta.pk], ordered), 1) if ordered else 1
    yield from (ordered[start : start + size] for start in range(0, len(ordered), size))


def batches(model: type[models.Model], keys: set[Any], using: str) -> Iterator[models.QuerySet[Any]]:
    """Yield querysets that together hold the rows of ``model`` with these keys."""
    for some in key_batches(model, keys, using):
        yield model._base_manager.using(using).filter(pk__in=some)


def as_counts(changed: dict[type[models.Model], int]) -> Counts:
    """Return Django's ``(total, {label: count})``, without models of which no row changed."""
    counts = {model._meta.label: number for model, number in changed.items() if number}
    return sum(counts.values()), counts


def record(what: str, model: type[models.Model], counts: Counts, at: dt.datetime | None = None) -> None:
    """Write the one log line of a deletion or restore that changed something."""
    total, by_label = counts
    if total:
        moment = {"deleted_at": at} if at else {}
        logger.info("%s %s", what, model._meta.label, extra={"rows": total, "by_model": by_label, **moment})
