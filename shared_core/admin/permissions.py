"""Asks each ModelAdmin whether the user may act on the rows of its model.

    DELETE        has_delete_permission
    RESTORE       has_restore_permission; has_delete_permission where the ModelAdmin has no such method
    HARD_DELETE   has_delete_permission and has_hard_delete_permission

A method of Django or of this package decides by the model, so it is called once per model. A method that overrides it
is called once per row. Models that are not registered in the admin are not asked about, as in Django's confirmation.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

from shared_core.models import preview
from shared_core.models.cascade import as_owner_rows
from shared_core.models.preview import GOES, Branch
from shared_core.models.relations import Hierarchy, Model, hierarchy_of, is_soft_deletable
from shared_core.models.statements import AnyOf, lock, rows_of

DELETE, RESTORE, HARD_DELETE = "delete", "restore", "hard_delete"

_ATTEMPTS = 5  # to lock a tree that other transactions change meanwhile

type Rows = QuerySet[Any]
type Method = Callable[..., bool]


class ChangedError(Exception):
    """Other rows would change, or have changed, than the user was asked about."""


class RowPermissions(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """The permissions of a `SoftDeleteAdmin`; to override, as those of Django's ModelAdmin are."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may change the row; nobody may change a deleted one."""
        return super().has_change_permission(request, obj) and not (obj is not None and obj.is_deleted)

    def has_restore_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may restore the row: by default, whether the user may delete it."""
        return self.has_delete_permission(request, obj)

    def has_hard_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  # by the model
        """Return whether the user has ``app.hard_delete_<model>``; superusers have every permission."""
        codename = get_permission_codename("hard_delete", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")


def admin_of(site: admin.AdminSite, model: Model) -> Any:  # Any: a ModelAdmin, ours or Django's
    """Return the model's ModelAdmin; None where the model is not registered."""
    return site.get_model_admin(model) if site.is_registered(model) else None


def missing_permissions(
    request: HttpRequest, site: admin.AdminSite, branches: Iterator[Branch], act: str, *, decided: Branch | None = None
) -> list[str]:
    """Return the kinds of rows on which the user may not act.

    Args:
        request: The user's.
        site: Where the models are registered.
        branches: What would happen; only rows that `GOES` marks are asked about.
        act: `DELETE`, `RESTORE` or `HARD_DELETE`.
        decided: Rows that are not asked about as rows of this branch's model: an inline decides about its own. As rows
            of other models, by multi-table inheritance, they are asked about.
    """
    found = {
        str(part.model._meta.verbose_name)
        for branch in branches
        if branch.fate == GOES and branch.count
        for part in branch.inherited()
        if part is not decided
        and (shown := admin_of(site, part.model)) is not None
        and not _is_allowed(request, shown, part, act)
    }
    return sorted(found)


def select_by_key(rows: Rows, *, deleted: bool, locks: bool) -> Rows:
    """Return those rows that are deleted, or active, by their keys: no other row joins them.

    Args:
        rows: Of the database to write to, in the transaction that then acts on them.
        deleted: Which of the rows.
        locks: Whether to lock them. A restore must not: it locks parents first.
    """
    hierarchy = hierarchy_of(rows.model)
    found = as_owner_rows(rows, hierarchy).filter(is_deleted=deleted)
    keys = (lock(found) if locks else found.order_by()).values_list(hierarchy.key.name, flat=True)
    return rows.filter(AnyOf(F(hierarchy.key.name), list(keys)))


def lock_tree(rows: Rows) -> Branch:
    """Return what a permanent deletion of these rows takes, locked: until the transaction ends, no row leaves it.

    FOR UPDATE, which the deletion takes too, also keeps out new rows that refer to these by a foreign key.

    Raises:
        ChangedError: Other transactions changed it each time that it was read.
    """
    locked: dict[Model, set[Any]] = {}  # {model: {pk}}
    for _ in range(_ATTEMPTS):
        tree = preview.of_hard_deletion(rows)
        found = {model: set(keys) for model, keys in _keys_of(tree)}
        if found == locked:
            return tree
        # What came since is read by the next round, below rows that are locked by then.
        locked = {}
        for model, keys in found.items():
            one = _with_keys(model, rows.db, keys).order_by("pk").select_for_update()
            locked[model] = set(one.values_list("pk", flat=True))
    raise ChangedError


