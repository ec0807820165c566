"""The called service: a process that answers with fixed bytes, so cheaply that a call's time is the client's.

GET /api/…      200 and 300 bytes of JSON, or the status that the program was started with; it is counted
GET /head       the head of this very request
GET /seen       how many requests and connections there were, these two paths' not counted
GET /bytes/N    N bytes of JSON
"""

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

SIZE = 300  # bytes of the body under /api/
ROOT = Path(__file__).parents[3]

# What a Django service behind gunicorn sends.
_HEAD = """HTTP/1.1 {status} Whatever\r
Server: gunicorn\r
Date: Mon, 23 Nov 2026 13:00:00 GMT\r
Connection: keep-alive\r
Content-Type: application/json\r
X-Frame-Options: DENY\r
Content-Length: {length}\r
X-Content-Type-Options: nosniff\r
Referrer-Policy: same-origin\r
X-Request-ID: 0f8fad5bd9cb469fa16570867728950e\r
\r
"""
_PIECE = b"x" * 65_536


@dataclass
class Seen:
    """What has come in."""

    requests: int = 0
    connections: int = 0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(self.requests + other.requests, self.connections + other.connections)

    def __sub__(self, other: "Seen") -> "Seen":
        return Seen(self.requests - other.requests, self.connections - other.connections)


@dataclass(frozen=True)
class Running:
    """A server at work."""

    port: int

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def seen(self) -> Seen:
        """Ask what has come in."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/seen")
            return Seen(**json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def serving(status: int = 200) -> Iterator[Running]:
    """Run a server for the length of the block.

    Args:
        status: Of its answers under /api/.
    """
    command = [sys.executable, "-m", "tests.benchmarks.calls.server", str(status)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(int(process.stdout.readline()))
        finally:
            process.terminate()


class _Peer(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, seen: Seen, answer: bytes) -> None:
        self._seen, self._answer = seen, answer
        self._got = b""
        self._left = 0  # bytes still to be poured out
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._seen.connections += 1

    def connection_lost(self, _: Exception | None) -> None:
        self._left = 0

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head, self._got = self._got[:end], self._got[end + 4 :]
            if head.startswith(b"GET /api/"):
                self._seen.requests += 1
                self.transport.write(self._answer)
            else:
                self._other(head)

    def _other(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/head":
            self.transport.write(_answer(200, head))
        elif path == "/seen":
            self._seen.connections -= 1  # this one
            self.transport.write(_answer(200, json.dumps(asdict(self._seen)).encode()))
        else:
            self._left = int(path.removeprefix("/bytes/")) - 1
            self.transport.write(_head(200, self._left + 1) + b'"')
            self._pour()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pour()

    def _pour(self) -> None:
        while self._left and not self._paused:
            piece = _PIECE[: self._left - 1] or b'"'
            self._left -= len(piece)
            self.transport.write(piece)


def _head(status: int, length: int) -> bytes:
    return _HEAD.format(status=status, length=length).encode()


def _answer(status: int, body: bytes) -> bytes:
    return _head(status, len(body)) + body


def _body() -> bytes:
    user = {"id": "0198c0de-0000-7000-8000-000000000042", "email": "ada@example.org", "is_active": True, "name": ""}
    return json.dumps({**user, "name": "x" * (SIZE - len(json.dumps(user)))}).encode()


async def _serve(status: int) -> None:
    loop, ended, seen, answer = asyncio.get_running_loop(), asyncio.Event(), Seen(), _answer(status, _body())
    # Its end is that of the process which started it, whatever that died of.
    loop.add_reader(sys.stdin, ended.set)
    server = await loop.create_server(lambda: _Peer(seen, answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
