"""Binds the ids of a request while it is served, and writes one access line."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.functional import LazyObject, empty
from django.utils.log import log_response

from shared_core.context.bindings import extended
from shared_core.context.inbound import Inbound, serving_request
from shared_core.context.propagation import is_request_id, new_request_id, trace_fields
from shared_core.health.views import health, probe_at

logger = logging.getLogger("shared_core.access")

# nginx's word for a request whose client has left before there was an answer; Django cancels it under ASGI.
_ABANDONED = 499

# Linux's states of a connection that its other end has closed, or reset: tcp_states.h in its sources.
_CLOSED_BY_PEER = frozenset({7, 8})  # TCP_CLOSE, TCP_CLOSE_WAIT

# Whoever asks chooses these, in characters.
_LONGEST_METHOD = 32
_LONGEST_PATH = 1000

_probing = ThreadPoolExecutor(32, "probing")  # its threads begin when they are needed


class RequestContextMiddleware:
    """Binds ``request_id``, ``trace_id`` and ``span_id`` to all that is logged and asked of others for a request.

    A valid X-Request-ID and traceparent are taken over, others are made anew; the answer bears X-Request-ID. Calls that
    `shared_core.clients` make for it end by its X-Request-Deadline, the seconds that its caller still waits. When the
    body has ended, one line on logger ``shared_core.access`` tells method, route, path (without query), status and ms,
    db_ms and db_queries where the database was asked, user_id where somebody looked up the user, and caller where
    `shared_core.auth` has found which service it is. Status 499 stands for a client who left before.

    The probes of `shared_core.health` it answers itself, before ALLOWED_HOSTS, redirects and tokens are looked at;
    where they succeed, without a line: asked every few seconds, they would drown the requests of people.

    What came with an X-Request-Deadline, and whose caller has hung up while it waited for a worker, is not begun: a
    service that was overloaded works for those who still wait, and none of its callers' retries keep it busy. It is
    known under gunicorn on Linux; elsewhere all is begun.

    It comes first in MIDDLEWARE.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        for connection in connections.all(initialized_only=True):
            _watch(connection)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve ``request``."""
        if self._is_async:
            return self._serve_async(request)
        probe = probe_at(request.path_info)
        scope = _RequestScope(request, is_probe=probe is not None)
        with scope.bound():
            if probe is None and _has_hung_up(request):
                return scope.abandon()
            response: HttpResponseBase = (probe or self._get_response)(request)
            return _finish(request, response, scope)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        probe = probe_at(request.path_info)
        scope = _RequestScope(request, is_probe=probe is not None)
        with scope.bound():
            try:
                if probe is health:  # it waits for nothing, so nothing makes it wait
                    response: HttpResponseBase = health(request)
                else:
                    response = await (self._get_response if probe is None else _in_a_thread(probe))(request)
            except asyncio.CancelledError:
                scope.end(_ABANDONED)
                raise
            return _finish(request, response, scope)


def _in_a_thread(probe: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Return a probe that waits in one of the probes' own threads: however many ask, the service's threads are free."""
    return sync_to_async(probe, thread_sensitive=False, executor=_probing)


def _has_hung_up(request: HttpRequest) -> bool:
    """Say whether the caller is known to have closed the connection; who merely shut his half looks the same.

    So only those are asked about who say how long they wait: `shared_core.clients` closes when it waits no longer.
    """
    connection = request.META.get("gunicorn.socket")
    if connection is None or "HTTP_X_REQUEST_DEADLINE" not in request.META or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        # The first byte of `struct tcp_info` is the state: tcp(7).
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _CLOSED_BY_PEER
    except OSError:  # a Unix socket, to a proxy
        return False


class _Access:
    """The access line of one request, and what it counts."""

    def __init__(self, request: HttpRequest, *, is_probe: bool) -> None:
        self._request, self._is_probe = request, is_probe
        self._started = time.perf_counter()
        self._queries: list[float] = []  # seconds; threads append to it

    def time_query(self, execute: Callable[..., Any], *args: Any) -> Any:  # Any: passed on as they came
        """Run a query and count it."""
        started = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self._queries.append(time.perf_counter() - started)

    def write(self, status: int) -> None:
        """Write the line."""
        if self._is_probe and status < 400:
            return
        request, match = self._request, self._request.resolver_match
        method = (request.method or "")[:_LONGEST_METHOD]
        fields: dict[str, object] = {
            "method": method,
            "route": match.route if match is not None else None,
            "path": request.path[:_LONGEST_PATH],
            "status": status,
            "ms": round((time.perf_counter() - self._started) * 1000, 1),
        }
        if self._queries:
            fields["db_ms"] = round(sum(self._queries) * 1000, 1)
            fields["db_queries"] = len(self._queries)
        if (user_id := _user_id(request)) is not None:
            fields["user_id"] = user_id
        said = "%s given up by its client: %s" if status == _ABANDONED else "%s answered with %s"
        if isinstance(caller := vars(request).get("service"), str):
            fields["caller"] = caller
        logger.info(said, method, status, extra=fields)


