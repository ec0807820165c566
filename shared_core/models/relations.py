"""Relations between models: what refers to a model, and what a delete does to the rows that refer.

Data only: nothing here reads or writes a row. Soft delete, restore, purge, preview and the system checks follow it.

    Relation     rows of one model refer to rows of another, by a foreign key or a GenericRelation
    Hierarchy    the models that share one ``is_deleted`` column: its owner, and others by multi-table inheritance
    Cascade      a relation to a hierarchy by which a soft delete goes on to another hierarchy

What a delete does to the rows that refer:

    on_delete                       soft delete     hard delete
    CASCADE, GenericRelation        CASCADE         CASCADE
    DB_CASCADE                      CASCADE         DB_CASCADE (Django does not count these rows)
    PROTECT                         PROTECT         PROTECT
    RESTRICT                        RESTRICT        RESTRICT
    DO_NOTHING                      KEEP            RESTRICT if the database has the constraint, else KEEP
    SET_NULL, SET_DEFAULT, SET()    KEEP            KEEP (Django changes the link)
    a function of the service       KEEP            CASCADE, because nobody knows what it does

Where CASCADE meets a model that cannot be soft-deleted, a soft delete keeps its rows.
"""

import enum
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.deletion import CASCADE, DO_NOTHING, PROTECT, RESTRICT, SET_DEFAULT, SET_NULL

type Model = type[models.Model]
type Row = tuple[Any, ...]  # values of a hierarchy's owner, its key first. Any: of whatever types the columns have

# Django 6.1 lets the database do what CASCADE, SET_NULL and SET_DEFAULT do.
_DB_CASCADE = getattr(models, "DB_CASCADE", CASCADE)
_CASCADES = frozenset({CASCADE, _DB_CASCADE})
_SETS = {SET_NULL, SET_DEFAULT, *(getattr(models, name, SET_NULL) for name in ("DB_SET_NULL", "DB_SET_DEFAULT"))}


class Effect(enum.Enum):
    """What a delete does to the rows that refer by a relation."""

    CASCADE = enum.auto()
    DB_CASCADE = enum.auto()  # the database deletes them by itself
    PROTECT = enum.auto()  # they refuse the delete
    RESTRICT = enum.auto()  # they refuse it, unless another relation deletes them with it
    KEEP = enum.auto()


