"""One exchange of a request for a response: the response with its body read, or a `Failure`.

It neither retries nor follows redirects: the core decides about both.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from http.client import BadStatusLine, HTTPException, UnknownProtocol
from ssl import SSLCertVerificationError, SSLError
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.hooks import dispatch_hook
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    EmptyPoolError,
    InvalidChunkLength,
    InvalidHeader,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)

from shared_core.clients.adapter import PooledAdapter, TLSFilesError
from shared_core.clients.circuits import ServiceHealth
from shared_core.clients.exceptions import (
    DeadlineExceeded,
    InvalidResponse,
    ResponseTooLarge,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceTimeout,
)
from shared_core.clients.failures import Failure
from shared_core.clients.limits import Limit
from shared_core.clients.response import READ_ERRORS, charset_of
from shared_core.clients.wire import BodyError, HeadError, NotConnectedError

# What the client offers to decode, and all that it decodes: one coding, whose worst ratio is known.
ACCEPT_ENCODING = "gzip, deflate"
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_UNCODED = frozenset({"", "identity"})

# Bytes read at once. Of what is packed few, because deflate packs up to 1032 bytes into one and urllib3 before 2.6
# unpacks a piece whole, here to 2 MB at most.
_PIECE = 65_536
_PACKED_PIECE = 2048

# These quote the service, which may have echoed the request: this is said in place of their texts.
_QUOTING: Mapping[type[BaseException], str] = {
    BadStatusLine: "the answer is not HTTP",
    UnknownProtocol: "the answer is of another version of HTTP",
    InvalidHeader: "the answer has two lengths",
    InvalidChunkLength: "a part of the body has no length",
}

# What stops an exchange before there is a response; requests' own errors are OSErrors.
_ERRORS = (OSError, HTTPException, urllib3.exceptions.HTTPError, NotConnectedError, BodyError)

# What stops the further request of a hook (HTTP Digest sends one). A hook's own errors are raised as they are.
_HOOK_ERRORS = (NotConnectedError, HTTPException, ConnectionError, TimeoutError, SSLError)

_CONNECT_TIMEOUTS = (EmptyPoolError, ConnectTimeoutError, requests.ConnectTimeout)
_TIMEOUTS = (TimeoutError, ReadTimeoutError, requests.Timeout, *_CONNECT_TIMEOUTS)


def exchange(
    adapter: BaseAdapter,
    request: requests.PreparedRequest,
    *,
    limit: Limit,
    max_bytes: int | None,
    stream: bool,
    options: Mapping[str, Any],
) -> requests.Response | Failure:
    """Send ``request`` once and read what comes back.

    Args:
        adapter: What connects, sends and receives.
        request: What to send.
        limit: Until when to wait.
        max_bytes: How much of the decoded body is read; None for all of it.
        stream: Leave the body of a success unread, to the caller.
        options: ``verify``, ``cert`` and ``proxies`` as requests takes them.
    """
    began = time.perf_counter()
    try:
        # Any other transport knows requests' (connect, read) only.
        timeout: Any = limit if isinstance(adapter, PooledAdapter) else limit.as_pair()
        response = adapter.send(request, stream=True, timeout=timeout, **options)
    except _ERRORS as exc:
        return failure_of(exc, limit)
    response.elapsed = timedelta(seconds=time.perf_counter() - began)
    # A transport of the caller's own may leave these out.
    response.request, response.url = response.request or request, response.url or str(request.url)
    while True:
        response.encoding = charset_of(response)
        if stream and response.status_code < 300:
            limit.streaming()
        else:
            failure = _read(response, limit=limit, max_bytes=max_bytes)
            # An error's body only explains the error: what came of it stays, whatever stopped the rest.
            if failure is not None and response.status_code < 400:
                # An answer had begun, so the service is up, unless it is too slow to end it.
                return (
                    failure if issubclass(failure.error, ServiceTimeout) else replace(failure, health=ServiceHealth.UP)
                )
        if not request.hooks["response"]:
            return response
        try:
            hooked = dispatch_hook("response", request.hooks, response, timeout=timeout, stream=True, **options)  # type: ignore[no-untyped-call]  # requests'
        except _HOOK_ERRORS as exc:
            # Not to be repeated: HTTP Digest answers one challenge a call.
            return replace(failure_of(exc, limit), is_retriable=False, health=ServiceHealth.UNKNOWN)
        if hooked is response or hooked is None:
            return response
        # A hook may answer for the response with another that it fetched (HTTP Digest does).
        response, request = hooked, requests.PreparedRequest()
        request.hooks = {"response": []}


def failure_of(exc: Exception, limit: Limit) -> Failure:
    """Return what an exception of the transport means, without the URL that its text may hold."""
    sent = not isinstance(exc, NotConnectedError)
    cause = _cause(exc)
    reason = _innermost(cause)
    text = "".join(character if character.isprintable() else "?" for character in str(reason))[:200]
    text = _QUOTING.get(type(reason)) or text or type(reason).__name__
    kept = None if type(reason) in _QUOTING else cause
    if isinstance(exc, BodyError):
        # One of another length than it says is sent no better the next time.
        is_retriable = not isinstance(reason, ValueError)
        return Failure(
            ServiceConnectionError, f"the request's body cannot be read: {text}", kept, is_retriable=is_retriable
        )
    # NewConnectionError is a timeout by descent only.
    if isinstance(cause, NewConnectionError):
        return Failure(ServiceConnectionError, text, cause, nothing_sent=True, health=ServiceHealth.DOWN)
    if isinstance(cause, _TIMEOUTS):
        return _timed_out(cause, limit, sent=sent and not isinstance(cause, _CONNECT_TIMEOUTS))
    if isinstance(cause, DecodeError):
        text = "the body's content coding is broken"
    elif type(cause) in {ValueError, OverflowError}:  # see READ_ERRORS
        text = f"the body is broken: {text}"
    if isinstance(cause, DecodeError | HeadError):
        return Failure(InvalidResponse, text, cause, is_retriable=False, health=ServiceHealth.UP)
    # A bare OSError is how requests' own adapter says that a CA bundle or a client's certificate is not there.
    missing = isinstance(cause, TLSFilesError) or (type(cause) is OSError and cause.errno is None and sent)
    permanent = missing or isinstance(reason, SSLCertVerificationError | ValueError)
    health = ServiceHealth.UNKNOWN if permanent else ServiceHealth.DOWN
    # A head that began as HTTP and then went wrong, with a line that is too long for example, is an answer.
    if isinstance(cause, HTTPException) and not isinstance(cause, BadStatusLine):
        health = ServiceHealth.UP
    return Failure(ServiceConnectionError, text, kept, is_retriable=not permanent, nothing_sent=not sent, health=health)


def _timed_out(cause: Exception, limit: Limit, *, sent: bool) -> Failure:
    if limit.ended_by_deadline:
        return Failure(DeadlineExceeded, "the deadline has passed", cause, is_retriable=False, nothing_sent=not sent)
    if isinstance(cause, EmptyPoolError):  # this process's own calls keep all of them busy
        return Failure(ServiceConnectTimeout, "no connection of the pool came free in time", cause, nothing_sent=True)
    if not sent:
        return Failure(
            ServiceConnectTimeout, "no connection in time", cause, nothing_sent=True, health=ServiceHealth.DOWN
        )
    return Failure(ServiceTimeout, "no whole answer in time", cause, health=ServiceHealth.DOWN)


def _read(response: requests.Response, *, limit: Limit, max_bytes: int | None) -> Failure | None:
    """Read and decode the body into ``response``; close the connection where it is not read to its end."""
    if isinstance(response._content, bytes) or response.raw is None:  # a transport's, that never was a stream
        return None
    body = bytearray()
    failure = None
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    try:
        if coding in _UNCODED:
            failure = _collect(response, body, piece=_PIECE, limit=limit, max_bytes=max_bytes)
        elif coding in _CODINGS:
            failure = _collect(response, body, piece=_PACKED_PIECE, limit=limit, max_bytes=max_bytes)
        else:
            reason = "the body has a content coding that was not asked for"
            failure = Failure(InvalidResponse, reason, response=response, is_retriable=False)
    except READ_ERRORS as exc:
        failure = failure_of(exc, limit)
    if failure is not None:
        response.close()
    # What requests itself does once a body is read; it has no public way to say so.
    response.__dict__.update(_content=bytes(body), _content_consumed=True)
    return failure


def _collect(
    response: requests.Response, body: bytearray, *, piece: int, limit: Limit, max_bytes: int | None
) -> Failure | None:
    for part in response.iter_content(piece):
        if max_bytes is not None and len(body) + len(part) > max_bytes:
            body.clear()  # half of it is of no use, and an error may be kept for long
            reason = f"the body is larger than {max_bytes} bytes"
            return Failure(ResponseTooLarge, reason, response=response, is_retriable=False)
        body += part
        limit.left()  # a transport of the caller's own need not look
    return None


def _cause(exc: Exception) -> Exception:
    """Unwrap what requests and urllib3 wrapped around the failure: their texts quote the URL with its query."""
    while True:
        if isinstance(exc, NotConnectedError | BodyError) and isinstance(exc.__cause__, Exception):
            exc = exc.__cause__
        elif isinstance(exc, MaxRetryError) and exc.reason is not None:
            exc = exc.reason
        elif isinstance(exc, urllib3.exceptions.ProxyError):
            exc = exc.original_error
        elif isinstance(exc, requests.RequestException) and exc.args and isinstance(exc.args[0], Exception):
            exc = exc.args[0]
        else:
            # Its frames hold the request, headers and all.
            return exc.with_traceback(None)


def _innermost(exc: BaseException) -> BaseException:
    """Return the operating system's or the protocol's own words for the failure."""
    while (
        nested := exc.__cause__ or next((arg for arg in exc.args if isinstance(arg, BaseException)), None)
    ) is not None:
        exc = nested
    return exc
