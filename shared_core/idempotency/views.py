"""Runs a view once for each key, and gives its response again.

no key                      the view runs, as ever; 400 where the key is required
a new key                   the view runs; its answer is stored in the transaction of what it writes
the key again               the first answer, with Idempotent-Replayed: true
… with another body         422
… while the first one runs  it waits, then as above; 409 where that takes too long
"""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, overload

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connections, router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from shared_core.context.inbound import current_inbound
from shared_core.databases import AdvisoryLockTimeout, advisory_lock
from shared_core.idempotency.requests import (
    BadKeyError,
    Identity,
    caller_of,
    fingerprint_of,
    has_unknown_length,
    key_of,
)
from shared_core.timing import Deadline

if TYPE_CHECKING:
    from shared_core.idempotency.models import StoredResponse

logger = logging.getLogger("shared_core.idempotency")

# RFC 9110 §9.2.1: they change nothing, so that a repeat is as good as the first.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

# "Not you" and "not now" say nothing of the request: the next may be answered otherwise.
_NOT_FINAL = frozenset({401, 403, 408, 409, 425, 429})

# Headers that belong to one response: cookies, what logs in, ids and times.
_OF_ONE_RESPONSE = frozenset(
    {
        "set-cookie",
        "set-cookie2",
        "authentication-info",
        "proxy-authentication-info",
        "date",
        "server-timing",
        "traceparent",
        "x-request-id",
    }
)
# RFC 9110 §7.6.1: those of one connection.
_OF_ONE_CONNECTION = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)

_POLLS = (0.02, 0.05, 0.1, 0.2)  # seconds; the last one from then on
_TRY_AGAIN_AFTER = 1  # seconds

type View = Callable[..., HttpResponseBase]


@overload
def idempotent[V: View](view: V, /) -> V: ...
@overload
def idempotent[V: View](
    *, required: bool = ..., wait: float = ..., caller: Callable[[HttpRequest], str] = ...
) -> Callable[[V], V]: ...
def idempotent(
    view: View | None = None,
    /,
    *,
    required: bool = False,
    wait: float = 3.0,
    caller: Callable[[HttpRequest], str] = caller_of,
) -> Any:
    """Run the view once for each Idempotency-Key, and answer repeats as the first request was answered.

        @service_auth_required("ticket")
        @idempotent(required=True)
        def notify(request): ...

    A key belongs to one caller (the service, and the person that it calls for), one method and one path. The view runs
    in a transaction, in which its answer is stored too: both are kept, or neither. Neither is where the view raises, or
    answers 5xx, 401, 403, 408, 409, 425 or 429; the next request with the key runs it again. So it must not call other
    services (a call would hold the transaction, and cannot be taken back), nor write to another database than that of
    ``shared_core.idempotency``, an app for INSTALLED_APPS. A repeat is told by ``Idempotent-Replayed: true``. Cookies,
    and other headers that belong to one response or one connection, are not given again.

    GET, HEAD and OPTIONS, and requests without a key, are the view's own.

    Args:
        view: Returns an HttpResponse that is no stream.
        required: Whether a request without a key is answered with 400.
        wait: How long a repeat waits for the first request to end, in seconds, before it is told 409 with Retry-After;
            no longer than its own caller waits.
        caller: Returns the caller, a text, before the view runs. The default is the service and the person: see
            `shared_core.idempotency.requests.caller_of`. Give your own where a person's token may be renewed between
            two attempts, where people are known by something that the default does not know, or where one service
            serves the tenants of several hosts.

    Raises:
        TypeError: The view is asynchronous, or (when it has run; nothing is kept) returns what cannot be stored.
        ImproperlyConfigured: The app is not installed, nothing tells who is logged in, the caller is known only once
            the view has run, or something has read the body before.

    See: draft-ietf-httpapi-idempotency-key-header.
    """
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < 60:
        raise ValueError(f"wait={wait!r} must be seconds, from 0 and below 60")

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):
            raise TypeError("@idempotent is for views that are not asynchronous: Django has no transactions for those")

        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method in _SAFE:
                return view(request, *args, **kwargs)
            try:
                key = key_of(request, required=required)
            except BadKeyError as error:
                return _refuse(400, str(error))
            if key is None:
                return view(request, *args, **kwargs)
            if has_unknown_length(request):  # such bodies would have one fingerprint
                return _refuse(411, "A request with an Idempotency-Key needs a Content-Length.")
            once = _IdempotentView(request, Identity.of(request, key, caller(request)), caller)
            return once.answer(lambda: view(request, *args, **kwargs), wait)

        return answer

    return decorate if view is None else decorate(view)


