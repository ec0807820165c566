"""The abstract models that services derive theirs from."""

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any, Self

from asgiref.sync import sync_to_async
from django.db import models, router

from shared_core.models import deletion, restore
from shared_core.models.changes import Counts, timestamp
from shared_core.models.ids import uuid7
from shared_core.models.instances import is_changed, remember_stored_state, sync_deleted_at, update_instance
from shared_core.models.querysets import AllObjectsManager, SoftDeleteManager
from shared_core.models.relations import owner_of
from shared_core.models.statements import columns, rows_of

_SOFT_DELETE_COLUMNS = frozenset({"is_deleted", "deleted_at"})


class UUIDModel(models.Model):
    """A primary key that is unique across services and sorts by age."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True


class TimeStampedModel(models.Model):
    """When the row was made, and when it was last changed."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class SoftDeleteModel(models.Model):
    """Rows that are marked as deleted, are hidden from then on, and can be restored.

    ``deleted_at`` is set exactly when ``is_deleted`` is; it identifies the deletion. The instance in hand
    shows its new state after each method. The counts returned are Django's: ``(total, {"app.Model": count})``.
    """

    is_deleted = models.BooleanField(default=False, db_index=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    # The first manager is the default one: related managers, forms and the admin use it.
    objects = SoftDeleteManager[Self]()
    all_objects = AllObjectsManager[Self]()

    _is_soft_deletable = True

    class Meta:
        abstract = True

    def save(
        self,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save the instance; ``is_deleted`` is written only where this instance changed it.

        So a copy that was loaded before somebody else deleted the row does not restore it. A change by hand is
        written, sets ``deleted_at``, and has no cascade, unlike `delete` and `restore`.
        """
        names = None if update_fields is None else set(update_fields)
        if names and _SOFT_DELETE_COLUMNS & names:
            names |= _SOFT_DELETE_COLUMNS
        is_written = names is None or "is_deleted" in names
        if is_written:
            sync_deleted_at(self)
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=names)
        if is_written:
            remember_stored_state(self)

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any) -> Self:
        """Load an instance, and remember whether it was deleted then."""
        instance = super().from_db(db, field_names, values, **kwargs)
        remember_stored_state(instance)
        return instance

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:  # Any: the signature grows with Django's versions
        """Reload the fields, and remember anew whether the row is deleted, where that was reloaded."""
        fields = kwargs.get("fields", args[1] if len(args) > 1 else None)
        super().refresh_from_db(*args, **kwargs)
        if fields is None or "is_deleted" in fields:
            remember_stored_state(self)

    # Django's own hook around the UPDATE of save(): not public, but its first arguments are the same from 1.6 to 6.1.
    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, values: Collection[Any], *rest: Any) -> Any:
        if not is_changed(self):
            values = [value for value in values if value[0].name not in _SOFT_DELETE_COLUMNS]
        return super()._do_update(base_qs, using, pk_val, values, *rest)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:  # noqa: ARG002  # Django's signature
        """Soft-delete the row; see `soft_delete`."""
        return self.soft_delete(using=using)

    delete.alters_data = True  # type: ignore[attr-defined]  # read by Django's templates

    def soft_delete(self, *, using: str | None = None, cascade: bool = True) -> tuple[int, dict[str, int]]:
        """Mark the row, and what refers to it by CASCADE, as deleted at one time; nothing if it is deleted already.

        Args:
            using: The database's alias; by default the one the instance came from.
            cascade: False marks this row and nothing else.

        Raises:
            django.db.models.ProtectedError: An active row refers to it, or to what is deleted with it, by PROTECT.
            django.db.models.RestrictedError: Likewise by RESTRICT, and is not deleted with it.
            ValueError: The instance has no key.
        """
        return self._soft_delete_at(timestamp(), using=using, cascade=cascade)

    soft_delete.alters_data = True  # type: ignore[attr-defined]  # as above

    def restore(self, *, using: str | None = None) -> tuple[int, dict[str, int]]:
        """Restore the row and exactly what was deleted with it; nothing if it is not deleted.

        Raises:
            ParentDeletedError: A row would come back under a parent that stays deleted. Nothing is restored.
            RestoreConflictError: An active row has taken a unique value of one that would come back. As above.
            ValueError: The instance has no key.
        """
        at, rows = timestamp(), self._rows(using, "restored")
        counts = restore.restore(rows, at, instance=self)
        self._update_state(rows, at, counts, deleted=False)
        return counts

    restore.alters_data = True  # type: ignore[attr-defined]  # as above

    def hard_delete(self, using: str | None = None, *, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row for good, as Django's own `Model.delete` does."""
        return super().delete(using=using, keep_parents=keep_parents)

    hard_delete.alters_data = True  # type: ignore[attr-defined]  # as above

    async def adelete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Do what `delete` does, from asynchronous code."""
        return await sync_to_async(self.delete)(using=using, keep_parents=keep_parents)

    adelete.alters_data = True  # type: ignore[attr-defined]  # as above

    async def asoft_delete(self, *, using: str | None = None, cascade: bool = True) -> tuple[int, dict[str, int]]:
        """Do what `soft_delete` does, from asynchronous code."""
        return await sync_to_async(self.soft_delete)(using=using, cascade=cascade)

    asoft_delete.alters_data = True  # type: ignore[attr-defined]  # as above

    async def arestore(self, *, using: str | None = None) -> tuple[int, dict[str, int]]:
        """Do what `restore` does, from asynchronous code."""
        return await sync_to_async(self.restore)(using=using)

    arestore.alters_data = True  # type: ignore[attr-defined]  # as above

    async def ahard_delete(self, using: str | None = None, *, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Do what `hard_delete` does, from asynchronous code."""
        return await sync_to_async(self.hard_delete)(using=using, keep_parents=keep_parents)

    ahard_delete.alters_data = True  # type: ignore[attr-defined]  # as above

    def _soft_delete_at(self, at: dt.datetime, *, using: str | None = None, cascade: bool = True) -> Counts:
        """Delete at a time that identifies the deletion: the next deletion of these rows must have another."""
        rows = self._rows(using, "deleted")
        counts = deletion.soft_delete(rows, at, cascade=cascade, instance=self)
        self._update_state(rows, at, counts, deleted=True)
        return counts

    def _rows(self, using: str | None, done: str) -> models.QuerySet[Self]:
        """Return all rows of the model, in the database of this one."""
        if self.pk is None:
            name = self._meta.object_name
            raise ValueError(f"{name} object can't be {done} because its {self._meta.pk.attname} attribute is None.")
        return rows_of(type(self), using or router.db_for_write(type(self), instance=self))

    def _update_state(self, rows: models.QuerySet[Self], at: dt.datetime, counts: Counts, *, deleted: bool) -> None:
        """Set what the instance's row has now; if nothing was changed, the instance may be a stale copy."""
        if counts[0]:
            update_instance(self, columns(owner_of(type(self)), at, deleted=deleted))
        else:
            update_instance(self, rows.filter(pk=self.pk).values(*_SOFT_DELETE_COLUMNS).first() or {})


class BaseModel(UUIDModel, TimeStampedModel, SoftDeleteModel):
    """What every model of a service derives from: a UUID key, timestamps, soft delete.

    class Ticket(BaseModel):
        title = models.CharField(max_length=200)
    """

    class Meta:
        abstract = True