_SOFT = {**dict.fromkeys(_CASCADES, Effect.CASCADE), PROTECT: Effect.PROTECT, RESTRICT: Effect.RESTRICT}
_HARD = {
    _DB_CASCADE: Effect.DB_CASCADE,
    CASCADE: Effect.CASCADE,
    PROTECT: Effect.PROTECT,
    RESTRICT: Effect.RESTRICT,
    **dict.fromkeys(_SETS, Effect.KEEP),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Relation:
    """A foreign key or GenericRelation, seen from the model that is referred to."""

    model: Model  # that is referred to
    child: Model  # whose rows refer
    link: Any  # the child's field that holds the value. Any: Django's fields, as in all of this module
    on_delete: Any
    soft: Effect
    hard: Effect
    generic: Any = None  # the GenericRelation, if it is one

    @property
    def name(self) -> str:
        """What Django's errors call it: ``'Loan.book'``."""
        return f"'{self.link.model.__name__}.{self.link.name}'"

    @property
    def is_parent_link(self) -> bool:
        """Whether the child inherits from the model by this link, so that both are one row."""
        return not self.generic and bool(getattr(self.link.remote_field, "parent_link", False))

    @property
    def is_cascade(self) -> bool:
        """Whether its on_delete is CASCADE, whatever can be soft-deleted."""
        return self.on_delete in _CASCADES

    @property
    def columns(self) -> list[str]:
        """The child's attributes that hold the values."""
        return [self.link.attname] if self.generic else [one.attname for one in self.link.local_related_fields]

    @property
    def target_columns(self) -> list[str]:
        """The attributes of the model that the child's columns hold the values of."""
        return ["pk"] if self.generic else [one.attname for one in self.link.foreign_related_fields]


@dataclass(eq=False)
class Hierarchy:
    """The models that share one ``is_deleted`` column, and what refers to them."""

    owner: Model
    members: list[Model] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)  # the owner's fields that relations refer to; its key is first
    links: list[Any] = field(default_factory=list)  # the owner's fields by which its rows refer to parents
    cascades: list["Cascade"] = field(default_factory=list)
    blocking: list["HierarchyRelation"] = field(default_factory=list)  # PROTECT and RESTRICT
    kept: list["HierarchyRelation"] = field(default_factory=list)  # SET_NULL, for example, or not soft-deletable
    parents: list["HierarchyRelation"] = field(default_factory=list)  # CASCADE, PROTECT, RESTRICT, seen from the child
    rank: tuple[int, str] = (0, "")
    closure: list["Hierarchy"] = field(default_factory=list)  # what a soft delete can reach by CASCADE, and itself

    @property
    def key(self) -> Any:
        """The owner's primary key."""
        key = self.owner._meta.pk
        if key is None or key.column is None:
            raise ImproperlyConfigured(
                f"{self.owner._meta.label} has a composite primary key. Soft delete cannot follow relations to its "
                "rows. Give it a key of one column, or hard-delete its rows."
            )
        return key

    def link_of(self, row: Row, relation: "HierarchyRelation") -> Any:
        """Return what a row refers to by a relation to one of its parents; it was read with `targets` and `links`."""
        return row[len(self.targets) + self.links.index(relation.link)]

    @property
    def is_leaf(self) -> bool:
        """Whether one relation leads to its rows, and no soft delete goes on from them.

        A change that reaches such rows by a relation holds the lock of their one parent. To lock the rows in the order
        of their keys would cost a quarter more, and prevent no deadlock.
        """
        return not self.cascades and len(self.parents) == 1

    @property
    def lock_order(self) -> tuple[tuple[int, str], str]:
        """Its place in the order in which all hierarchies are locked."""
        return self.rank, self.owner._meta.label


@dataclass(frozen=True, eq=False, kw_only=True)
class HierarchyRelation(Relation):
    """A relation to rows of a hierarchy, which it reaches by a column of the owner or by a lookup."""

    parent: Hierarchy
    hierarchy: Hierarchy | None  # of the child; None if its rows cannot be soft-deleted
    target: int | None  # the place in the parent's `targets` of what the link holds; None: reached by `path`
    path: str = ""  # the lookup from the child to the key of the parent's owner

    def values(self, parents: Iterable[Row]) -> list[Any]:
        """Return what links to these parents hold."""
        return [parent[self.target or 0] for parent in parents]

    @property
    def is_in_row(self) -> bool:
        """Whether the value of the parent's target stands in the row of the child's owner."""
        return not self.generic and self.target is not None and _owns(self.hierarchy, self.link)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cascade(HierarchyRelation):
    """A relation by which a soft delete goes on."""

    hierarchy: Hierarchy


def is_soft_deletable(model: Model) -> bool:
    """Return whether ``model`` derives from `SoftDeleteModel`, which is defined on top of this module."""
    return bool(getattr(model, "_is_soft_deletable", False))


def owner_of(model: Model) -> Model:
    """Return the model whose table has ``is_deleted`` for rows of this one: itself, except for multi-table children."""
    owner: Model = model._meta.get_field("is_deleted").model
    return owner


def relations_to(model: Model) -> Iterator[Relation]:
    """Yield what refers to the model's own table, and its GenericRelations."""
    for found in model._meta.get_fields(include_parents=False, include_hidden=True):
        if isinstance(found, models.ForeignObjectRel) and (found.one_to_many or found.one_to_one):
            yield _by_key(found.field)
    yield from _generics(model)


