"""Connections whose every wait on a socket is bounded by a `Limit`.

A socket's timeout bounds one system call, so that a peer which drips a byte at a time holds a caller for ever. Here
the timeout is set anew, to what is left, before each: while connecting (a share for each address), in the TLS
handshake, while sending, and while reading header and body. Only `socket.getaddrinfo` cannot be bounded.

This is the one module that leans on what urllib3 and http.client keep private; tests/clients/test_wire.py fails where
an upgrade moves it:

    urllib3.HTTPConnectionPool    _get_conn, _put_conn, _prepare_proxy      check out, put back, open a tunnel
    urllib3.HTTPConnection        _new_conn, _dns_host                      make the socket
    http.client.HTTPConnection    _tunnel, response_class                   read from the socket
    http.client.HTTPResponse      begin, which reads anew if headers is None
"""

import contextlib
import io
import queue
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection as PlainConnection
from http.client import HTTPException, HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import allowed_gai_family
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.request import SKIP_HEADER, body_to_chunks

from shared_core.clients.limits import Limit
from shared_core.clients.response import READ_ERRORS
from shared_core.timing import reset_after_fork

# RFC 9112 §5.2: a line break in a header's value is replaced by a space.
_FOLD = re.compile(r"[\r\n]+[ \t]*")

# Bytes, of all status lines and headers of one answer, those of interim ones included. http.client alone would take
# 100 headers of 64 KiB. What is read ahead of a body may come on top, at most a buffer of 8 KiB.
MAX_HEAD = 65_536

# Interim answers that are passed over. A service sends one or two.
_MAX_INTERIM = 10


class NotConnectedError(Exception):
    """There was no connection to send anything over; ``__cause__`` says why."""


class BodyError(Exception):
    """The caller's body could not be read; ``__cause__`` says why."""


class HeadError(HTTPException):
    """An answer's head is HTTP, and one that this client does not take."""


class _Reader(io.RawIOBase):
    """Reads from a socket within a limit; of the head, so many bytes at most."""

    def __init__(self, sock: socket.socket, limit: Limit) -> None:
        self._sock, self._limit = sock, limit
        self.head: int | None = 0  # bytes that were read of it; None once it is complete
        self.has_ended = False  # the response: what comes after it is not read
        self.has_surplus = False  # more had been read by then
        # Unbuffered: it reads when it is asked to. Until it is closed the socket stays open.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # Any: typeshed's WriteableBuffer exists for checkers only
        if self.has_ended:
            return None
        if self.head is not None and self.head >= MAX_HEAD:
            raise HeadError(f"the response's headers are larger than {MAX_HEAD} bytes")
        self._sock.settimeout(self._limit.left())
        size = self._file.readinto(buffer)
        if self.head is not None:
            self.head += size or 0
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class _Buffer(io.BufferedReader):
    """Reads ahead, perhaps beyond the end of the response."""

    def __init__(self, reader: _Reader) -> None:
        super().__init__(reader)
        self._reader = reader

    def read(self, size: int | None = None) -> bytes:
        # The size of a chunk is what the service sent: at -1, all that follows would be read at once.
        if size is not None and size < 0:
            raise ValueError("the size of a chunk is negative")
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            self._reader.has_ended = True
            self._reader.has_surplus = bool(self.peek())
        super().close()


