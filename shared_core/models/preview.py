"""Preview a deletion or a restore: the number of rows of each relation, and the first few. Nothing is written.

    Branch    the rows that refer to others by one relation, and below it what refers to these
    GOES      they are deleted with it, or come back with it
    STAYS     they stay: their relation says so, or they cannot be soft-deleted
    BLOCKS    they refuse it: PROTECT, RESTRICT

The walk is the deletion's own. A relation is one branch, however deep its rows refer to each other; it costs two or
three queries a level, whatever the number of rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, deletion

from shared_core.models.cascade import as_owner_rows, related_rows, walk
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
from shared_core.models.restore import deleted_together, row_fields
from shared_core.models.statements import AnyOf, Rows, rows_of

GOES, STAYS, BLOCKS = "goes", "stays", "blocks"
FIRST = 5  # rows of a branch that are shown
CHUNK = 2000  # rows of a branch that are read at a time


@dataclass(eq=False)
class Branch:
    """Rows that share a fate, and what refers to them."""

    model: Model
    fate: str
    link: Any = None  # the field by which they refer to the branch above; None at the root
    count: int = 0
    first: list[Any] = field(default_factory=list)  # some of them, at most `FIRST`
    branches: list["Branch"] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)  # [queryset or list of rows]: together, all the rows counted

    def __iter__(self) -> Iterator["Branch"]:
        """Yield this branch and all below it."""
        yield self
        for branch in self.branches:
            yield from branch

    def counts(self, fate: str = GOES) -> dict[Model, int]:
        """Return the number of rows that have this fate, by model."""
        counts: Counter[Model] = Counter()
        for branch in self:
            if branch.fate == fate:
                counts[branch.model] += branch.count
        return {model: count for model, count in counts.items() if count}

    def rows(self) -> Iterator[Any]:
        """Yield all the rows; those that are not loaded are read in chunks."""
        for part in self.parts:
            yield from part.iterator(chunk_size=CHUNK) if isinstance(part, models.QuerySet) else part

    def is_empty(self) -> bool:
        """Return whether there are no rows."""
        return not self.count and not any(part.exists() for part in self.parts)

    def inherited(self) -> Iterator["Branch"]:
        """Yield this branch, and by multi-table inheritance the same rows as rows of other models.

        Those are not counted, and have no branches.
        """
        yield self
        hierarchy = hierarchy_of(self.model) if is_soft_deletable(self.model) else None
        for model in hierarchy.members if hierarchy else ():
            if hierarchy and is_soft_deletable(model) and model is not self.model._meta.concrete_model:
                key = hierarchy.key.name
                querysets = [part for part in self.parts if isinstance(part, models.QuerySet)]
                same = [
                    rows_of(model, one.db).filter(**{f"{key}__in": one.order_by().values(key)}) for one in querysets
                ]
                yield Branch(model, self.fate, parts=same)

    def add(self, rows: Rows) -> None:
        """Count these rows in, and keep the first of them."""
        self.parts.append(rows)
        # In no order: a database that sorts before it stops may read a whole table to find a few.
        first = list(rows.order_by()[: FIRST + 1])
        if len(first) <= FIRST:
            first.sort(key=lambda row: row.pk)
            self.count += len(first)
        else:
            self.count += rows.order_by().count()
        self.first += first[: FIRST - len(self.first)]


def of_deletion(rows: Rows) -> Branch:
    """Return what a soft deletion of the active ones among ``rows`` would do."""
    return _Walk(rows, deleted=True).done()


def of_restore(rows: Rows) -> Branch:
    """Return what a restore of the deleted ones among ``rows`` would bring back."""
    return _Walk(rows, deleted=False).done()


def of_hard_deletion(rows: Rows) -> Branch:
    """Return what Django's own deletion of ``rows`` would do, as its collector finds it: a branch a model.

    What stays is what refers by SET_NULL and the like, and loses its link.
    """
    root = Branch(rows.model, GOES)
    root.add(rows)
    # Without force, what nothing refers to is not loaded; with it, what the database takes by itself is seen.
    # Django before 6.1 has neither.
    forced = {"force_collection": True} if _database_cascades(rows.model) else {}
    collector = deletion.Collector(using=rows.db, origin=rows, **forced)
    try:
        collector.collect(rows)
    except (deletion.ProtectedError, deletion.RestrictedError) as error:
        found = error.protected_objects if isinstance(error, deletion.ProtectedError) else error.restricted_objects
        root.branches = _by_model(found, BLOCKS, rows.db)
        return root
    keys = set(rows.order_by().values_list("pk", flat=True)) if rows.model in collector.data else set()
    for instances in collector.data.values():
        root.branches += _by_model(
            [one for one in instances if type(one) is not rows.model or one.pk not in keys], GOES, rows.db
        )
    # By multi-table inheritance, two ways may lead to the same rows.
    unloaded: dict[Model, Rows] = {}
    for fast in collector.fast_deletes:
        unloaded[fast.model] = unloaded[fast.model] | fast if fast.model in unloaded else fast
    for model, several in unloaded.items():
        if model is not rows.model:
            _branch_of(root, model, GOES).add(several)
    for (link, _), updated in collector.field_updates.items():
        for some in updated:
            if isinstance(some, models.QuerySet):
                _branch_of(root, link.model, STAYS, link).add(some)
            else:
                root.branches += _by_model(some, STAYS, rows.db)
    root.branches = [branch for branch in root.branches if branch.count]
    return root


def _database_cascades(model: Model) -> bool:
    """Return whether any relation of the model's apps leaves its CASCADE to the database, as Django 6.1 can."""
    relations = (field.remote_field for one in model._meta.apps.get_models() for field in one._meta.concrete_fields)
    return any(hasattr(getattr(relation, "on_delete", None), "forced_collector") for relation in relations)


