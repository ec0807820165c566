"""A scripted server, time that does not pass by itself, and clients that are closed at the end."""

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from requests.adapters import BaseAdapter

from shared_core.clients import HTTPClient
from shared_core.clients.retry import Clock
from tests.clients.server import Server

# 2027-01-15 08:00:00 UTC
EPOCH = 1_800_000_000.0

# Self-signed for 127.0.0.1, with its key: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes
#   -days 36500 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext keyUsage=digitalSignature,keyCertSign
CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass
class FakeTime:
    """Time that passes only while someone sleeps; the dice always show 0."""

    value: float = 1000.0
    sleeps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.value += seconds

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.value,
            now=lambda: EPOCH + self.value - 1000.0,
            sleep=self.sleep,
            random=lambda: 0.0,
        )


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def other() -> Iterator[Server]:
    """A server at another origin."""
    with contextlib.closing(Server()) as other:
        yield other


@pytest.fixture
def secure() -> Iterator[Server]:
    """A server over TLS, whose certificate only CERTIFICATE vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with contextlib.closing(Server(context)) as secure:
        yield secure


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a port that nobody listens on, and that nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[tuple[list[str], int]]:
    """Four addresses, and a port on each, that never say whether they take a connection: their queues are full."""
    hosts = [f"127.0.0.{last}" for last in range(2, 6)]
    with contextlib.ExitStack() as stack:
        port = 0
        for host in hosts:
            listener = stack.enter_context(socket.socket())
            listener.bind((host, port))
            listener.listen(0)
            port = listener.getsockname()[1]
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    waiting.connect((host, port))
        yield hosts, port


@pytest.fixture
def tunnel() -> Iterator[str]:
    """The URL of a proxy that opens one tunnel."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            near = stack.enter_context(listener.accept()[0])
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += near.recv(1)
            host, _, port = head.split(b" ")[1].decode().partition(":")
            far = stack.enter_context(socket.create_connection((host, int(port))))
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(source, target), daemon=True).start()

        def pump(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):  # the test is over
                while data := source.recv(65_536):
                    target.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def make(time: FakeTime) -> Iterator[Callable[..., HTTPClient]]:
    """Make a client, of ``kind`` or HTTPClient itself, whose waits are not waited for."""
    with contextlib.ExitStack() as stack:

        def make(*args: object, kind: type[HTTPClient] = HTTPClient, **kwargs: object) -> HTTPClient:
            client = stack.enter_context(kind(*args, **kwargs))
            client._clock = time.clock()
            return client

        yield make


@pytest.fixture
def client(make: Callable[..., HTTPClient], server: Server) -> HTTPClient:
    return make(server.url, service="user", token=False)


class Recorder(BaseAdapter):
    """A transport that keeps what it is asked to send, and answers with ``locations`` to go to, then with 200."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.options: list[dict[str, object]] = []
        self.locations: list[str] = []

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        self.requests.append(request)
        self.options.append(options)
        response = requests.Response()
        response.status_code = 302 if self.locations else 200
        if self.locations:
            response.headers["Location"] = self.locations.pop(0)
        response.raw = io.BytesIO(b"{}")
        return response

    def close(self) -> None:
        pass


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
