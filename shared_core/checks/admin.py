"""Can the admin see deleted rows?"""

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage

from shared_core.checks import catalogue


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
                admin = type(shown).__name__
                names = {"model": model.__name__, "admin": f"{model.__name__}Admin" if admin == "ModelAdmin" else admin}
                yield catalogue.ADMIN.found(f"{admin} of {model._meta.label}", obj=type(shown), **names)