def _user_id(request: HttpRequest) -> object:
    """Return the key of the request's user, where it is known already: the session is not opened for it."""
    for name in ("_cached_user", "_acached_user", "user"):  # the first two: of `request.user` and `request.auser()`
        user = vars(request).get(name)
        if user is not None and not (isinstance(user, LazyObject) and user._wrapped is empty):
            return getattr(user, "pk", None)
    return None


_counting: ContextVar[_Access | None] = ContextVar("shared_core.access", default=None)


def _time_query(execute: Callable[..., Any], *args: Any) -> Any:  # Any: passed on as they came
    """Count a query for the request that makes it, in whichever thread; Django's docs, "Database instrumentation"."""
    access = _counting.get()
    return execute(*args) if access is None else access.time_query(execute, *args)


def _watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    # The first of them, and for good: `connection.execute_wrapper()` takes away the last.
    if _time_query not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _time_query)


connection_created.connect(_watch, dispatch_uid="shared_core.middleware")


class _RequestScope:
    """What is bound while one request is served: the ids that its log lines bear, and what it brought along."""

    def __init__(self, request: HttpRequest, *, is_probe: bool) -> None:
        given = request.META.get
        request_id = given("HTTP_X_REQUEST_ID", "")
        self.request_id = request_id if is_request_id(request_id) else new_request_id()
        self._bindings = extended({"request_id": self.request_id, **trace_fields(given("HTTP_TRACEPARENT"))})
        self._inbound = Inbound(given("HTTP_X_REQUEST_DEADLINE"), given("HTTP_AUTHORIZATION"))
        self._access = _Access(request, is_probe=is_probe)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Bind it for the length of a block; if the block raises, the request has ended."""
        counting = _counting.set(self._access)
        try:
            with serving_request(self._inbound, self._bindings):
                yield
        except BaseException:
            self._inbound.end()
            raise
        finally:
            _counting.reset(counting)

    def abandon(self) -> HttpResponse:
        """End it inside such a block, unserved, with an answer that nobody will read."""
        self.end(_ABANDONED)
        response = HttpResponse(status=_ABANDONED, reason="Client Closed Request")
        response._has_been_logged = True  # type: ignore[attr-defined]  # by the access line; as `log_response` marks it
        return response

    def end(self, status: int) -> None:
        """Write the access line, inside such a block; what came with the request is known to no thread any more."""
        self._inbound.end()
        self._access.write(status)


def _finish(request: HttpRequest, response: HttpResponseBase, scope: _RequestScope) -> HttpResponseBase:
    """Return ``response`` with its id; the request ends now, or when its stream has ended."""
    response.headers["X-Request-ID"] = scope.request_id
    if response.status_code >= 400:
        # Django's handler writes this very record, but once the middleware is done and nothing is bound any more; it
        # marks the response, and so is not written twice.
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path[:_LONGEST_PATH],
            response=response,  # type: ignore[arg-type]  # the stubs forget streams
            request=request,
        )
    if not response.streaming:
        scope.end(response.status_code)
        return response

    # Servers close a response once its body has been sent, or the client has gone.
    response._resource_closers.append(lambda: _end(response, scope))  # type: ignore[attr-defined]  # as FileResponse does with its file
    # A file is sent by the server itself (wsgi.file_wrapper); whatever else makes the body may log.
    if isinstance(response, StreamingHttpResponse) and getattr(response, "file_to_stream", None) is None:
        chunks: Any = response.streaming_content
        response.streaming_content = _bound_async(chunks, scope) if response.is_async else _bound(chunks, scope)
    return response


def _end(response: HttpResponseBase, scope: _RequestScope) -> None:
    with scope.bound():
        scope.end(response.status_code)


def _bound(chunks: Iterator[Any], scope: _RequestScope) -> Iterator[Any]:
    # Bound while a chunk is made, and not between two: there the server runs, perhaps for another request.
    end = object()
    while True:
        with scope.bound():
            chunk = next(chunks, end)
        if chunk is end:
            return
        yield chunk


async def _bound_async(chunks: AsyncIterator[Any], scope: _RequestScope) -> AsyncIterator[Any]:
    end = object()
    while True:
        with scope.bound():
            chunk = await anext(chunks, end)
        if chunk is end:
            return
        yield chunk
