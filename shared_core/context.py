"""What is bound to the request being served: its ids and whatever else each of its log lines should carry.

    with context.bind(ticket_id=ticket.id):
        logger.info("Ticket opened")          # … ticket_id=0198… request_id=0f8fad5b…

A binding lives in a `contextvars.ContextVar`: threads of a server and tasks of an event loop never see each
other's. A thread pool starts its threads with an empty context; `ContextExecutor` hands over the caller's.
"""

import contextvars
import functools
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

# A request id arrives from outside and goes into headers and log lines: nothing but these characters may pass.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

# W3C Trace Context, version 00: https://www.w3.org/TR/trace-context/#traceparent-header. All zeros are invalid.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)

# X-Request-Deadline: the seconds that the caller will still wait, decimal. Not a time of day: clocks differ.
_SECONDS_LEFT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class Bindings:
    """What is bound in one block, outer blocks' included; it never changes.

    ``written`` is for the one who writes it into each log line to keep what he makes of it.
    """

    __slots__ = ("fields", "written")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = MappingProxyType(fields)
        self.written: Any = None  # Any: known to its writer


_bound: contextvars.ContextVar[Bindings] = contextvars.ContextVar("shared_core.context", default=Bindings({}))  # noqa: B039  # what is kept in it never changes

# What is bound here, as one object for as long as nothing else is. Not a function: each log line asks.
bindings = _bound.get


class Inbound:
    """What the request being served brought along for the calls that are made for it, and that no log line tells.

    Args:
        deadline: Its X-Request-Deadline; counts from here. What is no decimal number of seconds is ignored.
        authorization: Its Authorization.
    """

    def __init__(self, deadline: str | None = None, authorization: str | None = None) -> None:
        match = _SECONDS_LEFT.fullmatch(deadline or "")
        self._ends = time.monotonic() + float(match[0]) if match else None
        self._authorization = authorization or None

    def end(self) -> None:
        """Forget it all, also for threads and tasks that outlive the request: nobody waits for them any more."""
        self._ends = self._authorization = None

    def forget_authorization(self, authorization: str | None) -> None:
        """Forget ``authorization``, where that is what came with the request: it is no person's."""
        if authorization == self._authorization:
            self._authorization = None

    def seconds_left(self, now: float | None = None) -> float | None:
        """Return how long the caller still waits, 0 and below if it has gone; None if it did not say.

        Args:
            now: The time by the clock of a call, which a test may move on; by default `time.monotonic`.
        """
        return None if self._ends is None else self._ends - (time.monotonic() if now is None else now)

    @property
    def authorization(self) -> str | None:
        """The caller's own Authorization header."""
        return self._authorization


_inbound: contextvars.ContextVar[Inbound | None] = contextvars.ContextVar("shared_core.inbound", default=None)


class serve:  # noqa: N801  # read as a function; a generator would cost a request some microseconds more
    """Make ``inbound`` the request being served, and ``bindings`` what is bound, for the length of the block."""

    __slots__ = ("_bindings", "_inbound", "_tokens")

    def __init__(self, inbound: Inbound, bindings: Bindings) -> None:
        self._inbound, self._bindings = inbound, bindings

    def __enter__(self) -> None:
        self._tokens = _inbound.set(self._inbound), _bound.set(self._bindings)

    def __exit__(self, *exc_info: object) -> None:
        served, bound = self._tokens
        _bound.reset(bound)
        _inbound.reset(served)


def inbound() -> Inbound | None:
    """Return what the request being served brought along, or None outside of one."""
    return _inbound.get()


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add ``fields`` to what is bound, for the length of the block; an inner block's value wins over an outer one's."""
    token = _bound.set(extended(fields))
    try:
        yield
    finally:
        _bound.reset(token)


def extended(fields: Mapping[str, object]) -> Bindings:
    """Return what is bound here and ``fields``, bound by nobody yet."""
    return Bindings({**_bound.get().fields, **fields})


def current() -> dict[str, object]:
    """Return a copy of what is bound here, outermost first; empty outside of any binding."""
    return dict(_bound.get().fields)


def request_id() -> str | None:
    """Return the id of the request being served, or None outside of one."""
    value = _bound.get().fields.get("request_id")
    return None if value is None else str(value)


def new_request_id() -> str:
    """Return a fresh request id: 32 hexadecimal digits, 128 random bits."""
    return secrets.token_hex(16)


def is_request_id(text: str) -> bool:
    """Say whether ``text`` may be used as a request id: 8 to 64 of ``A-Z a-z 0-9 . _ -``."""
    return _REQUEST_ID.fullmatch(text) is not None


def trace_fields(traceparent: str | None = None) -> dict[str, str]:
    """Return ``trace_id`` and a new ``span_id`` for work that continues ``traceparent``, or starts a trace.

    Args:
        traceparent: The caller's header, W3C Trace Context version 00. Anything else starts a new trace.
    """
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return {"trace_id": match[1] if match else secrets.token_hex(16), "span_id": secrets.token_hex(8)}


def outgoing_headers() -> dict[str, str]:
    """Return the headers that carry this request's ids to the service called next; empty outside of a request."""
    bound, headers = _bound.get().fields, {}
    if (identity := request_id()) is not None and is_request_id(identity):
        headers["X-Request-ID"] = identity
    # The caller's span becomes the parent of the callee's. Flag 01: recorded.
    traceparent = f"00-{bound.get('trace_id')}-{bound.get('span_id')}-01"
    if _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent
    return headers


class ContextExecutor(ThreadPoolExecutor):
    """A ThreadPoolExecutor whose tasks run with what was bound where they were submitted."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule ``fn`` in a copy of the caller's context; see `concurrent.futures.Executor.submit`."""
        return super().submit(functools.partial(contextvars.copy_context().run, fn, *args, **kwargs))
