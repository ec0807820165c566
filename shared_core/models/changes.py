"""What does a deletion or a restore leave behind: marked rows, counts, signals, one log line?"""

import datetime as dt
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.signals import ModelSignal
from django.utils import timezone

from shared_core.models import signals
from shared_core.models.graph import Family, Model, Row
from shared_core.models.statements import AnyOf, Update, Values, columns, rows_of

type Counts = tuple[int, dict[str, int]]

logger = logging.getLogger("shared_core.models")

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


def show(instance: models.Model, values: Values) -> None:
    """Let an instance show what its row has now.

    No other field is touched: it may hold work that is not saved yet, or refuse assignment (django-fsm).
    """
    for name, value in values.items():
        setattr(instance, name, value)
    remember(instance)


def remember(instance: models.Model) -> None:
    """Note what the row has in ``is_deleted``, so that a change by hand can be told from a copy that is stale."""
    vars(instance)["_stored_is_deleted"] = vars(instance).get("is_deleted", False)


def is_changed(instance: models.Model) -> bool:
    """Say whether ``is_deleted`` was changed by hand since the instance was loaded or saved."""
    state = vars(instance)
    return "is_deleted" in state and state["is_deleted"] != state.get("_stored_is_deleted", False)


def align(instance: Any, at: dt.datetime | None = None) -> None:  # Any: a SoftDeleteModel, defined on top of this
    """Bring ``deleted_at`` along with a change of ``is_deleted`` by hand; ``at`` is the moment, by default now."""
    if is_changed(instance):
        instance.deleted_at = (instance.deleted_at or at or timestamp()) if instance.is_deleted else None


@dataclass
class Change:
    """A deletion or a restore on its way."""

    model: Model  # of the rows it was asked for
    using: str
    at: dt.datetime
    deleted: bool
    instance: models.Model | None = None  # the one in the caller's hand
    counts: dict[str, int] = field(default_factory=dict)
    rows: dict[Family, dict[Any, Row]] = field(default_factory=dict)  # what was collected, by the owner's key
    groups: list[tuple[Model, Family, list[Row]]] = field(default_factory=list)  # the same, as it was found

    def count(self, model: Model, number: int) -> None:
        """Add to the counts."""
        if number:
            self.counts[model._meta.label] = self.counts.get(model._meta.label, 0) + number

    def add(self, model: Model, family: Family, found: Iterable[Row]) -> list[Row]:
        """Collect rows, and return those that are new."""
        known = self.rows.setdefault(family, {})
        new = [row for row in found if row[0] not in known]
        known.update((row[0], row) for row in new)
        if new:
            self.groups.append((model, family, new))
        return new

    def keys(self, family: Family) -> list[Any]:
        """Return the keys that were collected of a family."""
        return list(self.rows.get(family, ()))

    def is_heard(self, families: Sequence[Family]) -> bool:
        """Say whether anybody listens to the signals that rows of these families would send."""
        members = {self.model, *(member for family in families for member in family.members)}
        return any(signal.has_listeners(member) for signal in self._signals() for member in members)

    def write(self) -> None:
        """Mark what was collected, which is locked, between the signals."""
        before, after = self._signals()
        sent = [self._send(before, model, family, rows) for model, family, rows in self.groups]
        for model, family, rows in self.groups:
            values = columns(family.owner, self.at, deleted=self.deleted)
            self.count(model, Update.of_keys(family.owner, self.using, values, [row[0] for row in rows]).count())
        for (model, family, rows), instances in zip(self.groups, sent, strict=True):
            values = columns(family.owner, self.at, deleted=self.deleted)
            for instance in instances.values():
                show(instance, values)
            self._send(after, model, family, rows, instances)

    def done(self) -> Counts:
        """Return the counts as Django has them, and write the one log line where something was changed."""
        total = sum(self.counts.values())
        if total:
            what = "Soft-deleted %s" if self.deleted else "Restored %s"
            moment = {"deleted_at": self.at} if self.deleted else {}
            extra = {"rows": total, "by_model": self.counts, **moment}
            logger.info(what, self.model._meta.label, extra=extra)
        return total, self.counts

    def _signals(self) -> tuple[ModelSignal, ModelSignal]:
        if self.deleted:
            return signals.pre_soft_delete, signals.post_soft_delete
        return signals.pre_restore, signals.post_restore

    def _send(
        self,
        signal: ModelSignal,
        model: Model,
        family: Family,
        rows: list[Row],
        loaded: dict[Any, models.Model] | None = None,
    ) -> dict[Any, models.Model]:
        """Send a signal for each row; return the instances by key: those given, or loaded where somebody listens."""
        if loaded is None:
            loaded = self._load(model, family, [row[0] for row in rows]) if self._listens(model) else {}
        for row in rows:
            if signal.has_listeners(model) and row[0] in loaded:
                deleted_at = self.at if self.deleted else row[-1]
                signal.send(model, instance=loaded[row[0]], using=self.using, deleted_at=deleted_at)
        return loaded

    def _listens(self, model: Model) -> bool:
        return any(signal.has_listeners(model) for signal in self._signals())

    def _load(self, model: Model, family: Family, keys: list[Any]) -> dict[Any, models.Model]:
        attribute = family.key.attname
        loaded = rows_of(model, self.using).filter(AnyOf(F(family.key.name), keys))
        found = {getattr(instance, attribute): instance for instance in loaded}
        if self.instance is not None and model is type(self.instance) and getattr(self.instance, attribute) in found:
            found[getattr(self.instance, attribute)] = self.instance
        return found
