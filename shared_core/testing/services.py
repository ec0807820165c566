"""A fake of another service, for tests.

    with FakeService("user") as users:
        users.on("GET", "/api/v1/users/42").reply(json={"id": "42"})
        ticket = open_ticket(reporter="42")

    assert users.calls[0].headers["Authorization"] == "Bearer …"

The call goes through all of the client but its socket: URL, token, retries, circuit and log line are the real ones.
"""

import io
import json as jsonlib
import re
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from shared_core import conf
from shared_core.clients.circuits import OriginRegistry
from shared_core.clients.exceptions import describe_status
from shared_core.clients.overrides import TransportOverride, override_transport
from shared_core.clients.retry import Clock
from shared_core.clients.wire import NotConnectedError
from shared_core.origins import setting_of


@dataclass(frozen=True)
class FakeCall:
    """A request, as the service would have received it."""

    method: str
    path: str  # below the service's base URL, without the query
    query: Mapping[str, str]  # of a repeated name the last value
    headers: Mapping[str, str]  # names in any case
    body: bytes

    @property
    def json(self) -> Any:  # Any: what the caller sent
        """What the body says.

        Raises:
            ValueError: It is not JSON.
        """
        return jsonlib.loads(self.body)


@dataclass
class _Answer:
    """What a route does when it is called, ``left`` times or for ever."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: Literal["refused", "broken", "timeout"] | None = None
    left: int | None = None


class Route:
    """What a `FakeService` does with the requests for one method and path; without a word: 200 and no body."""

    def __init__(self, method: str, path: str | re.Pattern[str]) -> None:
        self.calls: list[FakeCall] = []
        self._method, self._path = method.upper(), path
        self._answers: list[_Answer] = []
        self._delay = 0.0

    def __str__(self) -> str:
        path = self._path if isinstance(self._path, str) else self._path.pattern
        return f"{self._method} {path}"

    def reply(
        self,
        status: int = 200,
        *,
        json: Any = None,  # Any: what JSON can hold
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> Self:
        """Answer with ``json`` or ``body``, ``times`` times or from now on; further replies follow in turn.

        Raises:
            TypeError: Both are given, or JSON cannot hold ``json``.
            ValueError: ``status`` is no status of an answer, or ``times`` is below 1.
        """
        if json is not None and body is not None:
            raise TypeError("give json or body, not both")
        if not 200 <= status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {status!r}")
        sent = dict(headers or {})
        data = body.encode() if isinstance(body, str) else body or b""
        if json is not None:
            data = jsonlib.dumps(json, allow_nan=False).encode()
            sent.setdefault("Content-Type", "application/json")
        return self._then(_Answer(status, data, sent, left=times))

    def fail(self, how: Literal["refused", "broken", "timeout"] = "refused", *, times: int | None = None) -> Self:
        """Do not answer: refuse the connection, break it off once the request has been sent, or never say a word.

        Raises:
            ValueError: ``how`` is none of these, or ``times`` is below 1.
        """
        if how not in {"refused", "broken", "timeout"}:
            raise ValueError(f'how must be "refused", "broken" or "timeout", not {how!r}')
        return self._then(_Answer(failure=how, left=times))

    def delay(self, seconds: float) -> Self:
        """Take ``seconds`` for each answer, which the caller's clock shows and the test does not wait for."""
        if not seconds >= 0:
            raise ValueError(f"seconds must be at least 0, not {seconds!r}")
        self._delay = seconds
        return self

    def _then(self, answer: _Answer) -> Self:
        if answer.left is not None and answer.left < 1:
            raise ValueError(f"times must be at least 1, not {answer.left!r}")
        self._answers.append(answer)
        return self

    def _expects(self, call: FakeCall) -> bool:
        if call.method != self._method:
            return False
        if not isinstance(self._path, str):
            return self._path.fullmatch(call.path) is not None
        path, asks, query = self._path.partition("?")
        return path == call.path and (not asks or dict(parse_qsl(query, keep_blank_values=True)) == call.query)

    def _next(self) -> _Answer | None:
        if not self._answers:
            return _Answer()
        for answer in self._answers:
            if answer.left is None:
                return answer
            if answer.left > 0:
                answer.left -= 1
                return answer
        return None