def hard_relations_to(model: Model) -> Iterator[Relation]:
    """Yield what decides about a hard delete of the model's rows, in all tables that hold a part of them."""
    yield from relations_to(model)
    for parent in model._meta.get_parent_list():
        for relation in relations_to(parent):
            if relation.is_parent_link:
                # Another heir of the same parent's row: Django does not look for it, and the database refuses.
                if not issubclass(model, relation.child):
                    yield replace(relation, hard=Effect.RESTRICT)
            elif not relation.generic:  # of which the model has a copy
                yield relation


def relations_declared_by(model: Model) -> Iterator[Relation]:
    """Yield the relations that the class itself declares, or inherits from abstract models."""
    for link in model._meta.local_fields:
        if link.remote_field and not isinstance(link.remote_field.model, str):  # a text is fields.E300
            yield _by_key(link)
    yield from _generics(model)


def hierarchy_of(model: Model) -> Hierarchy:
    """Return the hierarchy of a soft-deletable model, as the models that are loaded now make it."""
    loaded, owner = tuple(model._meta.apps.get_models(include_auto_created=True)), owner_of(model)
    # A model of no installed app is not among them.
    return _hierarchies(loaded).get(owner) or _hierarchies((*loaded, owner))[owner]


def reachable[T](start: Iterable[T], neighbours: Callable[[T], Iterable[T]]) -> set[T]:
    """Return what to start from, and everything that its neighbours lead to."""
    found = set(start)
    queue = list(found)
    while queue:
        new = [one for one in neighbours(queue.pop()) if one not in found]
        found.update(new)
        queue.extend(new)
    return found


def _by_key(link: Any) -> Relation:
    on_delete, child = link.remote_field.on_delete, link.model
    soft = _SOFT.get(on_delete, Effect.KEEP)
    if soft is Effect.CASCADE and not is_soft_deletable(child):
        soft = Effect.KEEP
    hard = _HARD.get(on_delete, Effect.CASCADE)
    if on_delete is DO_NOTHING:
        hard = Effect.RESTRICT if getattr(link, "db_constraint", False) else Effect.KEEP
    elif hasattr(on_delete, "deconstruct") and on_delete.deconstruct()[0] == "django.db.models.SET":
        hard = Effect.KEEP
    return Relation(model=link.remote_field.model, child=child, link=link, on_delete=on_delete, soft=soft, hard=hard)


def _generics(model: Model) -> Iterator[Relation]:
    for generic in model._meta.private_fields:
        # As Django's own deletion recognizes a GenericRelation, without importing the app of content types.
        if hasattr(generic, "bulk_related_objects"):
            child = generic.related_model
            yield Relation(
                model=model,
                child=child,
                link=child._meta.get_field(generic.object_id_field_name),
                on_delete=CASCADE,
                soft=Effect.CASCADE if is_soft_deletable(child) else Effect.KEEP,
                hard=Effect.CASCADE,
                generic=generic,
            )


@functools.lru_cache(maxsize=4)
def _hierarchies(loaded: tuple[Model, ...]) -> dict[Model, Hierarchy]:
    """Return the hierarchies of these models by their owners."""
    found = {model: Hierarchy(model) for model in loaded if is_soft_deletable(model) and owner_of(model) is model}
    for hierarchy in found.values():
        hierarchy.targets.append(hierarchy.owner._meta.pk)
        below = [model for model in loaded if issubclass(model, hierarchy.owner) and not model._meta.proxy]
        parents = {parent for model in below for parent in model._meta.get_parent_list()}
        hierarchy.members.extend(model for model in loaded if model in below or model in parents)
    for hierarchy in found.values():
        for relation in _relations_to_hierarchy(hierarchy, found):
            if isinstance(relation, Cascade):
                hierarchy.cascades.append(relation)
            elif relation.soft is Effect.KEEP:
                hierarchy.kept.append(relation)
                continue
            else:
                hierarchy.blocking.append(relation)
            if relation.hierarchy:
                relation.hierarchy.parents.append(relation)
                if _owns(relation.hierarchy, relation.link) and relation.link not in relation.hierarchy.links:
                    relation.hierarchy.links.append(relation.link)
    _sort(found.values())
    return found


