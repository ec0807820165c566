"""The UPDATEs of a soft delete or a restore, which keep ``is_deleted``, ``deleted_at`` and ``updated_at`` together.

    update_rows       the rows of the call, if nothing else changes with them
    related_update    what refers to rows that are changed, by one relation
    write             rows that were collected and are locked, between their signals

Nothing here decides which rows change.
"""

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from django.db import models

from shared_core.models.cascade import as_owner_rows, content_type_filter, instance_filter, related_rows
from shared_core.models.changes import Change
from shared_core.models.collector import Collector
from shared_core.models.relations import Cascade, Hierarchy, Row
from shared_core.models.signals import send_post, send_pre
from shared_core.models.statements import Rows, Update, Values

type Updates = list[tuple[str, Update]]  # with the label that their rows are counted under


def update_rows(hierarchy: Hierarchy, rows: Rows, change: Change) -> Counter[str]:
    """Change the rows and nothing else, by one statement: it is all or nothing by itself."""
    values, before = change.values(hierarchy), {"is_deleted": not change.is_deleted}
    if change.instance is not None:
        conditions = instance_filter(change.instance, hierarchy, **before)
        number = Update.of_one(hierarchy.owner, change.using, values, conditions).count()
    else:
        number = models.QuerySet.update(as_owner_rows(rows, hierarchy).filter(**before), **values)
    return Counter({rows.model._meta.label: number})


def related_update(
    cascade: Cascade, parents: list[Row], change: Change, *, ordered: bool, also: Values | None = None
) -> Update:
    """Return the UPDATE of what refers to these parents.

    Args:
        cascade: What leads to the rows.
        parents: The rows they refer to.
        change: The soft delete or restore.
        ordered: Whether the active rows are locked in the order of their keys first.
        also: What else the rows must have.
    """
    content_type = next(iter(content_type_filter(cascade, change.using).values())).pk if cascade.generic else None
    update = _compiled(cascade, change.using, content_type, ordered=ordered)
    return replace(update, values=change.values(cascade.hierarchy)).bind(cascade.values(parents), also)


@functools.lru_cache(maxsize=1024)
def _compiled(cascade: Cascade, using: str, content_type: object, *, ordered: bool) -> Update:  # noqa: ARG001  # a key
    """Return the UPDATE without the parents' values: Django needs half a millisecond to compile it."""
    rows = as_owner_rows(related_rows(cascade, None, using), cascade.hierarchy)
    return Update.of_rows(rows.filter(is_deleted=False), {}) if ordered else Update.of_unlocked(rows, {})


def write(
    collector: Collector, change: Change, also: Updates, execute: Callable[[list[Update]], list[int]]
) -> Counter[str]:
    """Change what was collected, between the signals, and return the counts by label.

    Args:
        collector: Rows that are locked.
        change: The soft delete or restore.
        also: Updates of rows that were not collected.
        execute: What runs the updates, and returns the number of rows of each.
    """
    instances = [send_pre(change, group) for group in collector.groups]
    updates = also[:]
    for group in collector.groups:
        owner, values = group.hierarchy.owner, change.values(group.hierarchy)
        updates.append((group.model._meta.label, Update.of_keys(owner, change.using, values, group.keys)))
    counter = Counter[str]()
    for (label, _), number in zip(updates, execute([update for _, update in updates]), strict=True):
        counter[label] += number
    for group, sent in zip(collector.groups, instances, strict=True):
        send_post(change, group, sent)
    return counter
