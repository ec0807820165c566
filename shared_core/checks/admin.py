"""Check what the admin does with soft-deletable models where no `SoftDeleteAdmin` watches."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage

from shared_core.checks import catalogue
from shared_core.checks.installed import Model, is_own, models_of

_COLUMNS = frozenset({"is_deleted", "deleted_at"})


def check_admin(**_: object) -> Iterator[CheckMessage]:
    """Yield each ModelAdmin of Django's alone that shows, changes or deletes soft-deletable rows in its own way."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin import ModelAdmin  # noqa: PLC0415  # needs the app
    from django.contrib.admin.sites import all_sites  # noqa: PLC0415  # as above

    from shared_core.admin import SoftDeleteAdmin  # noqa: PLC0415  # as above
    from shared_core.models import SoftDeleteManager  # noqa: PLC0415  # needs the apps

    for site in all_sites:
        for model in filter(site.is_registered, apps.get_models()):
            shown = site.get_model_admin(model)
            if isinstance(shown, SoftDeleteAdmin):
                continue
            is_djangos = type(shown).get_queryset is ModelAdmin.get_queryset
            if is_djangos and isinstance(model._default_manager, SoftDeleteManager):
                yield _found(type(shown), model)
            yield from _inlines_that_delete(shown)
            yield from _erased_by(shown, model)


def _inlines_that_delete(shown: Any) -> Iterator[CheckMessage]:  # Any: a ModelAdmin, whose class needs the app
    """Yield each inline whose form has a column of soft delete. `SoftDeleteAdmin` drops them."""
    from django.contrib.admin.utils import flatten_fieldsets  # noqa: PLC0415  # needs the app

    from shared_core.models.relations import is_soft_deletable  # noqa: PLC0415  # needs the apps

    for inline in shown.inlines:
        # Another one is a mistake that Django's own check finds.
        model = getattr(inline, "model", None)
        if model is None or not is_soft_deletable(model):
            continue
        fieldsets = inline.fieldsets or [(None, {"fields": inline.fields or _COLUMNS})]
        left_out = {*(inline.exclude or ()), *inline.readonly_fields}
        if not left_out.issuperset(_COLUMNS.intersection(flatten_fieldsets(fieldsets))):
            detail = f"{inline.__name__} of {type(shown).__name__}"
            yield catalogue.ADMIN_INLINE.found(detail, obj=inline, inline=inline.__name__)


def _erased_by(shown: Any, model: Model) -> Iterator[CheckMessage]:  # Any: as above
    """Yield the soft-deletable models whose rows are multi-table children of rows that this ModelAdmin deletes.

    A CASCADE by another foreign key is `CASCADE_FROM_PLAIN`. An own `has_delete_permission` is taken to ask.
    """
    from django.contrib.admin import ModelAdmin  # noqa: PLC0415  # needs the app

    from shared_core.models.relations import (  # noqa: PLC0415  # needs the apps
        is_soft_deletable,
        reachable,
        relations_declared_by,
    )

    relations = [one for child in models_of(None) for one in relations_declared_by(child) if one.is_cascade]

    def below(parent: Model) -> list[Model]:
        return [one.child for one in relations if one.model is parent and not is_soft_deletable(one.child)]

    is_asking = type(shown).has_delete_permission is not ModelAdmin.has_delete_permission
    if is_soft_deletable(model) or is_asking:
        return
    for parent in reachable([model._meta.concrete_model or model], below):
        for one in relations:
            if one.model is parent and one.is_parent_link and is_soft_deletable(one.child):
                meta = one.child._meta
                admin = type(shown).__name__ if is_own(type(shown)) else f"{model.__name__}Admin"
                names = {"admin": admin, "permission": f"{meta.app_label}.hard_delete_{meta.model_name}"}
                detail = f"{meta.label}, by {type(shown).__name__} of {model._meta.label}"
                yield catalogue.ADMIN_ERASES.found(detail, obj=type(shown), **names)


def _found(admin: type, model: Model) -> CheckMessage:
    # The class that register() makes of its options is nobody's to change, but has its bases as one that is written.
    is_written = is_own(admin) or admin.__module__ == "django.contrib.admin.sites"
    name = admin.__name__ if is_written else f"{model.__name__}Admin"
    bases = [base.__name__ for base in (admin.__bases__ if is_written else (admin,))]
    if "ModelAdmin" in bases:
        bases[bases.index("ModelAdmin")] = "SoftDeleteAdmin"  # a mixin stays before it
    else:
        bases.insert(0, "SoftDeleteAdmin")
    names = {"model": model.__name__, "admin": name, "bases": ", ".join(bases)}
    return catalogue.ADMIN.found(f"{admin.__name__} of {model._meta.label}", obj=admin, **names)
