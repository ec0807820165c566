"""Restore deleted rows, each with exactly what was deleted with it.

These are the rows reached by CASCADE that have the same ``deleted_at``. A row deleted earlier, or by itself, stays
deleted.

    RestoreError
      ParentDeletedError     a row would come back under a parent that stays deleted
      RestoreConflictError   an active row has taken a value that must be unique among active rows

    restore ── lock the rows' parents ── lock the rows, and down the relations what was deleted with them
                                             │
         ┌───────────────────────────────────┘
         └─ lock parents outside ── check parents ── check unique values ── send pre_, write, send post_
                 │ another transaction has locked one
                 └─ roll back, lock all that was found in the global order, start again

Both errors are found before anything is written. Parents that stay active are locked, so that none is deleted
meanwhile.
A leaf (see `Hierarchy.is_leaf`) is not collected: no error can come from its rows, so they are only written.
"""

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery

from shared_core.models.cascade import as_owner_rows, content_type_filter, narrow_to_instance, related_rows, walk
from shared_core.models.changes import Change, Counts
from shared_core.models.collector import Collector, Group
from shared_core.models.conflicts import conditional_constraints, find_conflict
from shared_core.models.relations import Cascade, Hierarchy, HierarchyRelation, Row, hierarchy_of
from shared_core.models.signals import has_receivers
from shared_core.models.statements import AnyFrom, AnyOf, Rows, Select, execute_together, lock, rows_of
from shared_core.models.writing import Updates, related_update, update_rows, write

_check: ContextVar[Callable[[list[Group]], None] | None] = ContextVar("check of a restore", default=None)

type _Parents = dict[Hierarchy, dict[int, set[Any]]]  # {hierarchy: {place in its targets: what links hold}}


class RestoreError(Exception):
    """Rows cannot be restored, and none was. ``objects`` are the rows that refuse it."""

    def __init__(self, message: str, objects: Iterable[models.Model] = (), fields: Iterable[str] = ()) -> None:
        super().__init__(message, tuple(objects), tuple(fields))

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def objects(self) -> tuple[models.Model, ...]:
        """The rows that refuse the restore."""
        found: tuple[models.Model, ...] = self.args[1]
        return found

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields whose values are taken; empty for another cause, and for an expression."""
        found: tuple[str, ...] = self.args[2]
        return found


class ParentDeletedError(RestoreError):
    """A row would come back under a parent that stays deleted. ``objects`` are the parents to restore first."""


class RestoreConflictError(RestoreError):
    """A unique value of a row that would come back is taken. ``objects`` are the rows that hold it."""


def restore(rows: Rows, at: dt.datetime, *, instance: models.Model | None = None) -> Counts:
    """Restore the deleted ones of ``rows``, and what was deleted with each.

    Args:
        rows: Rows of the database to write to.
        at: The time of the restore.
        instance: The only row of these to restore, if it is called on one.

    Raises:
        ParentDeletedError, RestoreConflictError: See there.
    """
    hierarchy = hierarchy_of(rows.model)
    change = Change(model=rows.model, using=rows.db, at=at, is_deleted=False, instance=instance)
    is_alone = not hierarchy.cascades and not hierarchy.parents and not any(conditional_constraints(hierarchy))
    if is_alone and not has_receivers(change, {rows.model, *hierarchy.members}):
        return change.log(update_rows(hierarchy, rows, change))
    key = None if instance is None else getattr(instance, hierarchy.key.attname)
    attempt = _Attempt(hierarchy, narrow_to_instance(rows, hierarchy, instance), change, key=key)
    while True:
        try:
            with transaction.atomic(using=rows.db):
                return change.log(attempt.restore())
        except _ParentsLockedError:
            attempt = _Attempt(hierarchy, attempt.roots, change, previous=attempt)


@contextmanager
def checked(check: Callable[[list[Group]], None]) -> Iterator[None]:
    """Call ``check`` with the rows of each restore in this block: they are locked, and nothing is written yet.

    To refuse the restore, it raises. It is not called for a model without relations: only the rows of the call change.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def find_restore_error(rows: Rows) -> RestoreError | None:
    """Return what `restore` would raise for these rows. Nothing is locked, so the restore itself may end otherwise."""
    change = Change(model=rows.model, using=rows.db, at=dt.datetime.max.replace(tzinfo=dt.UTC), is_deleted=False)
    return _Attempt(hierarchy_of(rows.model), rows, change, locks=False).find_error()