class FakeService:
    """Stands in for ``service`` behind every client of this process, for the length of a ``with`` block.

    A client is known by its ``service``, or because it calls what lies under the setting of that name
    (``USER_SERVICE_URL``); nothing is patched, and clients may be made before or in the block. Waits between attempts
    and delays take no time, and what the calls meet opens no circuit for real ones. A call that no route expects
    fails, as an AssertionError where it is made and once more at the end of the block, where the code swallowed it.

    Raises:
        RuntimeError: Another one stands in for the service already.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.calls: list[FakeCall] = []
        self._routes: list[Route] = []
        self._surprises: list[str] = []
        self._lock = threading.Lock()
        self._skew = 0.0  # seconds that were not waited for
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        clock = Clock(
            monotonic=lambda: time.monotonic() + self._skew,
            now=lambda: time.time() + self._skew,
            sleep=self._pass,
        )
        self._stack.enter_context(
            override_transport(self.service, TransportOverride(_Adapter(self), clock, OriginRegistry()))
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        if kind is None and self._surprises:
            raise AssertionError("\n".join(self._surprises))

    def on(self, method: str, path: str | re.Pattern[str]) -> Route:
        """Return the route of ``method`` and ``path``, to be told what it answers; a later one wins over earlier ones.

        Args:
            method: The HTTP method.
            path: Below the service's base URL; with a ``?``, its query must be that one, else it may be any. Or a
                pattern that matches the whole path.
        """
        if isinstance(path, str) and not path.startswith("/"):
            raise ValueError(f"path must begin with /, not be {path!r}")
        route = Route(method, path)
        self._routes.append(route)
        return route

    def _pass(self, seconds: float) -> None:
        with self._lock:
            self._skew += seconds

    def _answer(self, call: FakeCall, patience: float) -> _Answer:
        with self._lock:
            self.calls.append(call)
            route = next((route for route in reversed(self._routes) if route._expects(call)), None)
            answer = None
            if route is not None:
                route.calls.append(call)
                answer = route._next()
            if route is None or answer is None:
                why = "no route expects it" if route is None else "its route has given all of its answers"
                known = ", ".join(map(str, self._routes)) or "none"
                self._surprises.append(f"{self.service} was sent {call.method} {call.path}: {why} (routes: {known})")
                raise AssertionError(self._surprises[-1])
        if answer.failure == "timeout" or route._delay > patience:
            self._pass(patience)
            raise requests.ReadTimeout("timed out")
        self._pass(route._delay)
        return answer

    def _call_of(self, request: requests.PreparedRequest) -> FakeCall:
        parts = urlsplit(str(request.url))
        base = urlsplit(str(conf.get(setting_of(self.service), ""))).path.rstrip("/")
        path = parts.path.removeprefix(base) if parts.path.startswith(f"{base}/") else parts.path
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return FakeCall(str(request.method), path, query, CaseInsensitiveDict(request.headers), _whole(request.body))


class _Adapter(BaseAdapter):
    """Hands requests to a fake service in place of the network."""

    def __init__(self, service: FakeService) -> None:
        super().__init__()
        self._service = service

    def send(  # type: ignore[override]  # as the client calls it
        self, request: requests.PreparedRequest, *, timeout: tuple[float, float], **_: object
    ) -> requests.Response:
        answer = self._service._answer(self._service._call_of(request), timeout[1])
        if answer.failure == "refused":
            raise NotConnectedError from ConnectionRefusedError("connection refused")
        if answer.failure == "broken":
            raise ConnectionResetError("the connection broke")
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.reason = describe_status(answer.status).partition(" ")[2]
        response.raw = io.BytesIO(b"" if request.method == "HEAD" else answer.body)
        response.url = str(request.url)
        response.request = request
        return response

    def close(self) -> None:
        pass


def _whole(body: Any) -> bytes:  # Any: whatever requests takes as a body
    """Read ``body`` as a server would."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        read = body.read()
        return read.encode() if isinstance(read, str) else bytes(read)
    return b"".join(part.encode() if isinstance(part, str) else part for part in body)
