"""A soft delete or a restore as it was asked for: its rows, its timestamp, its counts and its log record."""

import datetime as dt
import logging
import threading
from collections import Counter
from dataclasses import dataclass

from django.db import models
from django.utils import timezone

from shared_core.models.relations import Hierarchy, Model
from shared_core.models.statements import Values, columns

type Counts = tuple[int, dict[str, int]]  # as Django's delete() returns them

logger = logging.getLogger("shared_core.models")

_last_timestamp = dt.datetime.min.replace(tzinfo=dt.UTC)
_timestamp_lock = threading.Lock()


def timestamp() -> dt.datetime:
    """Return the time now, later than any returned before: it tells one deletion of a process from another."""
    global _last_timestamp  # noqa: PLW0603  # one sequence for the process is the point
    with _timestamp_lock:
        now = timezone.now()
        if timezone.is_aware(now) == timezone.is_aware(_last_timestamp):
            now = max(now, _last_timestamp + dt.timedelta(microseconds=1))
        _last_timestamp = now
    return now


@dataclass(frozen=True, kw_only=True)
class Change:
    """One call of `soft_delete` or `restore`."""

    model: Model  # of the rows it was called for
    using: str
    at: dt.datetime
    is_deleted: bool  # what the rows shall be
    instance: models.Model | None = None  # the one it was called on

    def values(self, hierarchy: Hierarchy) -> Values:
        """Return what an UPDATE sets on the owner's rows."""
        return columns(hierarchy.owner, self.at, deleted=self.is_deleted)

    def log(self, counter: Counter[str]) -> Counts:
        """Write the one log record if anything was changed, and return the counts as Django does."""
        counts = {label: number for label, number in counter.items() if number}
        if counts:
            message = "Soft-deleted %s" if self.is_deleted else "Restored %s"
            moment = {"deleted_at": self.at} if self.is_deleted else {}
            extra = {"rows": counter.total(), "by_model": counts, **moment}
            logger.info(message, self.model._meta.label, extra=extra)
        return counter.total(), counts
