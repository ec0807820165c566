"""How are rows that were deleted long ago removed for good, while services go on working on the same tables?

In batches, each in a transaction of its own: candidates are read by key, from where the last batch ended; what refers
to them is followed a level at a time; Django deletes those that can go, and sends its signals. All that goes is locked
before, and what somebody else has locked is not waited for: it is no candidate, and blocks where it would go along.

What refers to a row that would go decides:

    CASCADE, GenericRelation, heirs    goes along; blocks where it is active, younger than the moment, or locked
    PROTECT                            blocks
    RESTRICT, DO_NOTHING               blocks, unless it goes along by another way (DO_NOTHING: where a constraint of
                                       the database would refuse)
    SET_NULL, SET_DEFAULT, SET()       is changed by Django
    any other on_delete                is taken for a CASCADE, for who knows what it does
"""

import datetime as dt
import enum
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from django.conf import settings
from django.db import models, router, transaction
from django.db.models import F, Q
from django.db.models.deletion import DO_NOTHING, PROTECT, RESTRICT, SET_DEFAULT, SET_NULL
from django.utils import timezone

from shared_core.models.changes import logger
from shared_core.models.graph import Model, is_soft_deletable
from shared_core.models.statements import AnyOf

# Any: keys and values of whatever types the columns have.
type Values = dict[str, Any]
type Node = tuple[Model, Any]  # a row, by its model's table and its key there
type Edges = set[tuple[Any, Any]]  # what is referred to, and what refers to it


@dataclass(frozen=True)
class Batch:
    """What one batch did."""

    candidates: int  # rows of the model itself that were looked at
    skipped: int  # how many of them cannot go yet
    purged: int  # rows deleted, what went along included


def purge(
    model: Model, older_than: dt.timedelta | dt.datetime, batch_size: int = 1000, using: str | None = None
) -> int:
    """Delete for good what was soft-deleted before a moment, and return the number of rows, what went along included.

    Each batch is committed by itself, so that what is done stays done. Several workers may purge a model at once.

    Args:
        model: Whose rows to purge.
        older_than: Rows deleted longer ago than this, or before this moment.
        batch_size: How many rows of the model are looked at in one transaction.
        using: The database's alias; by default the one that the model is written to.

    Raises:
        RuntimeError: The call is inside ``transaction.atomic``: its batches could not be committed.
        TypeError, ValueError: The model is not soft-deletable, or an argument is out of its range.
    """
    return sum(batch.purged for batch in purge_batches(model, older_than, batch_size, using))


def purge_batches(
    model: Model, older_than: dt.timedelta | dt.datetime, batch_size: int = 1000, using: str | None = None
) -> Generator[Batch, None, None]:
    """Do what `purge` does, and yield after each batch, when it is committed."""
    is_model = isinstance(model, type) and issubclass(model, models.Model)
    if not is_model or not is_soft_deletable(model) or model._meta.abstract:
        raise TypeError(f"purge() takes a model with a table that derives from SoftDeleteModel, not {model!r}.")
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a number of rows from 1, not {batch_size!r}.")
    return _batches(model, moment_of(older_than), batch_size, using or router.db_for_write(model))


def expired(model: Model, moment: dt.datetime, using: str) -> models.QuerySet[Any]:
    """Return the rows that were deleted before a moment, whether they can go or not."""
    return _all(model, using).filter(is_deleted=True, deleted_at__lt=moment)


def moment_of(older_than: dt.timedelta | dt.datetime) -> dt.datetime:
    """Return the moment before which rows must have been deleted; TypeError or ValueError where that is not said."""
    if isinstance(older_than, dt.timedelta):
        if older_than < dt.timedelta():
            raise ValueError(f"older_than must not be negative: {older_than!r}.")
        return timezone.now() - older_than
    if not isinstance(older_than, dt.datetime):
        raise TypeError(f"older_than takes a timedelta, as timedelta(days=90), or an aware datetime: {older_than!r}.")
    if settings.USE_TZ and timezone.is_naive(older_than):
        raise ValueError(f"older_than needs a time zone, as django.utils.timezone.now() has one: {older_than!r}.")
    return older_than if settings.USE_TZ or timezone.is_naive(older_than) else timezone.make_naive(older_than)


def _batches(model: Model, moment: dt.datetime, batch_size: int, using: str) -> Generator[Batch, None, None]:
    counts: Counter[str] = Counter()
    rows, size = expired(model, moment, using), batch_size
    try:
        while size == batch_size:  # a smaller one was the last
            with transaction.atomic(using=using, durable=True):
                candidates = _lock(rows.order_by("pk"), batch_size)
                purged, skipped = _purge(model, candidates, moment, using)
            counts.update(purged)
            size = len(candidates)
            if candidates:
                # Not an offset: rows that were skipped are still there.
                rows = expired(model, moment, using).filter(pk__gt=candidates[-1]["pk"])
                yield Batch(size, skipped, sum(purged.values()))
    finally:
        if counts:
            facts = {"rows": counts.total(), "by_model": dict(counts), "older_than": moment}
            logger.info("Purged %s", model._meta.label, extra=facts)


