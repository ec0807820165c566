"""The places that admit callers: a decorator of views, a middleware, and a class for API frameworks."""

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve

from shared_core import conf, context
from shared_core.auth.callers import Refusal, admit

# The url namespace of the probes, which orchestrators ask without a token, and the ends of their paths.
_PROBES, _PROBES_END_WITH = "shared_core.health", ("health/", "ready/")


def service_auth_required[**P, R](*services: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only these services call the view; without names, every service that is known.

        @service_auth_required("ticket", "file")
        def users(request): ...

    The view finds the caller's name in ``request.service``, log lines under ``caller``. Views may be asynchronous.
    """
    allowed = _names(services)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                caller = admit(request, allowed)
                if isinstance(caller, Refusal):
                    return caller.response()
                with context.bind(caller=caller):
                    return await view(request, *args, **kwargs)  # type: ignore[arg-type]

            return guarded_async  # type: ignore[return-value]

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            caller = admit(request, allowed)
            if isinstance(caller, Refusal):
                return caller.response()
            with context.bind(caller=caller):
                return view(request, *args, **kwargs)  # type: ignore[arg-type]

        return guarded  # type: ignore[return-value]

    return decorate


class ServiceAuthMiddleware:
    """Lets known services call this one, and nobody else; it comes after RequestContextMiddleware.

    The probes of `shared_core.health` are open, and so are the paths in ``SERVICE_AUTH_EXEMPT_PATHS``: one that ends in
    "/" with all below it, any other alone.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer ``request``."""
        if self._is_async:
            return self._answer_async(request)
        caller = None if _is_exempt(request) else admit(request, frozenset())
        if isinstance(caller, Refusal):
            return caller.response()
        with _bound(caller):
            response: HttpResponseBase = self._get_response(request)
            return response

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        caller = None if _is_exempt(request) else admit(request, frozenset())
        if isinstance(caller, Refusal):
            return caller.response()
        with _bound(caller):
            response: HttpResponseBase = await self._get_response(request)
            return response


def _bound(caller: str | None) -> AbstractContextManager[None]:
    return nullcontext() if caller is None else context.bind(caller=caller)


def _is_exempt(request: HttpRequest) -> bool:
    exempt = conf.get("SERVICE_AUTH_EXEMPT_PATHS", ())
    if isinstance(exempt, str):
        raise ImproperlyConfigured('SERVICE_AUTH_EXEMPT_PATHS must be a list: write ["/api/v1/public/"].')
    path = request.path_info
    if any(path.startswith(one) if one.endswith("/") else path == one for one in exempt):
        return True
    if not path.endswith(_PROBES_END_WITH):
        return False
    try:
        return resolve(path).app_name == _PROBES
    except Resolver404:
        return False


@dataclass(frozen=True)
class ServiceCaller:
    """A service, as API frameworks know a user."""

    name: str
    is_authenticated: bool = True
    is_anonymous: bool = False

    @property
    def pk(self) -> str:
        """The name: what throttles and logs tell callers apart by."""
        return self.name

    def __str__(self) -> str:
        return self.name


class ServiceAuth:
    """Lets only these services in; without names, every service that is known. For API frameworks.

    django-ninja: ``NinjaAPI(auth=ServiceAuth("ticket"))``. Django REST framework:
    ``authentication_classes = [ServiceAuth]``, with ``IsAuthenticated``; for some services
    ``[functools.partial(ServiceAuth, "ticket")]``. ``request.service`` is the caller's name.
    """

    def __init__(self, *services: str) -> None:
        self._services = _names(services)

    def __call__(self, request: HttpRequest) -> ServiceCaller | None:
        """Return who calls, or None, of which the framework makes 401.

        Raises:
            django.core.exceptions.PermissionDenied: A service that is known, and not one of these: 403.
        """
        caller = admit(request, self._services)
        if isinstance(caller, str):
            return ServiceCaller(caller)
        if caller.status == 403:
            raise PermissionDenied("This service may not call this.")
        return None

    def authenticate(self, request: Any) -> tuple[ServiceCaller, None] | None:  # Any: the framework's own request
        """Return the caller as Django REST framework's ``request.user``."""
        caller = self(getattr(request, "_request", request))
        return None if caller is None else (caller, None)

    def authenticate_header(self, request: object) -> str:  # noqa: ARG002  # the framework's signature
        """Return what goes with 401."""
        return 'Bearer realm="services"'


def _names(services: tuple[object, ...]) -> frozenset[str]:
    if not all(isinstance(name, str) and name for name in services):
        raise TypeError('name services by texts: @service_auth_required("ticket"), or @service_auth_required() for all')
    return frozenset(str(name) for name in services)