def row_fields(hierarchy: Hierarchy) -> list[str]:
    """Return what is read of a row to restore: what others refer to, what it refers to, and its ``deleted_at``."""
    return [*(one.attname for one in (*hierarchy.targets, *hierarchy.links)), "deleted_at"]


def deleted_together(relation: Cascade, parents: list[Row], using: str, *, locks: bool = False) -> list[Row]:
    """Return the rows that refer to these parents, and were deleted in the same deletion as theirs.

    Args:
        relation: What leads to the rows.
        parents: The rows they refer to, as `row_fields` has them.
        using: The database's alias.
        locks: Whether to lock the rows, parents first.
    """
    child, link = relation.hierarchy, relation.link
    deletions: dict[Any, set[dt.datetime]] = {}  # {what the link holds: when such parents were deleted}
    for value, parent in zip(relation.values(parents), parents, strict=True):
        deletions.setdefault(link.to_python(value), set()).add(parent[-1])
    moments = list(set().union(*deletions.values()))
    if len(moments) == 1 or link in child.links:
        content_type = next(iter(content_type_filter(relation, using).values())).pk if relation.generic else None
        found = _select_related(relation, using, content_type, locks=locks).rows(relation.values(parents), moments)
        if len(moments) > 1:
            found = [row for row in found if row[-1] in deletions.get(child.link_of(row, relation), ())]
        return found
    rows = related_rows(relation, parents, using).filter(AnyOf(F("deleted_at"), moments))
    linked = rows.values_list(child.key.name, "deleted_at", relation.path or link.attname)
    keys = [key for key, moment, held in linked if moment in deletions.get(held, ())]
    rows = rows_of(child.owner, using).filter(AnyOf(F(child.key.name), keys), AnyOf(F("deleted_at"), moments))
    return list((lock(rows) if locks else rows).values_list(*row_fields(child)))


@functools.lru_cache(maxsize=1024)
def _select_related(relation: Cascade, using: str, content_type: object, *, locks: bool) -> Select:  # noqa: ARG001  # a key
    rows = related_rows(relation, None, using).filter(AnyOf(F("deleted_at"), None))
    rows = as_owner_rows(rows, relation.hierarchy)
    return Select.of((lock(rows) if locks else rows.order_by()).values_list(*row_fields(relation.hierarchy)))


@dataclass(frozen=True)
class _RootSelects:
    """The queries that lock the rows of the call, and first the parents that they name themselves."""

    parents: dict[Hierarchy, Select]  # in the order of locks
    roots: Select  # the last column is `deleted_at` before the lock

    @classmethod
    def of(cls, rows: Rows, hierarchy: Hierarchy, *, locks: bool = True) -> "_RootSelects":
        """Return the queries for the deleted ones of some rows of the owner."""
        deleted = rows.filter(is_deleted=True).order_by()
        named: dict[Hierarchy, list[Any]] = {}  # {hierarchy: conditions}
        for relation in hierarchy.parents:
            if relation.is_in_row and relation.parent.rank < hierarchy.rank:
                target, links = relation.parent.targets[relation.target or 0], deleted.values(relation.link.attname)
                named.setdefault(relation.parent, []).append(Q(AnyFrom(F(target.name), links.distinct())))
        parents = {
            one: Select.of(
                _as_parents(lock(rows_of(one.owner, rows.db).filter(functools.reduce(or_, named[one]))), one)
            )
            for one in (sorted(named, key=lambda one: one.lock_order) if locks else ())
        }
        # As the statement's snapshot has it: a row that was restored and deleted again meanwhile has another.
        before = Subquery(rows_of(hierarchy.owner, rows.db).filter(pk=OuterRef("pk")).values("deleted_at"))
        read = (lock(deleted) if locks else deleted).annotate(_before=before)
        return cls(parents, Select.of(read.values_list(*row_fields(hierarchy), "_before")))

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def of_instance(cls, hierarchy: Hierarchy, using: str) -> "_RootSelects":
        """Return the queries for one row, whose key is bound later."""
        return cls.of(rows_of(hierarchy.owner, using).filter(AnyOf(F("pk"), None)), hierarchy)


