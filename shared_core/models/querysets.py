"""Querysets and managers that show active rows, deleted rows, or both.

A visibility is one condition on ``is_deleted``, of a class of its own, in the query's WHERE. So a later `active`,
`deleted` or `with_deleted` finds and removes it, and keeps a caller's own filter on ``is_deleted``:

    Ticket.objects                 WHERE NOT is_deleted°
      .filter(is_deleted=True)     WHERE NOT is_deleted° AND is_deleted        no rows
      .with_deleted()              WHERE is_deleted                            ° removed
"""

from collections.abc import Iterable
from typing import Any, Self

from asgiref.sync import sync_to_async
from django.db import models, transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.db.models.sql.where import AND

from shared_core.models import deletion, restore
from shared_core.models.changes import timestamp
from shared_core.models.instances import is_changed, remember_stored_state, sync_deleted_at
from shared_core.models.relations import owner_of
from shared_core.models.statements import columns


class _Visibility(Exact):
    """The condition that a visibility stands for; its right side is the value of ``is_deleted``."""


class SoftDeleteQuerySet[M: models.Model](models.QuerySet[M]):
    """A queryset whose `delete` is soft, and which can show active rows, deleted rows, or both.

    The counts returned are Django's: ``(total, {"app.Model": count})``.
    """

    def active(self) -> Self:
        """Show the rows that are not deleted, whatever was shown before."""
        return self._show(False)

    def deleted(self) -> Self:
        """Show the rows that are deleted, whatever was shown before."""
        return self._show(True)

    def with_deleted(self) -> Self:
        """Show active and deleted rows, whatever was shown before."""
        return self._show(None)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Soft-delete the rows shown; see `soft_delete`."""
        return self.soft_delete()

    def soft_delete(self, *, cascade: bool = True) -> tuple[int, dict[str, int]]:
        """Mark the rows shown, and what refers to them by CASCADE, as deleted at one time.

        Rows that are deleted already stay as they are.

        Args:
            cascade: False marks the rows themselves and nothing else.

        Raises:
            django.db.models.ProtectedError: An active row refers to one of them by PROTECT.
            django.db.models.RestrictedError: Likewise by RESTRICT, and is not deleted with it.
            TypeError: The queryset is sliced, distinct by fields, or holds values instead of rows.
        """
        self._refuse_to_change("delete")
        counts = deletion.soft_delete(self._to_write(), timestamp(), cascade=cascade)
        self._result_cache = None
        return counts

    def restore(self) -> tuple[int, dict[str, int]]:
        """Restore the deleted rows among these, each with exactly what was deleted with it.

        What was shown does not matter: ``Ticket.objects.filter(…).restore()`` restores what matches the filter.

        Raises:
            ParentDeletedError: A row would come back under a parent that stays deleted. Nothing is restored.
            RestoreConflictError: An active row has taken a unique value of one that would come back. As above.
            TypeError: The queryset is sliced, distinct by fields, or holds values instead of rows.
        """
        self._refuse_to_change("restore")
        counts = restore.restore(self.with_deleted()._to_write(), timestamp())
        self._result_cache = None
        return counts

    def hard_delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows shown for good, as Django's own `QuerySet.delete` does."""
        return super().delete()

    async def asoft_delete(self, *, cascade: bool = True) -> tuple[int, dict[str, int]]:
        """Do what `soft_delete` does, from asynchronous code."""
        return await sync_to_async(self.soft_delete)(cascade=cascade)

    async def arestore(self) -> tuple[int, dict[str, int]]:
        """Do what `restore` does, from asynchronous code."""
        return await sync_to_async(self.restore)()

    async def ahard_delete(self) -> tuple[int, dict[str, int]]:
        """Do what `hard_delete` does, from asynchronous code."""
        return await sync_to_async(self.hard_delete)()

    # A manager must not offer to delete a whole table, as Django's don't, and templates must not call it.
    for _method in (delete, soft_delete, restore, hard_delete, asoft_delete, arestore, ahard_delete):
        _method.alters_data = _method.queryset_only = True  # type: ignore[union-attr]  # read by Django
    del _method

    def update(self, **kwargs: Any) -> int:  # Any: as Django's own
        """Update the rows shown; a change of ``is_deleted`` also sets ``deleted_at`` and ``updated_at``.

        There is no cascade and there are no signals, as ever with `update`.
        """
        is_deleted = kwargs.get("is_deleted")
        if isinstance(is_deleted, bool):
            values = columns(owner_of(self.model), timestamp(), deleted=is_deleted)
            if is_deleted:  # deleted rows keep the time that identifies their deletion
                values["deleted_at"] = Coalesce("deleted_at", Value(values["deleted_at"]))
            kwargs = values | kwargs
        elif is_deleted is not None and "deleted_at" not in kwargs:
            raise TypeError("update(is_deleted=…) takes True or False, or deleted_at beside an expression.")
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]  # read by Django

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:  # Any: as Django's own
        """Insert the rows; those made deleted get their ``deleted_at``.

        Raises:
            ValueError: ``unique_fields`` are unique among active rows only, which an upsert cannot target.
        """
        rows = list(objs)
        if kwargs.get("update_conflicts"):
            self._refuse_conditional_target(kwargs.get("unique_fields") or ())
            if "is_deleted" in (kwargs.get("update_fields") or ()):
                kwargs["update_fields"] = [*dict.fromkeys([*kwargs["update_fields"], "deleted_at"])]
        for row in rows:
            sync_deleted_at(row)
        made = super().bulk_create(rows, *args, **kwargs)
        for row in rows:
            remember_stored_state(row)
        return made

    def bulk_update(self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update the rows, deleted ones too; ``is_deleted`` is written only where an instance changed it, as in `save`.

        A change of it also sets ``deleted_at`` and ``updated_at``.
        """
        rows, names = list(objs), list(fields)
        everywhere = self.with_deleted()
        if "is_deleted" not in names:
            return super(SoftDeleteQuerySet, everywhere).bulk_update(rows, names, batch_size)
        changed = [row for row in rows if is_changed(row)]
        others = [name for name in names if name not in {"is_deleted", "deleted_at"}]
        at = timestamp()
        for row in changed:
            sync_deleted_at(row, at)
            for name in columns(owner_of(self.model), at, deleted=True).keys() - {"is_deleted", "deleted_at"}:
                setattr(row, name, at)
        changed_fields = [*dict.fromkeys([*names, *columns(owner_of(self.model), at, deleted=True)])]
        update = super(SoftDeleteQuerySet, everywhere).bulk_update
        with transaction.atomic(using=everywhere._to_write().db):
            number = update(changed, changed_fields, batch_size)
            if others:
                number += update([row for row in rows if not is_changed(row)], others, batch_size)
        for row in changed:
            remember_stored_state(row)
        return number

    def __and__(self, other: Self) -> Self:  # type: ignore[override]  # the stubs are invariant in the row
        """Combine with a queryset that shows the same kind of rows; TypeError for another."""
        return self._combine(other, "__and__")

    def __or__(self, other: Self) -> Self:  # type: ignore[override]  # as above
        """Combine with a queryset that shows the same kind of rows; TypeError for another."""
        return self._combine(other, "__or__")

    def __xor__(self, other: Self) -> Self:  # type: ignore[override,unused-ignore]  # as above
        """Combine with a queryset that shows the same kind of rows; TypeError for another."""
        return self._combine(other, "__xor__")

    def _combine(self, other: Self, operator: str) -> Self:
        # Inside an OR the condition could not be told from one of the caller's, so it is put round the whole.
        shown = self._shown()
        if not isinstance(other, SoftDeleteQuerySet) or other._shown() is not shown:
            raise TypeError(
                "Querysets that show different rows (active, deleted, both) cannot be combined: "
                "call with_deleted() on each of them, and filter the result."
            )
        combined: Self = getattr(super(SoftDeleteQuerySet, self._show(None)), operator)(other._show(None))
        return combined._show(shown)

    def _shown(self) -> bool | None:
        """Return the value of ``is_deleted`` that the rows shown have, or None for both."""
        values = [child.rhs for child in self.query.where.children if isinstance(child, _Visibility)]
        return values[0] if values else None

    def _show(self, is_deleted: bool | None) -> Self:
        if self.query.is_sliced:
            raise TypeError("Cannot change which rows are shown once a slice has been taken.")
        if self.query.combinator:
            raise TypeError(f"Cannot change which rows are shown after {self.query.combinator}().")
        clone = self.all()
        where = clone.query.where
        where.children = [child for child in where.children if not isinstance(child, _Visibility)]
        if is_deleted is not None:
            where.add(_Visibility(clone.query.resolve_ref("is_deleted"), is_deleted), AND)
        return clone

    def _to_write(self) -> Self:
        """Return the same rows, of the database that changes to them go to, by the routers unless `using` said it."""
        clone = self._chain()  # type: ignore[attr-defined]  # as QuerySet.delete does
        clone._for_write = True
        written: Self = clone.using(clone.db)
        return written

    def _refuse_conditional_target(self, unique_fields: Iterable[str]) -> None:
        opts = self.model._meta
        names = {(opts.pk if name == "pk" else opts.get_field(name)).name for name in unique_fields}
        constraints = [one for one in self.model._meta.constraints if isinstance(one, models.UniqueConstraint)]
        targets = [one for one in constraints if set(one.fields) == names]
        if targets and all(one.condition is not None for one in targets):
            raise ValueError(
                f"bulk_create(update_conflicts=True) cannot target {targets[0].name}: it is unique under a condition "
                f"only, and ON CONFLICT ({', '.join(sorted(names))}) asks for one without. Update the rows that "
                "exist and create the others, or pass ignore_conflicts=True."
            )

    @classmethod
    def as_manager(cls) -> Any:  # Any: a class made at run time
        """Return a manager with this queryset's methods that shows active rows."""
        manager = SoftDeleteManager.from_queryset(cls)()
        manager._built_with_as_manager = True  # how Django writes it into migrations
        return manager

    def _refuse_to_change(self, verb: str) -> None:
        """Raise for a queryset that does not say which rows to change, as Django does in `QuerySet.delete`."""
        self._not_support_combined_queries(verb)  # type: ignore[attr-defined]  # Django's own refusal
        if self.query.is_sliced:
            raise TypeError(f"Cannot use 'limit' or 'offset' with {verb}().")
        if self.query.distinct_fields:
            raise TypeError(f"Cannot call {verb}() after .distinct(*fields).")
        if self._fields is not None:  # type: ignore[attr-defined]  # set by values() and values_list()
            raise TypeError(f"Cannot call {verb}() after .values() or .values_list()")


_Manager = models.Manager.from_queryset(SoftDeleteQuerySet)


class SoftDeleteManager[M: models.Model](_Manager[M]):
    """Shows active rows; ``active()``, ``deleted()`` and ``with_deleted()`` say otherwise.

    Mixes with other managers, in either order: ``class UserManager(SoftDeleteManager, BaseUserManager)``.
    """

    def get_queryset(self) -> SoftDeleteQuerySet[M]:
        """Return a queryset of the active rows."""
        queryset: Any = super().get_queryset()  # Any: the stubs don't see that it is one of ours
        shown: SoftDeleteQuerySet[M] = queryset.active()
        return shown

    @classmethod
    def from_queryset(cls, queryset_class: type[models.QuerySet[Any]], class_name: str | None = None) -> Any:
        """Return a manager class with the methods of ``queryset_class``, as Django's `Manager.from_queryset` does.

        Raises:
            TypeError: ``queryset_class`` does not derive from `SoftDeleteQuerySet`, so it cannot hide deleted rows.
        """
        return super().from_queryset(_soft_deleting(queryset_class), class_name)


class AllObjectsManager[M: models.Model](_Manager[M]):
    """Shows every row, deleted ones too; ``active()`` and ``deleted()`` narrow it."""

    @classmethod
    def from_queryset(cls, queryset_class: type[models.QuerySet[Any]], class_name: str | None = None) -> Any:
        """Return a manager class as `SoftDeleteManager.from_queryset` does."""
        return super().from_queryset(_soft_deleting(queryset_class), class_name)


def _soft_deleting(queryset_class: type[models.QuerySet[Any]]) -> type[SoftDeleteQuerySet[Any]]:
    if not issubclass(queryset_class, SoftDeleteQuerySet):
        raise TypeError(
            f"{queryset_class.__name__} must derive from shared_core.models.SoftDeleteQuerySet, "
            "or its managers could not tell active rows from deleted ones."
        )
    return queryset_class
