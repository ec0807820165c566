"""Finds which service has sent a request."""

import functools
import logging
import re
from dataclasses import dataclass

from django.core.signals import setting_changed
from django.http import HttpRequest, JsonResponse

from shared_core import conf
from shared_core.auth.jwts import InvalidTokenError, JWTSettings, Verifier
from shared_core.auth.tokens import AcceptedTokens
from shared_core.context.inbound import current_inbound

logger = logging.getLogger("shared_core.auth")

# RFC 6750 §2.1: a scheme, of any case, and a token; nothing that several headers, joined, look like.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*) *", re.ASCII)
_LONGEST = 8192  # characters
_CALLER = "_shared_core_caller"


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let in; the text is for logs and holds no token."""

    status: int  # 401: nobody known; 403: somebody else is asked for
    reason: str
    gave_token: bool = False

    def response(self) -> JsonResponse:
        """Return the answer of RFC 6750 §3; it tells a stranger nothing of what is wrong with the token."""
        if self.status == 403:
            return JsonResponse({"error": "This service may not call this."}, status=403)
        challenge = 'Bearer realm="services"' + (', error="invalid_token"' if self.gave_token else "")
        answer = JsonResponse({"error": "A service's token is needed."}, status=401)
        answer.headers["WWW-Authenticate"] = challenge
        return answer


class AcceptedCallers:
    """What the settings accept, prepared at first use."""

    def __init__(self) -> None:
        tokens, jwts = conf.get("SERVICE_ACCEPTED_TOKENS"), JWTSettings.read()
        self.tokens = AcceptedTokens({} if tokens is None else tokens)
        self.verifier = None if jwts is None else Verifier(jwts)

    def service_of(self, token: str) -> str:
        """Return whose token it is; InvalidTokenError where it is nobody's."""
        if (service := self.tokens.service_of(token)) is not None:
            return service
        if self.verifier is None or token.count(".") != 2:
            raise InvalidTokenError("not known")
        return self.verifier.service_of(token)


_known = functools.cache(AcceptedCallers)


def _forget(*, setting: str, **_: object) -> None:
    if setting.startswith("SERVICE_"):
        _known.cache_clear()


setting_changed.connect(_forget, dispatch_uid="shared_core.auth")  # tests change them


def caller_of(request: HttpRequest) -> str | Refusal:
    """Return the name of the service whose token ``request`` bears, or why there is none.

    X-Service-Authorization counts before Authorization, which may be a user's.

    Raises:
        ImproperlyConfigured: What is accepted is set wrong.
    """
    given = request.META.get
    header = given("HTTP_X_SERVICE_AUTHORIZATION") or given("HTTP_AUTHORIZATION") or ""
    if not header:
        return Refusal(401, "no token")
    found = _BEARER.fullmatch(header) if len(header) <= _LONGEST else None
    if found is None:
        return Refusal(401, "no bearer token", gave_token=True)
    try:
        return _known().service_of(found[1])
    except InvalidTokenError as error:
        return Refusal(401, str(error), gave_token=True)


def is_of_service(authorization: str) -> bool:
    """Say whether an Authorization bears the token of a service that is accepted here: then it is no person's.

    Raises:
        ImproperlyConfigured: What is accepted is set wrong.
    """
    found = _BEARER.fullmatch(authorization) if len(authorization) <= _LONGEST else None
    if found is None:
        return False
    try:
        return bool(_known().service_of(found[1]))
    except InvalidTokenError:
        return False


def authorization_of_person(request: HttpRequest) -> str:
    """Return the Authorization of ``request``, where it is not the token by which `admit` found the calling service."""
    given = request.META.get
    is_services_own = isinstance(getattr(request, _CALLER, None), str) and not given("HTTP_X_SERVICE_AUTHORIZATION")
    return "" if is_services_own else given("HTTP_AUTHORIZATION") or ""


def admit(request: HttpRequest, services: frozenset[str]) -> str | Refusal:
    """Return who has sent ``request``, where it is one of ``services`` (none: any that is known); else why not.

    Who it is stands in ``request.service`` from then on; a refusal is logged.
    """
    # A view may be guarded in a service that is guarded as a whole.
    caller = vars(request).get(_CALLER) or caller_of(request)
    vars(request)[_CALLER] = caller
    if isinstance(caller, str):
        request.service = caller  # type: ignore[attr-defined]  # what we promise
        _keep_for_persons(request)
        if not services or caller in services:
            return caller
        caller = Refusal(403, f"{caller} is not one of {', '.join(sorted(services))}")
    logger.warning(
        "Caller refused", extra={"status": caller.status, "reason": caller.reason, "path": request.path[:1000]}
    )
    return caller


def _keep_for_persons(request: HttpRequest) -> None:
    """Forget the Authorization that was the calling service's own: `forward_user` sends on a person's only.

    `is_of_service` says the same before, but not for ever: a JWT may expire while the request is served.
    """
    inbound = current_inbound()
    if inbound is not None and not authorization_of_person(request):
        inbound.forget_authorization(request.META.get("HTTP_AUTHORIZATION"))