class _IdempotentView:
    """A request that bears a key."""

    def __init__(self, request: HttpRequest, identity: Identity, caller: Callable[[HttpRequest], str]) -> None:
        self._request, self._identity, self._caller = request, identity, caller
        self._fingerprint = fingerprint_of(request)
        self._model = _model()
        self._using = router.db_for_write(self._model)

    def answer(self, run: Callable[[], HttpResponseBase], wait: float) -> HttpResponseBase:
        """Return the view's answer, or the first one."""
        # Asked for again and again, in a transaction each time: who waits holds no server connection meanwhile.
        for _ in _attempts(wait):
            try:
                with ExitStack() as stack:
                    try:
                        stack.enter_context(self._transaction())
                    except AdvisoryLockTimeout:  # of the key's lock; one of the view's own is the view's error
                        continue
                    return self._run(run)
            except _KeyInUse:
                break
        return _refuse(409, "A request with this Idempotency-Key is being answered. Try again.", _TRY_AGAIN_AFTER)

    def _transaction(self) -> AbstractContextManager[None]:
        """Return one that nobody else is in for the same request."""
        if connections[self._using].vendor == "postgresql":
            return advisory_lock(f"idempotency {self._identity.scope}", timeout=0, using=self._using)
        return transaction.atomic(using=self._using)  # the primary key alone guards it

    def _run(self, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        known = self._model._default_manager.using(self._using).filter(pk=self._identity.scope).first()
        if known is not None:
            return self._replay(known)
        response = _render(run())
        if self._caller(self._request) != self._identity.caller:
            raise ImproperlyConfigured(
                "@idempotent stands before what finds out who calls, so that callers would share their keys: put it "
                "below @service_auth_required, or give caller=… (docs/running.md, A request that is sent again)"
            )
        if response.status_code >= 500 or response.status_code in _NOT_FINAL:
            transaction.set_rollback(True, using=self._using)
        else:
            self._store(response)
        return response

    def _store(self, response: HttpResponse) -> None:
        try:
            self._model._default_manager.using(self._using).create(
                scope=self._identity.scope,
                **self._identity.columns,
                fingerprint=self._fingerprint,
                status=response.status_code,
                headers=_stored_headers(response.headers),
                body=response.content,
            )
        except IntegrityError:
            raise _KeyInUse from None

    def _replay(self, known: "StoredResponse") -> HttpResponse:
        if known.fingerprint != self._fingerprint:
            return _refuse(422, "This Idempotency-Key was used for another request.")
        logger.info("Answered as the first time", extra={"idempotency_key": self._identity.key})
        response = HttpResponse(bytes(known.body), status=known.status, headers=_stored_headers(known.headers))
        response.headers["Idempotent-Replayed"] = "true"
        return response


def _stored_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_RESPONSE | _OF_ONE_CONNECTION}


class _KeyInUse(Exception):  # noqa: N818  # never seen by anybody
    """Somebody else has answered meanwhile; what was done here is taken back."""


def _attempts(wait: float) -> Iterator[None]:
    """Yield, at once and then now and again, for as long as somebody may wait."""
    inbound = current_inbound()
    left = None if inbound is None else inbound.seconds_left()
    # Half of it: the view may have to run yet.
    deadline = Deadline(wait if left is None else min(wait, left / 2))
    yield
    number = 0
    while not deadline.has_passed:
        time.sleep(min(_POLLS[min(number, len(_POLLS) - 1)], deadline.left()))
        number += 1
        yield


def _render(response: object) -> HttpResponse:
    if not isinstance(response, HttpResponse):
        raise TypeError(
            f"@idempotent got {type(response).__name__}, which cannot be stored: the view must return an HttpResponse "
            "that is no stream"
        )
    render = getattr(response, "render", None)
    rendered: HttpResponse = response if render is None else render()
    return rendered


def _refuse(status: int, error: str, retry_after: int | None = None) -> JsonResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JsonResponse({"error": error}, status=status, headers=headers)


def _model() -> "type[StoredResponse]":
    try:
        model: type[StoredResponse] = apps.get_model("shared_core_idempotency", "StoredResponse")
    except LookupError:
        raise ImproperlyConfigured(
            '@idempotent needs its table: add "shared_core.idempotency" to INSTALLED_APPS, and run manage.py migrate.'
        ) from None
    return model