def _relations_to_hierarchy(hierarchy: Hierarchy, found: dict[Model, Hierarchy]) -> Iterator[HierarchyRelation]:
    """Yield what refers to rows of ``hierarchy``: a Cascade for each hierarchy that a soft delete goes on to."""
    for member in hierarchy.members:
        for relation in relations_to(member):
            if relation.is_parent_link and relation.child in hierarchy.members:
                continue
            target, path = (0, "") if relation.generic else _target(hierarchy, member, relation.link)
            known = {**vars(relation), "parent": hierarchy, "target": target, "path": path}
            child = relation.child
            if relation.is_cascade:
                # Of a table without is_deleted, the owners that inherit it.
                heirs = [owner for owner in found if issubclass(owner, child) and not relation.generic]
                for one in [child] if is_soft_deletable(child) else heirs:
                    yield Cascade(**{**known, "child": one, "hierarchy": found[owner_of(one)]})
            is_link_alone = child._meta.auto_created  # the rows of a many-to-many relation
            is_followed = relation.soft is Effect.CASCADE or (relation.is_cascade and is_link_alone)
            if not is_followed and not relation.generic:
                own = found[owner_of(child)] if is_soft_deletable(child) else None
                yield HierarchyRelation(**known, hierarchy=own)


def _target(hierarchy: Hierarchy, member: Model, link: Any) -> tuple[int | None, str]:
    """Return which of the hierarchy's targets ``link`` holds, else None and the lookup from it to the owner's key."""
    columns = link.foreign_related_fields
    above: Any = hierarchy.owner._meta.pk
    same = {above}  # all that hold the same value as the owner's key
    while above.remote_field and above.remote_field.parent_link:
        above = above.target_field
        same.add(above)
    if len(columns) == 1:
        column = columns[0]
        while column not in same and column.remote_field and getattr(column.remote_field, "parent_link", False):
            column = column.target_field
        if column in same:
            return 0, ""
        if column.model is hierarchy.owner:
            if column not in hierarchy.targets:
                hierarchy.targets.append(column)
            return hierarchy.targets.index(column), ""
    return None, f"{link.name}__{_path_to_key(hierarchy, member)}"


def _path_to_key(hierarchy: Hierarchy, member: Model) -> str:
    if issubclass(member, hierarchy.owner):
        return str(hierarchy.key.name)
    below = next(one for one in hierarchy.members if member in one._meta.parents)
    link: Any = below._meta.parents[member]
    return f"{link.related_query_name()}__{_path_to_key(hierarchy, below)}"


def _owns(hierarchy: Hierarchy | None, link: Any) -> bool:
    return hierarchy is not None and link.model is hierarchy.owner


def _sort(hierarchies: Iterable[Hierarchy]) -> None:
    """Give each hierarchy its closure and its rank in the order of locks; those of one cycle share a rank."""

    def below(relations: Iterable[HierarchyRelation]) -> list[Hierarchy]:
        return [relation.hierarchy for relation in relations if relation.hierarchy]

    reached = {
        one: reachable(below([*one.cascades, *one.blocking]), lambda each: below([*each.cascades, *each.blocking]))
        for one in hierarchies
    }
    for hierarchy, found in reached.items():
        cycle = {one for one in found if hierarchy in reached[one]} | {hierarchy}
        # A hierarchy that refers to another reaches less than that one: a parent always comes before its children.
        hierarchy.rank = (-len(found | cycle), min(one.owner._meta.label for one in cycle))
        for relations in (hierarchy.cascades, hierarchy.blocking, hierarchy.kept):
            relations.sort(key=lambda one: (one.child._meta.label, str(one.link.name)))
    for hierarchy in reached:
        closure = reachable([hierarchy], lambda one: below(one.cascades))
        hierarchy.closure = sorted(closure, key=lambda one: one.lock_order)
