"""Keep an instance's ``is_deleted`` and ``deleted_at`` true to its row and to each other.

An instance remembers which ``is_deleted`` its row had when it was loaded or saved. So a change by hand, which is
written, can be told from a stale copy, which is not.
"""

import datetime as dt
from typing import Any

from django.db import models

from shared_core.models.changes import timestamp
from shared_core.models.statements import Values


def update_instance(instance: models.Model, values: Values) -> None:
    """Set what the instance's row has now.

    No other field is touched: it may hold work that is not saved yet, or refuse assignment (django-fsm).
    """
    for name, value in values.items():
        setattr(instance, name, value)
    remember_stored_state(instance)


def remember_stored_state(instance: models.Model) -> None:
    """Remember the ``is_deleted`` that the instance's row has."""
    vars(instance)["_stored_is_deleted"] = vars(instance).get("is_deleted", False)


def is_changed(instance: models.Model) -> bool:
    """Return whether ``is_deleted`` was changed by hand since the instance was loaded or saved."""
    state = vars(instance)
    return "is_deleted" in state and state["is_deleted"] != state.get("_stored_is_deleted", False)


def sync_deleted_at(instance: Any, at: dt.datetime | None = None) -> None:  # Any: a SoftDeleteModel, defined later
    """Set ``deleted_at`` to match a change of ``is_deleted`` by hand; ``at`` is the time, by default now."""
    if is_changed(instance):
        instance.deleted_at = (instance.deleted_at or at or timestamp()) if instance.is_deleted else None
