"""The signals around a soft delete or a restore.

Each is sent for each row, that of the call and those changed with it, with ``sender`` (the model), ``instance``,
``using`` (the database's alias) and ``deleted_at`` (the time that identifies the deletion). A receiver of a ``pre_``
signal may raise: then nothing is written. All of them are sent inside the transaction of the change.
"""

from collections.abc import Iterable

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


def send_pre(change: Change, group: Group) -> list[models.Model]:
    """Send the first signal for each row; return the rows' instances, which are loaded only for a receiver."""
    if not has_receivers(change, [group.model]):
        return []
    key, instance = group.hierarchy.key, change.instance
    rows = rows_of(group.model, change.using).filter(AnyOf(F(key.name), group.keys))
    loaded = {getattr(row, key.attname): row for row in rows}
    if instance is not None and group.model is type(instance) and getattr(instance, key.attname) in loaded:
        loaded[getattr(instance, key.attname)] = instance
    instances = [loaded[row_key] for row_key in group.keys if row_key in loaded]
    _send(_signals(change)[0], change, group, instances)
    return instances


def send_post(change: Change, group: Group, instances: list[models.Model]) -> None:
    """Update the instances, and send the second signal for each."""
    for instance in instances:
        update_instance(instance, change.values(group.hierarchy))
    _send(_signals(change)[1], change, group, instances)


def _send(signal: ModelSignal, change: Change, group: Group, instances: list[models.Model]) -> None:
    moments = {row[0]: change.at if change.is_deleted else row[-1] for row in group.rows}
    for instance in instances if signal.has_listeners(group.model) else ():
        deleted_at = moments[getattr(instance, group.hierarchy.key.attname)]
        signal.send(group.model, instance=instance, using=change.using, deleted_at=deleted_at)


def _signals(change: Change) -> tuple[ModelSignal, ModelSignal]:
    return (pre_soft_delete, post_soft_delete) if change.is_deleted else (pre_restore, post_restore)