def _purge(model: Model, candidates: list[Values], moment: dt.datetime, using: str) -> tuple[Counter[str], int]:
    """Delete those of the candidates that can go; return the counts by label, and how many were skipped."""
    collection = _Collection(using, moment)
    collection.collect(model._meta.concrete_model or model, candidates)
    keys, unseen = collection.decide()
    if not keys:
        return Counter(), len(candidates)
    _, counts = _all(model, using).filter(_with_keys(model, keys)).delete()
    return Counter(counts) + unseen, len(candidates) - len(keys)


class _Effect(enum.Enum):
    """What becomes of a row that refers to one that is deleted for good."""

    GOES = enum.auto()
    GOES_UNSEEN = enum.auto()  # the database takes it, and Django does not count it
    PROTECTS = enum.auto()
    RESTRICTS = enum.auto()


# Django 6.1 lets the database do what its own CASCADE, SET_NULL and SET_DEFAULT do.
_DB_CASCADE = getattr(models, "DB_CASCADE", None)
_EFFECTS = {PROTECT: _Effect.PROTECTS, RESTRICT: _Effect.RESTRICTS, _DB_CASCADE: _Effect.GOES_UNSEEN}
_LEAVES = {SET_NULL, SET_DEFAULT, *(getattr(models, name, SET_NULL) for name in ("DB_SET_NULL", "DB_SET_DEFAULT"))}


@dataclass(frozen=True)
class _Reference:
    """A way in which rows of ``child`` refer to rows of another model."""

    child: Any  # Any: the stubs know no fields of a model that is not known
    links: list[str]  # the child's columns
    targets: list[str]  # the columns of the other that these hold
    effect: _Effect
    generic: Any = None  # the GenericRelation, where it is one

    @classmethod
    def by_key(cls, link: Any, effect: _Effect) -> Self:  # Any: a foreign key
        """Return the reference that a foreign key is."""
        targets = [column.attname for column in link.foreign_related_fields]
        return cls(link.model, [column.attname for column in link.local_related_fields], targets, effect)

    def pairs(self, parents: Iterable[Values], using: str) -> Edges:
        """Return the keys of parents, each with the key of a row that refers to it."""
        keys = {tuple(parent[name] for name in self.targets): parent["pk"] for parent in parents}
        conditions: Values = {}
        if self.generic:
            link, type_name = self.child._meta.get_field(self.links[0]), self.generic.content_type_field_name
            keys = {(link.to_python(key),): key for key in keys.values()}
            types = self.child._meta.get_field(type_name).related_model.objects.db_manager(using)
            named = types.get_for_model(self.generic.model, for_concrete_model=self.generic.for_concrete_model)
            conditions = {type_name: named}
        is_named = AnyOf(F(self.links[0]), [held[0] for held in keys])
        found = _all(self.child, using).filter(is_named, **conditions).order_by().values_list("pk", *self.links)
        return {(keys[held], key) for key, *links in found if (held := tuple(links)) in keys}


