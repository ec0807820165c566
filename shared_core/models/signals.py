"""The signals around a soft delete or a restore.

Each is sent for each row, that of the call and those changed with it, with ``sender`` (the model), ``instance``,
``using`` (the database's alias) and ``deleted_at`` (the time that identifies the deletion). A receiver of a ``pre_``
signal may raise: then nothing is written. All of them are sent inside the transaction of the change.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.signals import ModelSignal

from shared_core.models.changes import Change
from shared_core.models.collector import Group
from shared_core.models.instances import update_instance
from shared_core.models.relations import Model
from shared_core.models.statements import AnyOf, rows_of

pre_soft_delete = ModelSignal(use_caching=True)
post_soft_delete = ModelSignal(use_caching=True)
pre_restore = ModelSignal(use_caching=True)
post_restore = ModelSignal(use_caching=True)


def has_receivers(change: Change, senders: Iterable[Model]) -> bool:
    """Return whether a receiver is connected to a signal that rows of these models would send."""
    return any(signal.has_listeners(model) for model in senders for signal in _signals(change))


class Notifier:
    """Sends the signals of one change. Rows are loaded only if a receiver is connected."""

    def __init__(self, change: Change, groups: Sequence[Group]) -> None:
        self._change, self._groups = change, groups
        self._loaded: list[dict[Any, models.Model]] = []  # a group: {key: instance}

    def send_pre(self) -> None:
        """Load the rows, and send the first signal for each."""
        for group in self._groups:
            self._loaded.append(self._load(group) if has_receivers(self._change, [group.model]) else {})
            self._send(_signals(self._change)[0], group, self._loaded[-1])

    def send_post(self) -> None:
        """Update the loaded instances, and send the second signal for each."""
        for group, loaded in zip(self._groups, self._loaded, strict=True):
            for instance in loaded.values():
                update_instance(instance, self._change.values(group.hierarchy))
            self._send(_signals(self._change)[1], group, loaded)

    def _send(self, signal: ModelSignal, group: Group, loaded: dict[Any, models.Model]) -> None:
        change = self._change
        for row in group.rows if signal.has_listeners(group.model) else ():
            if row[0] in loaded:
                deleted_at = change.at if change.is_deleted else row[-1]
                signal.send(group.model, instance=loaded[row[0]], using=change.using, deleted_at=deleted_at)

    def _load(self, group: Group) -> dict[Any, models.Model]:
        key, instance = group.hierarchy.key, self._change.instance
        rows = rows_of(group.model, self._change.using).filter(AnyOf(F(key.name), group.keys))
        found = {getattr(row, key.attname): row for row in rows}
        if instance is not None and group.model is type(instance) and getattr(instance, key.attname) in found:
            found[getattr(instance, key.attname)] = instance
        return found


def _signals(change: Change) -> tuple[ModelSignal, ModelSignal]:
    return (pre_soft_delete, post_soft_delete) if change.is_deleted else (pre_restore, post_restore)
