"""Purge: delete rows for good that were soft-deleted long ago, while services work on the same tables.

Each batch is a transaction of its own. Candidates are read by key, from where the last batch ended. What refers to
them is followed level by level. Django deletes those that can go, and sends its signals. All rows that go are locked
first. A purge does not wait for a row that somebody else has locked: it is no candidate, and keeps its parents.

What refers to a row decides whether the row can go (`Relation.hard`):

    CASCADE, DB_CASCADE, heirs    is purged with it; keeps it if it is active, younger than the moment, or locked
    PROTECT                       keeps it
    RESTRICT                      keeps it, unless another relation purges it with it
    KEEP                          does not matter: Django changes the link
"""

import datetime as dt
import functools
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from django.conf import settings
from django.db import models, router, transaction
from django.db.models import F, Q, deletion
from django.utils import timezone

from shared_core.models.cascade import content_type_filter
from shared_core.models.changes import logger
from shared_core.models.relations import Effect, Model, Relation, hard_relations_to, is_soft_deletable, reachable
from shared_core.models.statements import AnyOf, Rows, Values, rows_of

# Any: keys of whatever types the columns have.
type Node = tuple[Model, Any]  # a row, by its model's table and its key there
type Edges = set[tuple[Any, Any]]  # what is referred to, and what refers to it


@dataclass(frozen=True)
class Batch:
    """What one batch did."""

    candidates: int  # rows of the model itself that were read
    skipped: int  # how many of them cannot go yet
    purged: int  # rows deleted, those purged with candidates included


