"""Which rows refer to a row, and in what order are they locked?

    Family      the models that share one ``is_deleted`` column: its owner, and by multi-table inheritance others
    Relation    a foreign key or GenericRelation into a family, seen from it
    Row         what a walk carries of a row: the values of the owner's columns that relations refer to, the key first

A walk goes along CASCADE, parents before children, and every walk of a process takes families in the same order: so
two of them that meet wait for each other, and don't deadlock, unless relations form a cycle.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, models
from django.db.models import F
from django.db.models.deletion import CASCADE, PROTECT, RESTRICT

from shared_core.models.statements import AnyOf, is_lockable, rows_of

type Model = type[models.Model]
type Row = tuple[Any, ...]  # Any: values of whatever types the columns have

# Django 6.1 lets the database cascade; to a soft delete that is a CASCADE like any other.
CASCADES = frozenset({CASCADE, getattr(models, "DB_CASCADE", CASCADE)})
VETOES = frozenset({PROTECT, RESTRICT})


def is_soft_deletable(model: Model) -> bool:
    """Say whether ``model`` derives from `SoftDeleteModel`, which marks itself: it is defined on top of this module."""
    return bool(getattr(model, "_is_soft_deletable", False))


def owner_of(model: Model) -> Model:
    """Return the model whose table has ``is_deleted`` for rows of this one: itself, but for multi-table children."""
    owner: Model = model._meta.get_field("is_deleted").model
    return owner


@dataclass(eq=False)
class Family:
    """The models that share one ``is_deleted`` column, and what refers to them."""

    owner: Model
    members: list[Model] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)  # the owner's fields that relations refer to; its key is first
    cascades: list["Cascade"] = field(default_factory=list)
    vetoes: list["Relation"] = field(default_factory=list)
    others: list["Relation"] = field(default_factory=list)  # whose rows stay: SET_NULL, say, or not soft-deletable
    parents: list["Relation"] = field(default_factory=list)  # CASCADE, PROTECT and RESTRICT, seen from the child
    rank: tuple[int, str] = (0, "")
    closure: list["Family"] = field(default_factory=list)  # what a deletion can reach by CASCADE, itself included

    @property
    def key(self) -> Any:  # Any: a field
        """The owner's primary key."""
        key = self.owner._meta.pk
        if key is None or key.column is None:
            raise ImproperlyConfigured(
                f"{self.owner._meta.label} has a composite primary key, by which rows cannot be soft-deleted along "
                "relations: give it a key of one column, or hard-delete it."
            )
        return key

    @property
    def is_last(self) -> bool:
        """Whether its rows have one way to them, and none leads on.

        Who deletes such rows along with others holds the lock of their one parent, and who deletes them by themselves
        does it by a plain UPDATE: to lock them in an order would cost a quarter more, and keep nobody from a deadlock.
        """
        return not self.cascades and not self.vetoes and len(self.parents) == 1


@dataclass(eq=False)
class Relation:
    """One foreign key or GenericRelation from ``child`` to ``parent``."""

    parent: Family
    child: Model  # its table has the link, by itself or inherited
    family: Family | None  # of the child; None where its rows cannot be soft-deleted
    link: Any  # the child's field that holds the value
    on_delete: Any  # CASCADE, PROTECT, SET_NULL, ...
    target: int | None  # which of the parent's `targets` the link holds; None: reached by `path`
    path: str = ""  # the lookup from the link to the parent owner's key
    generic: Any = None  # the GenericRelation, where it is one

    @property
    def name(self) -> str:
        """What Django's errors call it: ``'Loan.book'``."""
        return f"'{self.link.model.__name__}.{self.link.name}'"

    def values(self, parents: Iterable[Row]) -> list[Any]:
        """Return what links to these parents hold."""
        return [parent[self.target or 0] for parent in parents]

    def rows(self, parents: Iterable[Row] | None, using: str) -> models.QuerySet[Any]:
        """Return the child's rows that refer to these parents; None: to those to come."""
        rows = rows_of(self.child, using)
        if self.generic:
            rows = rows.filter(**self.of_parent(using))
        values = None if parents is None else self.values(parents)
        return rows.filter(AnyOf(F(self.path or self.link.name), values))

    def of_parent(self, using: str) -> dict[str, Any]:
        """Return the condition that a row with a GenericForeignKey names the parent's model."""
        name = self.generic.content_type_field_name
        link: Any = self.child._meta.get_field(name)  # Any: a foreign key
        return {name: link.related_model.objects.db_manager(using).get_for_model(self.generic.model)}


@dataclass(eq=False)
class Cascade(Relation):
    """A relation along which a deletion goes on."""

    family: Family


def family_of(model: Model) -> Family:
    """Return the family of a soft-deletable model, as the models that are loaded now make it."""
    loaded, owner = tuple(model._meta.apps.get_models(include_auto_created=True)), owner_of(model)
    # A model of no installed app is not among them.
    return _families(loaded).get(owner) or _families((*loaded, owner))[owner]


def owned(rows: models.QuerySet[Any], family: Family) -> models.QuerySet[Any]:
    """Return the same rows, as the owner's alone, so that they can be locked."""
    key = family.key
    if rows.model._meta.concrete_model is family.owner and is_lockable(rows):
        return rows
    return rows_of(family.owner, rows.db).filter(pk__in=rows.order_by().values(key.name))