class _LimitedSocket:
    """As much of a socket as http.client's response asks for."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # always "rb"
        return _Buffer(self._reader)


class _Response(HTTPResponse):
    """A final response, after interim ones."""

    def __init__(self, reader: _Reader, *args: Any, **kwargs: Any) -> None:  # Any: passed on
        super().__init__(_LimitedSocket(reader), *args, **kwargs)  # type: ignore[arg-type]  # as much as it asks for
        self._reader = reader

    def begin(self) -> None:
        """Read the head. http.client takes each interim answer but 100 for the final one."""
        for _ in range(_MAX_INTERIM + 1):
            super().begin()
            if self.status >= 200:
                self._reader.head = None
                return
            # RFC 9110 §15.2.2: only if the client asked for it.
            if self.status == 101:
                raise HeadError("101: the service switches to a protocol that was not asked for")
            self.headers = self.msg = None  # type: ignore[assignment]  # so that it begins again
        raise HeadError(f"more than {_MAX_INTERIM} interim responses")


class _Limited(HTTPConnection):
    """A connection whose waits end with ``limit``, that of the exchange it is used for."""

    limit: Limit
    _reader: _Reader | None = None  # of the last response

    @property
    def is_connected(self) -> bool:
        """Whether the other end has neither closed it nor sent what no request asked for: a next response, perhaps."""
        if self.sock is None or (self._reader is not None and self._reader.has_surplus):
            return False
        self.sock.settimeout(0)
        try:
            # Not select: TLS may hold bytes that it has decrypted, or have received nothing but a session ticket.
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _new_conn(self) -> socket.socket:
        sock = _connect(self._dns_host, self.port, self.source_address, self.socket_options or (), self.limit)
        sys.audit("http.client.connect", self, self.host, self.port)
        sock.settimeout(self.limit.left())  # for the TLS handshake, which OpenSSL waits for as a whole
        return sock

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(self.limit.left())  # as above

    def response(self, method: str, pool: urllib3.HTTPConnectionPool) -> urllib3.HTTPResponse:
        """Return the response, its body unread; the connection is put back into ``pool`` after that."""
        plain = PlainConnection.getresponse(self)
        return urllib3.HTTPResponse(
            body=plain,
            headers=urllib3.HTTPHeaderDict((name, _FOLD.sub(" ", value)) for name, value in plain.msg.items()),
            status=plain.status,
            version=plain.version,
            reason=plain.reason,
            preload_content=False,
            original_response=plain,
            request_method=method,
            pool=pool,
            connection=self,
        )

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:  # type: ignore[override]
        self._reader = _Reader(sock, self.limit)
        return _Response(self._reader, *args, **kwargs)  # Any: passed on

    def send(self, data: Any) -> None:  # Any: bytes, from urllib3
        # sendall waits for all of it together, over TLS as well.
        self.sock.settimeout(self.limit.left())
        super().send(data)


class _LimitedHTTPS(_Limited, HTTPSConnection):
    """The same over TLS."""


class _Slots(queue.LifoQueue[Any]):  # Any: a connection, or None where one may be made
    """A pool's connections. A forked child has none of them: it starts with free slots and open locks."""

    def __init__(self, maxsize: int) -> None:
        super().__init__(maxsize)
        reset_after_fork(self)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        try:
            super().put(item, block, timeout)
        except queue.Full:  # a stream that was open across a fork, and has no slot here
            item.close()

    def reset_after_fork(self) -> None:
        super().__init__(self.maxsize)
        self.queue += [None] * self.maxsize


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Limited
    QueueCls = _Slots  # type: ignore[assignment]  # urllib3's is generic


class _PoolHTTPS(urllib3.HTTPSConnectionPool):
    ConnectionCls = _LimitedHTTPS
    QueueCls = _Slots  # type: ignore[assignment]  # urllib3's is generic


# For a PoolManager: the kind of pool by scheme.
POOLS = {"http": _Pool, "https": _PoolHTTPS}


