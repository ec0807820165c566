"""What does one exchange of a request for a response come to: the response, read, or a `Failure` that says why not?

The adapter keeps the connections. It neither retries nor follows redirects: a call does both itself.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ssl import SSLCertVerificationError
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.hooks import dispatch_hook
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    EmptyPoolError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)

from shared_core.clients.exceptions import (
    InvalidResponse,
    ResponseTooLarge,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceError,
    ServiceTimeout,
)

# Small, because time and size are looked at between pieces, and because deflate packs up to 1032 bytes into one:
# urllib3 before 2.6 unpacks a piece whole, here to 2 MB at most.
_PIECE = 2048

# What the client offers to decode, and all that it decodes: one coding, whose worst ratio is known.
ACCEPT_ENCODING = "gzip, deflate"
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


@dataclass(frozen=True)
class Failure:
    """Why an attempt did not end well: a value, until the call decides whether it is raised."""

    error: type[ServiceError]
    reason: str
    cause: Exception | None = None
    response: requests.Response | None = None
    retriable: bool = True  # the same request might fare better later
    nothing_sent: bool = False  # not a byte was written: the server cannot have acted


class _WaitingHTTPPool(urllib3.HTTPConnectionPool):
    """A pool that waits for a free connection only as long as the caller waits for a new one."""

    def urlopen(self, *args: Any, **kwargs: Any) -> Any:  # Any: urllib3's own signature, passed on
        kwargs["pool_timeout"] = kwargs["timeout"].connect_timeout
        return super().urlopen(*args, **kwargs)


class _WaitingHTTPSPool(_WaitingHTTPPool, urllib3.HTTPSConnectionPool):
    """The same over TLS."""


_POOLS = {"http": _WaitingHTTPPool, "https": _WaitingHTTPSPool}


class PooledAdapter(HTTPAdapter):
    """At most ``pool_maxsize`` connections to each origin, kept alive between calls; safe to share between threads."""

    def __init__(self, pool_maxsize: int) -> None:
        super().__init__(pool_maxsize=pool_maxsize, pool_block=True, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # Any: requests' own signature
        """Make the manager, with pools that wait."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # Any: requests' own signature
        """Make or find a proxy's manager, with pools that wait."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def trust_store(verify: bool | str) -> bool | str:
    """Return what to verify certificates against: where ``verify`` is just True, the environment may name a bundle."""
    if verify is not True:
        return verify
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True


def exchange(
    adapter: BaseAdapter,
    request: requests.PreparedRequest,
    *,
    timeout: tuple[float, float],
    ends: float,
    max_bytes: int | None,
    stream: bool,
    options: Mapping[str, Any],
    monotonic: Callable[[], float],
) -> requests.Response | Failure:
    """Send ``request`` once and read what comes back.

    Args:
        adapter: What connects, sends and receives.
        request: What to send.
        timeout: Seconds for connecting, and for each read.
        ends: When reading the body ends, by ``monotonic``.
        max_bytes: How much of the decoded body is read; None for all of it.
        stream: Leave the body of a success unread, to the caller.
        options: ``verify``, ``cert`` and ``proxies`` as requests takes them.
        monotonic: The clock.
    """
    sending = {"stream": True, "timeout": timeout, **options}
    began = monotonic()
    try:
        response = adapter.send(request, **sending)
    except (OSError, urllib3.exceptions.HTTPError) as exc:  # requests' own errors are OSErrors
        return failure_of(exc)
    response.elapsed = timedelta(seconds=monotonic() - began)
    # A transport of the caller's own may leave these out.
    response.request, response.url = response.request or request, response.url or str(request.url)
    while True:
        if not (stream and response.status_code < 300):
            failure = _read(response, ends=ends, max_bytes=max_bytes, monotonic=monotonic)
            # An error's body only explains the error: what came of it stays, whatever stopped the rest.
            if failure is not None and response.status_code < 400:
                return failure
        hooked = dispatch_hook("response", request.hooks, response, **sending)  # type: ignore[no-untyped-call]  # requests'
        if hooked is response or hooked is None:
            return response
        # A hook may answer for the response with another that it fetched (HTTP Digest does).
        response, request = hooked, requests.PreparedRequest()


def failure_of(exc: Exception) -> Failure:
    """Return what an exception of requests or urllib3 means, without the URL that its text may hold."""
    cause = _cause(exc)
    reason = _innermost(cause)
    text = "".join(character if character.isprintable() else "?" for character in str(reason))[:200]
    text = text or type(reason).__name__
    # EmptyPoolError: all connections stayed busy. NewConnectionError is a timeout by descent only.
    if isinstance(cause, EmptyPoolError):
        return Failure(ServiceConnectTimeout, "no connection of the pool came free in time", cause, nothing_sent=True)
    if isinstance(cause, NewConnectionError):
        return Failure(ServiceConnectionError, text, cause, nothing_sent=True)
    if isinstance(cause, ConnectTimeoutError) or isinstance(exc, requests.ConnectTimeout):
        return Failure(ServiceConnectTimeout, "no connection in time", cause, nothing_sent=True)
    if isinstance(cause, ReadTimeoutError) or isinstance(exc, requests.Timeout):
        return Failure(ServiceTimeout, "no answer in time", cause)
    if isinstance(cause, DecodeError):
        return Failure(InvalidResponse, "the body's content coding is broken", cause, retriable=False)
    # A bare OSError is how requests says that a CA bundle or a client's certificate is not there.
    permanent = isinstance(reason, SSLCertVerificationError | ValueError) or type(exc) is OSError
    return Failure(ServiceConnectionError, text, cause, retriable=not permanent)


def _read(
    response: requests.Response, *, ends: float, max_bytes: int | None, monotonic: Callable[[], float]
) -> Failure | None:
    """Read and decode the body into ``response``; close the connection where it is not read to its end."""
    if isinstance(response._content, bytes) or response.raw is None:  # a transport's, that never was a stream
        return None
    body = bytearray()
    failure = None
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    try:
        if coding not in _CODINGS:
            failure = Failure(InvalidResponse, "the body has a content coding that was not asked for", retriable=False)
        else:
            failure = _collect(response, body, ends=ends, max_bytes=max_bytes, monotonic=monotonic)
    except (OSError, urllib3.exceptions.HTTPError) as exc:
        failure = failure_of(exc)
    if failure is not None:
        response.close()
    # What requests itself does once a body is read; it has no public way to say so.
    response.__dict__.update(_content=bytes(body), _content_consumed=True)
    return failure


def _collect(
    response: requests.Response,
    body: bytearray,
    *,
    ends: float,
    max_bytes: int | None,
    monotonic: Callable[[], float],
) -> Failure | None:
    for piece in response.iter_content(_PIECE):
        if max_bytes is not None and len(body) + len(piece) > max_bytes:
            return Failure(ResponseTooLarge, f"the body is larger than {max_bytes} bytes", retriable=False)
        body += piece
        if monotonic() > ends:
            return Failure(ServiceTimeout, "the body did not end in time")
    return None


def _cause(exc: Exception) -> Exception:
    """Unwrap what requests and urllib3 wrapped around the failure: their texts quote the URL with its query."""
    while True:
        if isinstance(exc, MaxRetryError) and exc.reason is not None:
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