@dataclass
class _Collection:
    """Rows that go when candidates are deleted, and what stands against it."""

    using: str
    moment: dt.datetime
    candidates: list[Node] = field(default_factory=list)
    known: dict[Model, set[Any]] = field(default_factory=dict)  # keys of rows that were looked at
    blocked: set[Node] = field(default_factory=set)
    edges: dict[_Effect, Edges] = field(default_factory=lambda: {effect: set() for effect in _Effect})

    def collect(self, model: Model, candidates: list[Values]) -> None:
        """Follow what refers to the candidates, level by level."""
        self.candidates = [(model, row["pk"]) for row in candidates]
        self.known[model] = {row["pk"] for row in candidates}
        level = {model: self._add(model, candidates)}
        while level:
            below: dict[Model, list[Values]] = {}
            for parent, rows in level.items():
                for reference in _references(parent) if rows else ():
                    below.setdefault(reference.child, []).extend(self._follow(parent, rows, reference))
            level = below

    def decide(self) -> tuple[list[Any], Counter[str]]:
        """Return the keys of the candidates that can go, and counts of what the database then takes by itself."""
        seen, unseen = self.edges[_Effect.GOES], self.edges[_Effect.GOES_UNSEEN]
        below, above = _neighbours(seen | unseen), _neighbours((row, parent) for parent, row in seen | unseen)
        blocked = self.blocked | {kept for kept, _ in self.edges[_Effect.PROTECTS]}
        while True:
            blocked = _reach(blocked, above)
            free = [node for node in self.candidates if node not in blocked]
            going = _reach(free, below)
            # What went along with a candidate that is blocked now may restrict another one.
            restricted = {kept for kept, row in self.edges[_Effect.RESTRICTS] if kept in going and row not in going}
            if not restricted:
                left = going - _reach(free, _neighbours(seen)) if unseen else set()
                return [key for _, key in free], Counter(model._meta.label for model, _ in left)
            blocked |= restricted

    def _follow(self, model: Model, parents: list[Values], reference: _Reference) -> list[Values]:
        """Note what refers to the parents in one way, and return the rows that go along and were not known yet."""
        child, effect = reference.child, reference.effect
        pairs = reference.pairs(parents, self.using)
        self.edges[effect].update(((model, parent), (child, key)) for parent, key in pairs)
        goes = effect in {_Effect.GOES, _Effect.GOES_UNSEEN}
        unknown = {key for _, key in pairs} - self.known.setdefault(child, set()) if goes else set()
        if not unknown:
            return []
        # Those alone that may go, so that services find no active row locked. Without an order: it might join a table.
        rows = expired(child, self.moment, self.using) if is_soft_deletable(child) else _all(child, self.using)
        locked = _lock(rows.filter(_with_keys(child, unknown)).order_by())
        self.blocked.update((child, key) for key in unknown - {row["pk"] for row in locked})
        self.known[child] |= unknown
        return self._add(child, locked)

    def _add(self, model: Model, rows: list[Values]) -> list[Values]:
        """Note that what the rows have in the tables of their parents goes, too; what refers to that refers to them."""
        for parent in model._meta.get_parent_list():
            name = parent._meta.pk.attname
            self.edges[_Effect.GOES].update(((model, row["pk"]), (parent, row[name])) for row in rows)
        return rows


def _all(model: Model, using: str) -> models.QuerySet[Any]:
    """Return every row, past the model's managers: these may hide some, and their delete is soft."""
    return models.QuerySet(model, using=using)


def _lock(rows: models.QuerySet[Any], limit: int | None = None) -> list[Values]:
    """Lock the rows that nobody else has locked, and return what following them needs."""
    model = rows.model._meta.concrete_model
    names = {"pk", *(name for reference in _references(model) for name in reference.targets)}
    names |= {parent._meta.pk.attname for parent in model._meta.get_parent_list()}
    return list(rows.select_for_update(skip_locked=True).values(*sorted(names))[:limit])


def _with_keys(model: Model, keys: Iterable[Any]) -> Any:  # Any: a condition
    """Return the condition that a row has one of these keys; by many parameters where a key is of several columns."""
    return Q(pk__in=list(keys)) if len(getattr(model._meta, "pk_fields", "1")) > 1 else AnyOf(F("pk"), list(keys))


def _references(model: Model) -> Iterator[_Reference]:
    """Yield what decides about a hard delete of the model's rows, as Django's collector goes through it."""
    rels: Iterable[Any] = model._meta.get_fields(include_hidden=True)  # Any: fields, too
    for rel in rels:
        is_referring = isinstance(rel, models.ForeignObjectRel) and (rel.one_to_many or rel.one_to_one)
        if is_referring and (effect := _effect(rel.field)):
            yield _Reference.by_key(rel.field, effect)
    for generic in model._meta.private_fields:
        if hasattr(generic, "bulk_related_objects"):
            child = generic.related_model._meta.concrete_model
            yield _Reference(child, [generic.object_id_field_name], ["pk"], _Effect.GOES, generic)
    for parent in model._meta.get_parent_list():
        rels = parent._meta.get_fields(include_parents=False, include_hidden=True)
        # Another heir of the same parent's row: Django does not look for it, and the database refuses.
        for rel in (rel for rel in rels if isinstance(rel, models.OneToOneRel) and rel.parent_link):
            if not issubclass(model, rel.field.model):
                yield _Reference.by_key(rel.field, _Effect.RESTRICTS)


def _effect(link: Any) -> _Effect | None:  # Any: a foreign key
    on_delete = link.remote_field.on_delete
    if on_delete is DO_NOTHING:
        return _Effect.RESTRICTS if getattr(link, "db_constraint", False) else None
    is_set = hasattr(on_delete, "deconstruct") and on_delete.deconstruct()[0] == "django.db.models.SET"
    return None if is_set or on_delete in _LEAVES else _EFFECTS.get(on_delete, _Effect.GOES)


def _neighbours(edges: Iterable[tuple[Node, Node]]) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for one, other in edges:
        found.setdefault(one, []).append(other)
    return found


def _reach(start: Iterable[Node], neighbours: dict[Node, list[Node]]) -> set[Node]:
    """Return the rows to start from and all that lead on from them."""
    found = set(start)
    queue = list(found)
    while queue:
        new = [node for node in neighbours.get(queue.pop(), ()) if node not in found]
        found.update(new)
        queue.extend(new)
    return found
