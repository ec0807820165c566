"""Check the unique values, the Meta and the default manager of models that can be soft-deleted."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.db import models

from shared_core.checks import catalogue
from shared_core.checks.installed import AppConfigs, Model, models_of

# Differs between deletions, unlike is_deleted, with which the second row to be deleted would collide.
_MOMENT = "deleted_at"
_KINDS = ("constraints", "indexes")


def check_models(*, app_configs: AppConfigs = None, **_: object) -> Iterator[CheckMessage]:
    """Yield what is wrong with each soft-deletable model."""
    from shared_core.models.relations import is_soft_deletable  # noqa: PLC0415  # needs the apps

    for model in models_of(app_configs):
        if is_soft_deletable(model):
            yield from _manager(model)
            yield from _unique(model)
            yield from _meta(model)


def _manager(model: Model) -> Iterator[CheckMessage]:
    from shared_core.models import SoftDeleteManager  # noqa: PLC0415  # as above

    manager = model._default_manager
    # A Meta that names the default manager chose it.
    is_chosen = any(base._meta.default_manager_name for base in model.__mro__ if hasattr(base, "_meta"))
    if not isinstance(manager, SoftDeleteManager) and not is_chosen:
        detail = f"{manager.name} is a {type(manager).__name__}"
        yield catalogue.DEFAULT_MANAGER.found(detail, obj=model, manager=manager.name)


def _unique(model: Model) -> Iterator[CheckMessage]:
    """Yield the values that are unique among all rows, except for keys and what foreign keys refer to."""
    meta = model._meta
    referred_to = _referred_to(model)
    for field in meta.local_fields:
        if field.unique and not field.primary_key and field not in referred_to:
            place = "a OneToOneField, by a ForeignKey" if field.one_to_one else "unique=True"
            yield _taken(model, (field.name,), place, obj=field)
    for names in meta.unique_together:
        if _MOMENT not in names:
            yield _taken(model, names, "unique_together")
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None:
            is_needed = any((field.name,) == constraint.fields for field in referred_to)
            if not is_needed and _MOMENT not in constraint.fields:
                yield _taken(model, constraint.fields, "UniqueConstraint", name=constraint.name)


def _referred_to(model: Model) -> set[Any]:
    """Return the fields that foreign keys hold the values of: those have to be unique among all rows."""
    relations: list[Any] = [one for one in model._meta.get_fields(include_hidden=True) if not one.concrete]
    links = [one.field for one in relations if one.auto_created]  # the fields elsewhere
    return {field for link in links for field in getattr(link, "foreign_related_fields", ())}


def _taken(model: Model, names: Sequence[str], place: str, *, name: str = "", obj: object = None) -> CheckMessage:
    from shared_core.models.relations import owner_of  # noqa: PLC0415  # as above

    owner = owner_of(model)
    detail = ", ".join(names) or "expressions"
    if owner is not model:
        detail += f". It cannot be among active rows only here, as {owner._meta.label} has is_deleted: move it there"
    elif [*names] == [getattr(model, "USERNAME_FIELD", None)]:
        detail += '. Django then asks for SILENCED_SYSTEM_CHECKS = ["auth.E003", "auth.W004"]'
    columns = ", ".join(f'"{one}"' for one in names if one != "is_deleted")
    return catalogue.UNIQUE.found(
        detail,
        obj=obj or model,
        values=f"fields=[{columns}]" if names else "its expressions",
        name=name or f"{model._meta.model_name}_{'_'.join(names)}_active",
        place=place,
    )


def _meta(model: Model) -> Iterator[CheckMessage]:
    from shared_core.models import SoftDeleteMeta  # noqa: PLC0415  # as above
    from shared_core.models.relations import owner_of  # noqa: PLC0415  # as above

    meta = model._meta
    if not meta.managed or owner_of(model) is not model:
        return
    called = {"app_label": meta.app_label.lower(), "class": str(meta.model_name)}
    lost = [
        kind
        for kind in _KINDS
        if {one.name % called for one in getattr(SoftDeleteMeta, kind)} - {one.name for one in getattr(meta, kind)}
    ]
    if lost and _derives_from_ours(model):
        for kind in lost:
            yield catalogue.SOFT_DELETE_META.found(kind, obj=model, kind=kind)


def _derives_from_ours(model: Model) -> bool:
    """Return whether the Meta of the model, or of an abstract base, is a SoftDeleteMeta.

    Django keeps the Meta of abstract models only. Of others it keeps the lists, which may hold ours. If both lists
    were replaced, the source is read.
    """
    from shared_core.models import SoftDeleteMeta  # noqa: PLC0415  # as above

    written: dict[str, Any] = model._meta.original_attrs
    if any(one in written.get(kind, ()) for kind in _KINDS for one in getattr(SoftDeleteMeta, kind)):
        return True
    metas = [vars(base)["Meta"] for base in model.__mro__ if "Meta" in vars(base)]
    if any(isinstance(one, type) and issubclass(one, SoftDeleteMeta) for one in metas):
        return True
    return written.keys() >= set(_KINDS) and SoftDeleteMeta.__name__ in _bases_of_meta(model)


def _bases_of_meta(model: Model) -> set[str]:
    """Return the last names of the bases in ``class Meta(…):``; none if there is no source."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return set()
    metas = [one for one in getattr(tree, "body", ()) if isinstance(one, ast.ClassDef) and one.name == "Meta"]
    return {getattr(base, "attr", getattr(base, "id", "")) for meta in metas for base in meta.bases}
