"""Checks of calls between services: their URLs, accepted callers, middleware, and the user id of JWTs."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from shared_core import conf
from shared_core.checks import catalogue
from shared_core.origins import SETTING_SUFFIX, fault_of_base, service_of, setting_of

_CLIENTS = "shared_core.clients.service"
_CONTEXT = ("shared_core.middleware.RequestContextMiddleware",)
_AUTH = ("shared_core.auth.ServiceAuthMiddleware", "shared_core.auth.guards.ServiceAuthMiddleware")
# Of djangorestframework-simplejwt and django-ninja-jwt, whose default for the field is "id".
_JWT_SETTINGS = ("SIMPLE_JWT", "NINJA_JWT")


def check_urls(**_: object) -> Iterator[CheckMessage]:
    """Yield the service URLs that are none, and the clients that have none."""
    urls = conf.ending_with(SETTING_SUFFIX)
    for setting, url in urls.items():
        if fault := fault_of_base(url):
            # Without the value: it may hold a password.
            yield catalogue.SERVICE_URL.found(f"{setting}: {fault}", setting=setting, service=service_of(setting))
    for setting, name in _settings_of_clients().items():
        if setting not in urls:
            yield catalogue.NO_SERVICE_URL.found(
                f"{name} needs {setting}", setting=setting, service=service_of(setting)
            )


def _settings_of_clients() -> dict[str, str]:
    """Return ``{"USER_SERVICE_URL": "apps.tickets.clients.UserClient"}`` for the clients of what has been imported."""
    # Views import clients. Django's own check of the URLs imports them too, and tells where that fails.
    with suppress(Exception):
        import_module(settings.ROOT_URLCONF)
    if _CLIENTS not in sys.modules:
        return {}
    from shared_core.clients.service import ServiceClient  # noqa: PLC0415  # imported already

    return {
        setting_of(cls.service): f"{cls.__module__}.{cls.__qualname__}"
        for cls in _subclasses(ServiceClient)
        if isinstance(cls.service, str) and cls.service
    }


def _subclasses(cls: Any) -> Iterator[Any]:
    for one in cls.__subclasses__():
        yield one
        yield from _subclasses(one)


def check_callers(**_: object) -> Iterator[CheckMessage]:
    """Yield what keeps callers out whom the service means to let in."""
    tokens, key = conf.get("SERVICE_ACCEPTED_TOKENS"), conf.get("SERVICE_JWT_KEY")
    faults, is_anybody_known = _find_accepted() if tokens is not None or key is not None else ([], False)
    for fault in faults:
        yield catalogue.ACCEPTED.found(fault)
    if not faults and not is_anybody_known and _index_of(_AUTH) is not None:
        yield catalogue.NOBODY_ACCEPTED.found("SERVICE_ACCEPTED_TOKENS has no token, and SERVICE_JWT_KEY is not set")


def _find_accepted() -> tuple[list[str], bool]:
    """Return what is wrong with what callers are known by, and whether any are known."""
    from shared_core.auth.callers import AcceptedCallers  # noqa: PLC0415  # not before it is needed

    try:
        known = AcceptedCallers()
    except ImproperlyConfigured as error:
        return [str(error).rstrip(".")], False
    found = known.tokens.read()
    faults = [f"{path} {fault}" for path, fault in found.faults.items()]
    faults += [] if known.verifier is None else [fault.rstrip(".") for fault in known.verifier.faults()]
    return faults, bool(found.tokens) or known.verifier is not None


def check_middleware(**_: object) -> Iterator[CheckMessage]:
    """Yield what stands in MIDDLEWARE in a wrong place."""
    context, auth = _index_of(_CONTEXT), _index_of(_AUTH)
    before = range(context or 0)
    if context is None:
        yield catalogue.CONTEXT_MIDDLEWARE.found("it is not in MIDDLEWARE")
    elif others := [settings.MIDDLEWARE[place] for place in before if place != auth]:
        yield catalogue.CONTEXT_MIDDLEWARE.found(f"{others[0]} is before it")
    if auth is not None and auth in before:
        yield catalogue.MIDDLEWARE_ORDER.found()


def _index_of(names: tuple[str, ...]) -> int | None:
    """Return where the class of these names, or one that derives from it, stands in MIDDLEWARE."""
    middleware = list(settings.MIDDLEWARE)
    for place, path in enumerate(middleware):
        if path in names:
            return place
    for place, path in enumerate(middleware):
        # Imported only where a service may have derived its own; what cannot be, fails at its start.
        if not path.startswith(("django.", "shared_core.")):
            with suppress(Exception):
                if issubclass(import_string(path), import_string(names[0])):
                    return place
    return None


def check_user_id(**_: object) -> Iterator[CheckMessage]:
    """Yield the settings of JWT packages that name a field which users have not."""
    for setting in _JWT_SETTINGS:
        written = getattr(settings, setting, None)
        if not isinstance(written, Mapping):
            continue
        try:
            meta = apps.get_model(settings.AUTH_USER_MODEL)._meta
        except (LookupError, ValueError):
            return  # no users here; where there should be, Django says so
        name = written.get("USER_ID_FIELD", "id")
        fields = [field.name for field in meta.concrete_fields]
        if name not in {"pk", *fields, *(field.attname for field in meta.concrete_fields)}:
            key = meta.pk.name if meta.pk else "pk"
            detail = f"{setting} says {name!r}, {meta.label} has {', '.join(fields)}"
            yield catalogue.USER_ID_FIELD.found(detail, setting=setting, field=key)