def exchange(
    pool: urllib3.HTTPConnectionPool,
    method: str,
    target: str,
    *,
    body: Any,  # Any: what requests prepares: bytes, text, a file, an iterable
    headers: Mapping[str, str],
    limit: Limit,
) -> urllib3.HTTPResponse:
    """Send a request over a connection of ``pool`` and return the response, its body unread.

    The connection goes back to the pool once the body is read, or the response is closed.

    Args:
        pool: One of `POOLS`.
        method: The HTTP method.
        target: The path and query; the whole URL where a proxy forwards it.
        body: Sent in chunks where ``headers`` holds no Content-Length; else it must be as long as that says.
        headers: All of them, but for Host.
        limit: Bounds each wait, also those for the body.

    Raises:
        NotConnectedError: There is no connection: nothing was sent.
        BodyError: ``body`` could not be read, or has another length.
        OSError, http.client.HTTPException, urllib3.exceptions.HTTPError: The exchange failed.
    """
    connection = _checkout(pool, limit)
    if "User-Agent" not in headers:  # the caller removed it, and urllib3 would add its own
        headers = {**headers, "User-Agent": SKIP_HEADER}
    try:
        # Where the service has closed its end early, it has said why (413, for example).
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if isinstance(body, str | bytes | None):
                connection.request(method, target, body=body, headers=headers)
            else:
                length = headers.get("Content-Length")
                pieces = _pieces(body_to_chunks(body, method, connection.blocksize).chunks or (), length, limit)
                connection.request(method, target, body=pieces, headers=headers, chunked=length is None)
        return connection.response(method, pool)
    except BaseException:
        connection.close()
        pool._put_conn(connection)
        raise


def _pieces(chunks: Iterable[Any], length: str | None, limit: Limit) -> Iterator[Any]:  # Any: as urllib3 has it
    """Give the pieces of a body; how long the caller takes to make them is not the service's doing.

    A text file and one that grows are not as long as requests takes them to be. The service would read what is too much
    as the next request, and wait for what is missing.
    """
    pieces, left = iter(chunks), None if length is None else int(length)
    while True:
        began = time.monotonic()
        try:
            piece = next(pieces, None)
        except (OSError, HTTPException, urllib3.exceptions.HTTPError) as exc:  # it may be another service's response
            raise BodyError from exc
        limit.extend(time.monotonic() - began)
        data = memoryview(piece.encode() if isinstance(piece, str) else b"" if piece is None else piece).cast("B")
        if left is not None:
            left -= len(data)
            if left < 0 or (left and piece is None):
                what = "longer" if left < 0 else "shorter"
                raise BodyError from ValueError(f"it is {what} than its Content-Length of {length}; is it a text file?")
        if piece is None:
            return
        yield data


def _checkout(pool: urllib3.HTTPConnectionPool, limit: Limit) -> _Limited:
    """Take a connection that is ready to be written to: an idle one that the service has not closed, or a new one."""
    limit.connecting()
    connection: Any = None  # a _Limited: pools do not say
    try:
        connection = pool._get_conn(timeout=limit.left())
        connection.limit = limit
        if connection.is_closed:
            if pool.proxy and connection_requires_http_tunnel(pool.proxy, pool.proxy_config, pool.scheme):
                pool._prepare_proxy(connection)
            else:
                connection.connect()
    except BaseException as exc:
        if connection is not None:
            connection.close()
            pool._put_conn(connection)
        # Not each exception: a task's time limit, for example, is raised wherever its thread happens to be.
        if isinstance(exc, READ_ERRORS):
            raise NotConnectedError from exc
        raise
    limit.connected()
    return connection  # type: ignore[no-any-return]  # as above


def _connect(
    host: str, port: int, source: tuple[str, int] | None, options: Any, limit: Limit
) -> socket.socket:  # Any: setsockopt's arguments
    """Return a socket connected to one of the addresses of ``host``; each gets its share of the time that is left."""
    began = time.monotonic()
    addresses = socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    looked_up = time.monotonic()
    limit.extend(looked_up - began)
    ends = looked_up + limit.left()
    failure: OSError | None = None
    for remaining, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(max(ends - time.monotonic(), 0.001) / remaining)
            if source:
                sock.bind(source)
            sock.connect(address)
        except OSError as exc:
            failure = exc
            if sock is not None:
                sock.close()
        else:
            return sock
    raise failure or OSError("the name has no address")