@contextmanager
def checked_deletion(request: HttpRequest, site: admin.AdminSite, rows: Rows) -> Iterator[None]:
    """Soft-delete rows in this block, in a transaction; it is rolled back if they took rows that came meanwhile.

    Raises:
        PermissionDenied: A row was deleted that did not belong to the deletion before, and the user may not delete it.
    """
    with transaction.atomic(using=rows.db):
        before = preview.of_deletion(rows)
        known = KnownRows(before)
        yield
        for roots in before.parts:
            if missing_permissions(request, site, known.others(preview.of_restore(roots)), DELETE):
                raise PermissionDenied


class KnownRows:
    """Rows of a tree that was asked about, to tell others from them by their keys."""

    def __init__(self, tree: Branch) -> None:
        self._keys: dict[Hierarchy, set[Any]] = {}  # Any: keys of whatever type
        for branch in tree:
            if branch.fate == GOES:
                hierarchy = hierarchy_of(branch.model)
                for part in branch.parts:
                    keys = part.order_by().values_list(hierarchy.key.name, flat=True)
                    self._keys.setdefault(hierarchy, set()).update(keys)

    def others(self, tree: Branch) -> Iterator[Branch]:
        """Yield the rows of another tree that were not in this one."""
        for branch in tree:
            if branch.fate == GOES:
                hierarchy = hierarchy_of(branch.model)
                for part in branch.parts:
                    keys = part.order_by().values_list(hierarchy.key.name, flat=True)
                    yield self.other(branch.model, part.db, keys)

    def other(self, model: Model, using: str, keys: Iterable[Any]) -> Branch:
        """Return those of some rows, by the keys of their hierarchy, that were not in the tree."""
        hierarchy = hierarchy_of(model)
        new = list(set(keys) - self._keys.get(hierarchy, set()))
        rows = rows_of(model, using).filter(AnyOf(F(hierarchy.key.name), new))
        return Branch(model, GOES, count=len(new), parts=[rows])


def _with_keys(model: Model, using: str, keys: set[Any]) -> Rows:
    key: Any = model._meta.pk
    # A composite key has no array.
    condition = Q(pk__in=keys) if key.column is None else Q(AnyOf(F(key.name), list(keys)))
    return rows_of(model, using).filter(condition)


def _keys_of(tree: Branch) -> Iterator[tuple[Model, set[Any]]]:
    """Yield each model and the keys of the rows of it that go."""
    found: dict[Model, set[Any]] = {}
    for branch in tree:
        if branch.fate == GOES:
            for part in branch.parts:
                is_loaded = not isinstance(part, QuerySet)
                keys = [row.pk for row in part] if is_loaded else part.order_by().values_list("pk", flat=True)
                found.setdefault(branch.model, set()).update(keys)
    yield from found.items()


def _is_allowed(request: HttpRequest, shown: Any, branch: Branch, act: str) -> bool:
    for method in _permission_methods(shown, act):
        if _decides_by_model(shown, method):
            if not method(request) and not branch.is_empty():
                return False
        elif not all(method(request, row) for row in branch.rows()):
            return False
    return True


def _permission_methods(shown: Any, act: str) -> Iterator[Method]:
    if act == RESTORE:
        yield getattr(shown, "has_restore_permission", shown.has_delete_permission)
        return
    yield shown.has_delete_permission
    if act == HARD_DELETE:
        if hasattr(shown, "has_hard_delete_permission"):
            yield shown.has_hard_delete_permission
        elif is_soft_deletable(shown.model):
            # Its has_delete_permission is for a deletion that can be undone.
            yield partial(RowPermissions.has_hard_delete_permission, shown)


def _decides_by_model(shown: Any, method: Any) -> bool:  # Any: a method, or what an instance has in its place
    """Return whether the method ignores the row: Django's and ours do, and an override is taken not to."""
    function = method.func if isinstance(method, partial) else getattr(method, "__func__", None)
    if function is RowPermissions.has_restore_permission:
        return _decides_by_model(shown, shown.has_delete_permission)
    return function in {admin.ModelAdmin.has_delete_permission, RowPermissions.has_hard_delete_permission}