def _as_parents(rows: Rows, parent: Hierarchy) -> Rows:
    return rows.values_list(*(target.attname for target in parent.targets), "is_deleted")


class _ParentsLockedError(Exception):
    """Another transaction has locked a parent. To wait for it while children are locked could deadlock."""


@dataclass(eq=False)
class _Attempt:
    """One pass over what a restore brings back; the next one knows what the ``previous`` one found."""

    hierarchy: Hierarchy
    roots: Rows
    change: Change
    locks: bool = True
    key: Any = None  # of the only row to restore, if it is known
    previous: "_Attempt | None" = None
    collector: Collector = field(default_factory=Collector)
    leaves: Updates = field(default_factory=list)  # the updates of rows that need not be collected
    parents: dict[Hierarchy, dict[Any, Row]] = field(default_factory=dict)  # {…: {key: (*targets, is_deleted)}}
    locked_by_others: dict[Hierarchy, set[Any]] = field(default_factory=dict)  # keys of parents

    def restore(self) -> Counter[str]:
        """Lock, check and write; return the counts by label."""
        selects = self._root_selects()
        if self.previous:
            self._lock_again(self.previous)
        else:
            for parent, select in selects.parents.items():
                self._add_parents(parent, select.rows([self.key]))
        if error := self.find_error(selects):
            raise error
        check = _check.get()
        if check is None:
            return write(self.collector, self.change, self.leaves, execute_together)
        check(self.collector.groups)
        # What receivers of the signals restore is not a part of this restore.
        token = _check.set(None)
        try:
            return write(self.collector, self.change, self.leaves, execute_together)
        finally:
            _check.reset(token)

    def find_error(self, selects: _RootSelects | None = None) -> RestoreError | None:
        """Collect what comes back, and return why it must not."""
        walk(self.hierarchy, self._collect_roots(selects or self._root_selects()), self._collect_related)
        outside = self._parents_outside()
        self._read_parents(outside)
        return self._find_deleted_parent(outside) or self._find_conflict()

    def _root_selects(self) -> _RootSelects:
        if self.key is not None:
            return _RootSelects.of_instance(self.hierarchy, self.change.using)
        rows = as_owner_rows(self.roots, self.hierarchy)
        if self.previous:
            rows = rows.filter(AnyOf(F("pk"), self.previous.collector.keys(self.hierarchy)))
        return _RootSelects.of(rows, self.hierarchy, locks=self.locks)

    def _collect_roots(self, selects: _RootSelects) -> list[Row]:
        roots = [row[:-1] for row in selects.roots.rows([self.key]) if row[-2] == row[-1]]
        if self.previous:
            seen = self.previous.collector.rows[self.hierarchy]
            roots = [row for row in roots if row[0] in seen and row[-1] == seen[row[0]][-1]]
        return self.collector.add(self.roots.model, self.hierarchy, roots)

    def _collect_related(self, relation: Cascade, parents: list[Row]) -> list[Row]:
        child, moments = relation.hierarchy, {parent[-1] for parent in parents}
        if child.is_leaf and not any(conditional_constraints(child)):
            if not self.locks:
                return []
            # Other transactions lock the parent of these rows first, so an UPDATE without an order cannot deadlock.
            # A check needs the keys of the rows.
            is_observed = _check.get() is not None or has_receivers(self.change, [relation.child])
            if relation.is_in_row and len(moments) == 1 and not is_observed:
                also = {"deleted_at": moments.pop()}
                update = related_update(relation, parents, self.change, ordered=False, also=also)
                self.leaves.append((relation.child._meta.label, update))
                return []
        found = deleted_together(relation, parents, self.change.using, locks=self.locks)
        return self.collector.add(relation.child, child, found)

    def _parents_outside(self) -> _Parents:
        """Return what the collected rows refer to that does not come back with them."""
        outside: _Parents = {}
        for child, rows in self.collector.rows.items():
            for relation in child.parents:
                if len(child.parents) == 1 and child is not self.hierarchy:
                    continue  # by which they were found
                place = relation.target or 0
                held = self._links(child, relation, rows)
                held -= {row[place] for row in self.collector.rows.get(relation.parent, {}).values()} | {None}
                if held:
                    outside.setdefault(relation.parent, {}).setdefault(place, set()).update(held)
        return outside

    def _links(self, child: Hierarchy, relation: HierarchyRelation, rows: dict[Any, Row]) -> set[Any]:
        """Return what the rows hold by a relation."""
        if relation.is_in_row:
            return {child.link_of(row, relation) for row in rows.values()}
        using = self.change.using
        named = AnyOf(F(child.key.name), list(rows))
        children = rows_of(relation.child, using).filter(named, **content_type_filter(relation, using))
        held = children.order_by().values_list(relation.path or relation.link.attname, flat=True).distinct()
        return _as_keys(relation.parent, held) if relation.generic else set(held)

    def _read_parents(self, outside: _Parents) -> None:
        """Read and lock the parents outside that were not read yet, without waiting for other transactions."""
        for parent, held in outside.items():
            known = self.parents.get(parent, {}).values()
            unknown = {place: some - {row[place] for row in known} for place, some in held.items()}
            if not any(unknown.values()):
                continue
            conditions = [Q(AnyOf(F(parent.targets[place].name), list(some))) for place, some in unknown.items()]
            rows = rows_of(parent.owner, self.change.using).filter(functools.reduce(or_, conditions))
            found = list(_as_parents(lock(rows, skip_locked=True) if self.locks else rows, parent))
            self._add_parents(parent, found)
            is_missing = any(some - {row[place] for row in found} for place, some in unknown.items())
            if self.locks and is_missing and (locked := set(rows.values_list("pk", flat=True)) - {r[0] for r in found}):
                self.locked_by_others.setdefault(parent, set()).update(locked)
        if self.locked_by_others:
            raise _ParentsLockedError

    def _lock_again(self, previous: "_Attempt") -> None:
        """Lock all that the previous attempt found, in the global order, and wait for other transactions."""
        wanted: dict[Hierarchy, set[Any]] = {}
        for found in (previous.collector.rows, previous.parents, previous.locked_by_others):
            for hierarchy, keys in found.items():
                wanted.setdefault(hierarchy, set()).update(keys)
        for hierarchy in sorted(wanted, key=lambda one: one.lock_order):
            rows = rows_of(hierarchy.owner, self.change.using).filter(AnyOf(F("pk"), list(wanted[hierarchy])))
            self._add_parents(hierarchy, list(_as_parents(lock(rows), hierarchy)))

    def _add_parents(self, parent: Hierarchy, found: list[Row]) -> None:
        self.parents.setdefault(parent, {}).update((row[0], row) for row in found)

    def _find_deleted_parent(self, outside: _Parents) -> ParentDeletedError | None:
        deleted: list[models.Model] = []
        for parent, held in outside.items():
            rows = [row for row in self.parents.get(parent, {}).values() if row[-1]]
            keys = [row[0] for row in rows if any(row[place] in some for place, some in held.items())]
            if keys:
                named = rows_of(parent.owner, self.change.using).filter(AnyOf(F("pk"), keys))
                deleted += named.order_by("pk")
        if not deleted:
            return None
        label = self.change.model._meta.label
        return ParentDeletedError(f"Cannot restore {label}: restore {_names(deleted)} first.", deleted)

    def _find_conflict(self) -> RestoreConflictError | None:
        keys = {hierarchy: list(rows) for hierarchy, rows in self.collector.rows.items()}
        conflict = find_conflict(keys, self.change.using)
        if conflict is None:
            return None
        constraint, found = conflict
        label = self.change.model._meta.label
        message = f"Cannot restore {label}: {_names(found)} has the values that {constraint.name} wants unique."
        return RestoreConflictError(message, found, constraint.fields)


def _as_keys(hierarchy: Hierarchy, values: Iterable[Any]) -> set[Any]:
    """Return what a GenericForeignKey holds as keys of the model that it names; it leaves out what cannot be one."""
    keys = set()
    for value in values:
        try:
            keys.add(hierarchy.key.to_python(value))
        except ValidationError:
            continue
    return keys


def _names(found: list[Any]) -> str:
    """Return the rows' names for a message, the first few of them."""
    names = ", ".join(f"{row._meta.label} {row.pk}" for row in found[:3])
    return names if len(found) <= 3 else f"{names} and {len(found) - 3} more"
