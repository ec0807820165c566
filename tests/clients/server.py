"""A server of raw sockets that does what a test's script says: also what no HTTP library would do.

A script is a list of replies, one for each request in the order of arrival; the last one stays. A reply is a function
of the connection and the request, and returns whether the connection stays open for another request.
"""

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser


@dataclass(frozen=True)
class Received:
    """A request, as it came over the wire."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int  # which connection it came on, from 1


type Reply = Callable[[socket.socket, Received], bool]


def answer(status: int = 200, body: bytes | str = b"", **headers: str) -> Reply:
    """Answer properly; ``Retry_After="1"`` is the header Retry-After."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    def reply(connection: socket.socket, request: Received) -> bool:
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if request.method == "HEAD" or len(data) > 100_000:  # a copy of much would be counted as the client's
            connection.sendall(head)
        if request.method != "HEAD":
            connection.sendall(data if len(data) > 100_000 else head + data)
        return True

    return reply


def answer_json(value: object, status: int = 200, **headers: str) -> Reply:
    return answer(status, json.dumps(value), Content_Type="application/json", **headers)


def redirect(location: str, status: int = 302) -> Reply:
    return answer(status, "gone elsewhere", Location=location)


def raw(data: bytes) -> Reply:
    """Send ``data`` as it is and close."""

    def reply(connection: socket.socket, request: Received) -> bool:
        connection.sendall(data)
        return False

    return reply


def hang_up(connection: socket.socket, request: Received) -> bool:
    """Close without a word."""
    return False


def broken_off(connection: socket.socket, request: Received) -> bool:
    """Promise ten bytes, send five, close."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")(connection, request)


def silent(seconds: float) -> Reply:
    """Say nothing for ``seconds``, or until the client gives up."""

    def reply(connection: socket.socket, request: Received) -> bool:
        connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            connection.recv(1)
        return False

    return reply


def late(seconds: float, then: Reply) -> Reply:
    """Think for ``seconds`` and reply as ``then`` does."""

    def reply(connection: socket.socket, request: Received) -> bool:
        time.sleep(seconds)
        return then(connection, request)

    return reply


def slow_chunks(count: int, pause: float) -> Reply:
    """Send a body in ``count`` chunks with a pause after each."""

    def reply(connection: socket.socket, request: Received) -> bool:
        with contextlib.suppress(OSError):  # the client may leave early
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(count):
                connection.sendall(b"1\r\nx\r\n")
                time.sleep(pause)
            connection.sendall(b"0\r\n\r\n")
        return False

    return reply


def dripping(at_once: bytes, drop_by_drop: bytes, *, pause: float) -> Reply:
    """Send some bytes at once, the others one by one with a pause before each; or one pause where there are none."""

    def reply(connection: socket.socket, request: Received) -> bool:
        with contextlib.suppress(OSError):  # the client may leave early
            connection.sendall(at_once)
            for drop in drop_by_drop or b"\0":
                if _is_gone(connection, pause):
                    return False
                connection.sendall(bytes([drop]) if drop_by_drop else b"")
        return False

    return reply


def never_reading(seconds: float, *, sip: int = 0, pause: float = 0.1) -> Reply:
    """Read nothing of the body for ``seconds``, or a sip after each pause; or until the client leaves."""

    def reply(connection: socket.socket, request: Received) -> bool:
        ends = time.monotonic() + seconds
        left = select.poll()
        left.register(connection, select.POLLRDHUP)
        with contextlib.suppress(OSError):
            while time.monotonic() < ends and not left.poll(pause * 1000):
                if sip and not connection.recv(sip):
                    break
        return False

    return reply


def _is_gone(connection: socket.socket, pause: float) -> bool:
    """Wait for ``pause``, or until the client closes."""
    connection.settimeout(pause)
    try:
        if connection.recv(65_536) == b"":
            return True
    except TimeoutError:
        return False
    time.sleep(pause)
    return False


class Server:
    """Listens on a free port of 127.0.0.1 until it is closed, over TLS where ``tls`` is given."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.received: list[Received] = []
        self.replies: list[Reply] = [answer()]
        self.handshake_after = 0.0  # seconds
        self._before_body: Reply | None = None
        self._before_head: Reply | None = None
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._start(self._accept)

    def script(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def script_before_body(self, reply: Reply) -> None:
        """Reply when a request's head has come, before its body is read, and close."""
        self._before_body = reply

    def script_before_head(self, reply: Reply) -> None:
        """Reply as soon as a connection is there, and close."""
        self._before_head = reply

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.received]

    @property
    def connections(self) -> int:
        return len(self._connections)

    def is_alone(self) -> bool:
        """Say whether clients have closed all connections, or do so within five seconds."""
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            if not any(thread.is_alive() for thread in self._threads[1:]):
                return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        # Shut down, not only closed: a thread inside accept or recv wakes up.
        for sock in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)

    def drop_connections(self) -> None:
        """Close what is kept alive, as a restart would."""
        for sock in self._connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._start(self._serve, connection, len(self._connections))

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                time.sleep(self.handshake_after)
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
                self._connections[number - 1] = connection
            if self._before_head is not None:
                self._before_head(connection, Received("", "", Message(), b"", number))
                return
            for request in _requests(connection, number, self._before_body):
                with self._lock:
                    self.received.append(request)
                    reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if not reply(connection, request):
                    return


def _requests(connection: socket.socket, number: int, before_body: Reply | None) -> Iterator[Received]:
    with connection.makefile("rb") as stream:
        while line := stream.readline():
            method, path, _ = line.decode("latin-1").split(" ", 2)
            lines = []
            while (header := stream.readline()) not in {b"\r\n", b""}:
                lines.append(header)
            headers = BytesHeaderParser().parsebytes(b"".join(lines))
            if before_body is not None:
                before_body(connection, Received(method, path, headers, b"", number))
                return
            yield Received(method, path, headers, _body(stream, headers), number)


def _body(stream: object, headers: Message) -> bytes:
    if headers.get("Transfer-Encoding") != "chunked":
        return stream.read(int(headers.get("Content-Length", "0")))
    body = b""
    while line := stream.readline():
        body += stream.read(int(line, 16))
        stream.readline()
        if int(line, 16) == 0:
            return body
    raise ConnectionResetError("the client hung up in the middle of a body")
