"""Can the admin see deleted rows?"""

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage

from shared_core.checks import catalogue
from shared_core.checks.installed import Model, is_own


def check_admin(**_: object) -> Iterator[CheckMessage]:
    """Yield each ModelAdmin of a soft-deletable model that shows what Django's own does: the default manager's rows."""
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin import ModelAdmin  # noqa: PLC0415  # needs the app
    from django.contrib.admin.sites import all_sites  # noqa: PLC0415  # as above

    from shared_core.admin import SoftDeleteAdmin  # noqa: PLC0415  # as above
    from shared_core.models import SoftDeleteManager  # noqa: PLC0415  # needs the apps

    for site in all_sites:
        for model, shown in site._registry.items():
            is_ours = isinstance(shown, SoftDeleteAdmin)
            is_djangos = type(shown).get_queryset is ModelAdmin.get_queryset and not is_ours
            if is_djangos and isinstance(model._default_manager, SoftDeleteManager):
                yield _found(type(shown), model)


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