def _accept_positional[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let ``older_than`` and what follows it be passed by position for one more minor version."""

    @functools.wraps(function)
    def call(model: Any, *others: Any, **options: Any) -> R:  # Any: as the caller passes them
        if others:
            names = ("older_than", "batch_size", "using")[: len(others)]
            text = ", ".join(f"{name}=…" for name in names)
            warnings.warn(
                f"purge() takes only the model by position. Write purge({getattr(model, '__name__', model)}, {text}): "
                "the next minor version refuses the rest.",
                DeprecationWarning,
                stacklevel=2,
            )
            if len(others) > len(names):
                raise TypeError(f"purge() takes at most 4 arguments, not {len(others) + 1}")
            if repeated := options.keys() & set(names):
                raise TypeError(f"purge() got multiple values for argument {min(repeated)!r}")
            options.update(zip(names, others, strict=True))
        return function(model, **options)

    return cast("Callable[P, R]", call)


@_accept_positional
def purge(
    model: Model, *, older_than: dt.timedelta | dt.datetime, batch_size: int = 1000, using: str | None = None
) -> int:
    """Delete for good what was soft-deleted before a moment; return the number of rows, those purged with it included.

    Each batch is committed by itself, so that what is done stays done. Several workers may purge a model at once.

    Args:
        model: Whose rows to purge.
        older_than: Rows deleted longer ago than this, or before this moment.
        batch_size: How many rows of the model are read in one transaction.
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


def expired(model: Model, moment: dt.datetime, using: str) -> Rows:
    """Return the rows that were deleted before a moment, whether they can go or not."""
    return rows_of(model, using).filter(is_deleted=True, deleted_at__lt=moment)


def moment_of(older_than: dt.timedelta | dt.datetime) -> dt.datetime:
    """Return the moment before which rows must have been deleted; TypeError or ValueError for anything else."""
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
    rows = rows_of(model, using).filter(_with_keys(model, keys)).order_by()
    collector = _FlatCollector(using=using, origin=rows)
    # What restricts was looked at, and the rows are locked.
    collector.collect(rows, fail_on_restricted=False)
    _, counts = collector.delete()
    return Counter(counts) + unseen, len(candidates) - len(keys)


class _FlatCollector(deletion.Collector):
    """Django's own, without its recursion: a chain of a thousand rows, each below the other, ends in RecursionError."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # Any: as Django's own, below too
        super().__init__(*arguments, **options)
        self._waiting: deque[tuple[Any, Any]] = deque()

    def collect(self, *arguments: Any, **options: Any) -> None:
        """Collect rows and what refers to them; a call from within is done after the one that is running."""
        self._waiting.append((arguments, options))
        if len(self._waiting) > 1:
            return
        while self._waiting:
            arguments, options = self._waiting[0]
            super().collect(*arguments, **options)
            self._waiting.popleft()


@dataclass
class _Collection:
    """The rows that are deleted with the candidates, and what keeps them."""

    using: str
    moment: dt.datetime
    candidates: list[Node] = field(default_factory=list)
    known: dict[Model, set[Any]] = field(default_factory=dict)  # keys of rows that were looked at
    blocked: set[Node] = field(default_factory=set)
    edges: dict[Effect, Edges] = field(default_factory=lambda: {effect: set() for effect in Effect})

    def collect(self, model: Model, candidates: list[Values]) -> None:
        """Follow what refers to the candidates, level by level."""
        self.candidates = [(model, row["pk"]) for row in candidates]
        self.known[model] = {row["pk"] for row in candidates}
        level = {model: self._add(model, candidates)}
        while level:
            below: dict[Model, list[Values]] = {}
            for parent, rows in level.items():
                for relation in _relations(parent) if rows else ():
                    child = relation.child._meta.concrete_model or relation.child
                    below.setdefault(child, []).extend(self._follow(parent, rows, relation, child))
            level = below

    def decide(self) -> tuple[list[Any], Counter[str]]:
        """Return the keys of the candidates that can go, and counts of what the database deletes by itself."""
        seen, unseen = self.edges[Effect.CASCADE], self.edges[Effect.DB_CASCADE]
        below, above = _neighbours(seen | unseen), _neighbours((row, parent) for parent, row in seen | unseen)
        restricted_by = _neighbours((row, kept) for kept, row in self.edges[Effect.RESTRICT])
        blocked = reachable(self.blocked | {kept for kept, _ in self.edges[Effect.PROTECT]}, above)
        free = {node for node in self.candidates if node not in blocked}
        going = reachable(free, below)
        stopped = {row for _, row in self.edges[Effect.RESTRICT]} - going
        # A row that is no longer purged, because its candidate is blocked, may restrict another candidate.
        while restricted := {kept for row in stopped for kept in restricted_by(row) if kept in going}:
            new = reachable(restricted, above) & free
            free -= new
            left = reachable(new, below)
            going -= left
            others = {node for node in left if node in free or not going.isdisjoint(above(node))}
            going |= reachable(others, below)
            stopped = left - going
        counted = reachable(free, _neighbours(seen)) if unseen else going
        return [key for _, key in free], Counter(model._meta.label for model, _ in going - counted)

    def _follow(self, model: Model, parents: list[Values], relation: Relation, child: Model) -> list[Values]:
        """Add the edges of one relation, and return the rows that are purged with the parents and were not known."""
        effect, pairs = relation.hard, _pairs(relation, child, parents, self.using)
        self.edges[effect].update(((model, parent), (child, key)) for parent, key in pairs)
        goes = effect in {Effect.CASCADE, Effect.DB_CASCADE}
        unknown = {key for _, key in pairs} - self.known.setdefault(child, set()) if goes else set()
        if not unknown:
            return []
        # Only rows that may go, so that services find no active row locked. Unordered: an order might join a table.
        rows = expired(child, self.moment, self.using) if is_soft_deletable(child) else rows_of(child, self.using)
        locked = _lock(rows.filter(_with_keys(child, unknown)).order_by())
        self.blocked.update((child, key) for key in unknown - {row["pk"] for row in locked})
        self.known[child] |= unknown
        return self._add(child, locked)

    def _add(self, model: Model, rows: list[Values]) -> list[Values]:
        """Add an edge to what the rows have in the tables of their parents, which is deleted with them."""
        for parent in model._meta.get_parent_list():
            name = parent._meta.pk.attname
            self.edges[Effect.CASCADE].update(((model, row["pk"]), (parent, row[name])) for row in rows)
        return rows


def _lock(rows: Rows, limit: int | None = None) -> list[Values]:
    """Lock the rows that nobody else has locked, and return the values that relations refer to."""
    model = rows.model._meta.concrete_model
    names = {"pk", *(name for relation in _relations(model) for name in relation.target_columns)}
    names |= {parent._meta.pk.attname for parent in model._meta.get_parent_list()}
    return list(rows.select_for_update(skip_locked=True).values(*sorted(names))[:limit])


def _with_keys(model: Model, keys: Iterable[Any]) -> Any:  # Any: a condition
    """Return the condition that a row has one of these keys; a key of several columns takes many parameters."""
    return Q(pk__in=list(keys)) if len(getattr(model._meta, "pk_fields", "1")) > 1 else AnyOf(F("pk"), list(keys))


def _relations(model: Model) -> list[Relation]:
    """Return the relations that decide whether rows of the model can go."""
    return [relation for relation in hard_relations_to(model) if relation.hard is not Effect.KEEP]


def _pairs(relation: Relation, child: Model, parents: Iterable[Values], using: str) -> Edges:
    """Return the keys of parents, each with the key of a row that refers to it."""
    keys = {tuple(parent[name] for name in relation.target_columns): parent["pk"] for parent in parents}
    if relation.generic:
        keys = {(relation.link.to_python(held),): key for (held,), key in keys.items()}
    named = AnyOf(F(relation.columns[0]), [held[0] for held in keys])
    rows = rows_of(child, using).filter(named, **content_type_filter(relation, using))
    found = rows.order_by().values_list("pk", *relation.columns)
    return {(keys[held], key) for key, *links in found if (held := tuple(links)) in keys}


def _neighbours(edges: Iterable[tuple[Node, Node]]) -> Callable[[Node], Iterable[Node]]:
    found: dict[Node, list[Node]] = {}
    for one, other in edges:
        found.setdefault(one, []).append(other)
    return lambda node: found.get(node, ())