def walk(family: Family, rows: list[Row], take: Callable[[Cascade, list[Row]], list[Row]]) -> None:
    """Call ``take`` with each relation and the rows it refers to; it returns what is new and shall be followed too.

    Relations into one family are taken at one time, after all that leads there: each is taken once. Where relations
    form a cycle, they are taken once a level, breadth first.
    """
    pending: dict[Cascade, list[Row]] = dict.fromkeys(family.cascades, rows) if rows else {}
    while pending:
        rank = min(relation.family.rank for relation in pending)
        found: dict[Family, list[Row]] = {}
        for relation in [relation for relation in pending if relation.family.rank == rank]:
            try:
                new = take(relation, pending.pop(relation))
            except DatabaseError as error:
                # The database names a table, if anything: of an unmanaged model, say, that has none.
                error.add_note(f"This came up on the way along {relation.child._meta.label}.{relation.link.name}.")
                raise
            if new:
                found.setdefault(relation.family, []).extend(new)
        for child, new in found.items():
            for relation in child.cascades:
                pending[relation] = pending.get(relation, []) + new


@functools.lru_cache(maxsize=4)
def _families(loaded: tuple[Model, ...]) -> dict[Model, Family]:
    """Return the families of these models by their owners."""
    families = {model: Family(model) for model in loaded if is_soft_deletable(model) and owner_of(model) is model}
    for family in families.values():
        family.targets.append(family.owner._meta.pk)
        below = [model for model in loaded if issubclass(model, family.owner) and not model._meta.proxy]
        parents = {parent for model in below for parent in model._meta.get_parent_list()}
        family.members.extend(model for model in loaded if model in below or model in parents)
    for family in families.values():
        for relation in _relations(family, families, loaded):
            if isinstance(relation, Cascade):
                family.cascades.append(relation)
            elif relation.on_delete in VETOES:
                family.vetoes.append(relation)
            else:
                family.others.append(relation)
                continue
            if relation.family:
                relation.family.parents.append(relation)
    _rank(families.values())
    return families


def _relations(family: Family, families: dict[Model, Family], loaded: Iterable[Model]) -> Iterator[Relation]:
    """Yield what refers to rows of ``family``: along CASCADE what goes with them, and what does not."""
    for member in family.members:
        for found in member._meta.get_fields(include_parents=False, include_hidden=True):
            if isinstance(found, models.ForeignObjectRel) and (found.one_to_many or found.one_to_one):
                link: Any = found.field
                if getattr(found, "parent_link", False) and link.model in family.members:
                    continue
                on_delete = CASCADE if found.on_delete in CASCADES else found.on_delete
                target, path = _target(family, member, link)
                if on_delete == CASCADE:
                    for child, child_family in _soft_deletable(link.model, families, loaded):
                        yield Cascade(family, child, child_family, link, CASCADE, target, path)
                is_link_alone = link.model._meta.auto_created  # of a many-to-many relation
                if on_delete != CASCADE or not (is_link_alone or is_soft_deletable(link.model)):
                    own = families[owner_of(link.model)] if is_soft_deletable(link.model) else None
                    yield Relation(family, link.model, own, link, on_delete, target, path)
        for generic in member._meta.private_fields:
            child = generic.related_model
            # As Django's own deletion tells a GenericRelation, without a need for the app of content types.
            if hasattr(generic, "bulk_related_objects") and is_soft_deletable(child):
                yield Cascade(
                    family,
                    child,
                    families[owner_of(child)],
                    child._meta.get_field(generic.object_id_field_name),
                    CASCADE,
                    0,
                    generic=generic,
                )


def _soft_deletable(
    model: Model, families: dict[Model, Family], loaded: Iterable[Model]
) -> Iterator[tuple[Model, Family]]:
    """Yield ``model``, or the owners that inherit its table where itself has no ``is_deleted``."""
    if is_soft_deletable(model):
        yield model, families[owner_of(model)]
        return
    yield from ((one, families[one]) for one in loaded if one in families and issubclass(one, model))


def _target(family: Family, member: Model, link: Any) -> tuple[int | None, str]:
    """Return which of the family's targets ``link`` holds, else None and the lookup from it to the owner's key."""
    columns = link.foreign_related_fields
    above: Any = family.owner._meta.pk  # Any: a field
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
        if column.model is family.owner:
            if column not in family.targets:
                family.targets.append(column)
            return family.targets.index(column), ""
    return None, f"{link.name}__{_path(family, member)}"


def _path(family: Family, member: Model) -> str:
    """Return the lookup from ``member`` to the owner's key."""
    if issubclass(member, family.owner):
        return str(family.key.name)
    below = next(one for one in family.members if member in one._meta.parents)
    link: Any = below._meta.parents[member]  # Any: a foreign key
    return f"{link.related_query_name()}__{_path(family, below)}"


def _rank(families: Iterable[Family]) -> None:
    """Give each family its closure and its place in the order of locks; those of one cycle share a place."""
    reached = {family: _reach(family, lambda one: [*one.cascades, *one.vetoes]) for family in families}
    for family, below in reached.items():
        cycle = {one for one in below if family in reached[one]} | {family}
        # Who refers to nobody else reaches less: a parent always comes before its children.
        family.rank = (-len(below | cycle), min(one.owner._meta.label for one in cycle))
        family.closure = sorted(
            _reach(family, lambda one: one.cascades) | {family}, key=lambda one: (one.rank, one.owner._meta.label)
        )
        family.cascades.sort(key=_order)
        family.vetoes.sort(key=_order)
        family.others.sort(key=_order)


def _reach(family: Family, relations: Callable[[Family], Iterable[Relation]]) -> set[Family]:
    found: set[Family] = set()
    queue = [family]
    while queue:
        for relation in relations(queue.pop()):
            if relation.family and relation.family not in found:
                found.add(relation.family)
                queue.append(relation.family)
    return found


def _order(relation: Relation) -> tuple[str, str]:
    return relation.child._meta.label, str(relation.link.name)