def _by_model(instances: Any, fate: str, using: str) -> list[Branch]:  # Any: rows; the stubs take several for one
    rows = defaultdict[Model, list[Any]](list)
    for instance in instances:
        rows[type(instance)].append(instance)
    return [
        Branch(
            model,
            fate,
            count=len(some),
            first=nsmallest(FIRST, some, key=lambda row: row.pk),
            parts=[_loaded_whole(model, some, using)],
        )
        for model, some in rows.items()
    ]


def _loaded_whole(model: Model, instances: list[Any], using: str) -> Any:  # Any: a part of a `Branch`
    """Return the rows of instances, of which the collector may have loaded the keys alone: their queryset."""
    key: Any = model._meta.pk
    if key.column is None:  # a composite one, which has no array
        return instances
    return rows_of(model, using).filter(AnyOf(F(key.name), [one.pk for one in instances]))


def _branch_of(root: Branch, model: Model, fate: str, link: Any = None) -> Branch:
    """Return the root's branch of this kind, a new one where there is none."""
    for branch in root.branches:
        if (branch.model, branch.fate, branch.link) == (model, fate, link):
            return branch
    root.branches.append(Branch(model, fate, link))
    return root.branches[-1]


class _Walk:
    """One walk along CASCADE, which counts what it meets."""

    def __init__(self, rows: Rows, *, deleted: bool) -> None:
        hierarchy = hierarchy_of(rows.model)
        self.using, self.deleted = rows.db, deleted
        self.root = Branch(rows.model, GOES)
        self.homes: dict[Hierarchy, Branch] = {hierarchy: self.root}  # of the rows that a branch hangs below
        self.branches: dict[HierarchyRelation, Branch] = {}
        self.collector = Collector()
        self.restricting: dict[HierarchyRelation, list[Row]] = {}  # what the rows that may refuse it refer to
        self.counted = _counted(hierarchy) if deleted else set()
        self.start(hierarchy, rows.filter(is_deleted=not deleted))

    def start(self, hierarchy: Hierarchy, rows: Rows) -> None:
        self.root.first = list(rows[:FIRST])
        found = as_owner_rows(rows, hierarchy).values_list(*self.names(hierarchy))
        roots = self.collector.add(rows.model, hierarchy, found)
        self.count(self.root, hierarchy, roots)
        if not self.deleted and len({row[-1] for row in roots}) == 1:
            self.counted = _counted(hierarchy)
        self.look(hierarchy, roots)
        walk(hierarchy, roots, self.take)

    def done(self) -> Branch:
        # RESTRICT lets pass what is deleted by another relation, so it is known only now.
        for relation, parents in self.restricting.items():
            rows = self.staying(relation, parents)
            if relation.hierarchy and (keys := self.collector.keys(relation.hierarchy)):
                rows = rows.exclude(AnyOf(F(relation.hierarchy.key.name), keys))
            self.note(relation, rows, BLOCKS)
        return self.root

    def names(self, hierarchy: Hierarchy) -> list[str]:
        return [target.attname for target in hierarchy.targets] if self.deleted else row_fields(hierarchy)

    def take(self, relation: Cascade, parents: list[Row]) -> list[Row]:
        hierarchy = relation.hierarchy
        rows = related_rows(relation, parents, self.using)
        if hierarchy in self.counted:
            moment = {"is_deleted": False} if self.deleted else {"deleted_at": parents[0][-1]}
            self.note(relation, rows.filter(**moment), GOES)
            return []
        found: Iterable[Row]
        if self.deleted:
            found = rows.filter(is_deleted=False).values_list(*self.names(hierarchy))
        else:
            found = deleted_together(relation, parents, self.using)
        new = self.collector.add(relation.child, hierarchy, found)
        if new:
            branch = self.branch(relation, GOES)
            self.count(branch, hierarchy, new)
            if shown := [row[0] for row in sorted(new)[: FIRST - len(branch.first)]]:
                firsts = rows_of(relation.child, self.using).filter(AnyOf(F(hierarchy.key.name), shown))
                branch.first += sorted(firsts, key=lambda row: row.pk)
            self.homes.setdefault(hierarchy, branch)
            self.look(hierarchy, new)
        return new

    def count(self, branch: Branch, hierarchy: Hierarchy, new: list[Row]) -> None:
        branch.count += len(new)
        keys = AnyOf(F(hierarchy.key.name), [row[0] for row in new])
        branch.parts.append(rows_of(branch.model, self.using).filter(keys))

    def look(self, hierarchy: Hierarchy, new: list[Row]) -> None:
        """Count what refers to new rows, and is not deleted with them."""
        if not self.deleted or not new:
            return
        for relation in hierarchy.blocking:
            if relation.soft is Effect.PROTECT:
                self.note(relation, self.staying(relation, new), BLOCKS)
            else:
                self.restricting.setdefault(relation, []).extend(new)
        for relation in hierarchy.kept:
            self.note(relation, self.staying(relation, new), STAYS)

    def staying(self, relation: HierarchyRelation, parents: list[Row]) -> Rows:
        rows = related_rows(relation, parents, self.using)
        if is_soft_deletable(relation.child):
            return rows.filter(is_deleted=False)
        if relation.is_cascade:
            # Of a table that others inherit, those that can be soft-deleted are deleted with it.
            for cascade in relation.parent.cascades:
                if cascade.link is relation.link:
                    rows = rows.filter(~Exists(rows_of(cascade.child, self.using).filter(pk=OuterRef("pk"))))
        return rows

    def note(self, relation: HierarchyRelation, rows: Rows, fate: str) -> None:
        noted = Branch(relation.child, fate)
        noted.add(rows)
        if noted.count:
            branch = self.branch(relation, fate)
            branch.count += noted.count
            branch.parts += noted.parts
            branch.first = [*branch.first, *noted.first][:FIRST]

    def branch(self, relation: HierarchyRelation, fate: str) -> Branch:
        if relation not in self.branches:
            self.branches[relation] = Branch(relation.child, fate, relation.link)
            self.homes[relation.parent].branches.append(self.branches[relation])
        return self.branches[relation]


def _counted(root: Hierarchy) -> set[Hierarchy]:
    """Return the hierarchies whose rows are only counted: nothing refers to them, and one relation leads to them."""
    relations = Counter(relation.hierarchy for one in root.closure for relation in one.cascades)
    blocking = [relation for one in root.closure for relation in one.blocking]
    restricting = {relation.hierarchy for relation in blocking if relation.soft is Effect.RESTRICT}
    return {
        one
        for one in root.closure
        if not (one.cascades or one.blocking or one.kept) and relations[one] == 1 and one not in restricting
    }
