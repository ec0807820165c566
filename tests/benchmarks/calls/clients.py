"""Whom is ours compared with? Clients that send the same headers and wait as long."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import requests
import urllib3

from shared_core.clients import HTTPClient
from tests.benchmarks.calls.server import Running
from tests.benchmarks.calls.service import HEADERS, TOKEN

OURS, REQUESTS, URLLIB3 = "HTTPClient (ours)", "requests.Session", "urllib3.PoolManager"
HTTPX = "httpx.Client"
TIMEOUT = 5.0

type Get = Callable[[str], bytes]  # a path -> the body of what is there


@contextlib.contextmanager
def clients(server: Running, threads: int) -> Iterator[dict[str, Get]]:
    """Make each client, to be shared by so many threads, and close it at the end.

    Returns:
        ``{name: get}``; ours between requests and urllib3, which do the least of its work and the most of it.
    """
    accept = {"Accept": HEADERS["Accept"]}
    with contextlib.ExitStack() as stack:
        gets = {
            REQUESTS: _requests(server, stack.enter_context(requests.Session())),
            OURS: _ours(
                stack.enter_context(
                    HTTPClient(server.url, service="user", token=TOKEN, headers=accept, timeout=TIMEOUT)
                )
            ),
            URLLIB3: _urllib3(server, stack.enter_context(urllib3.PoolManager(maxsize=threads, timeout=TIMEOUT))),
            "http.client.HTTPConnection": _by_hand(server),
        }
        if has_httpx():
            import httpx

            client = stack.enter_context(httpx.Client(timeout=TIMEOUT))
            gets[HTTPX] = lambda path: client.get(server.url + path, headers=HEADERS).content
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        gets[f"{REQUESTS}, trust_env=False"] = _requests(server, session)
        yield gets


def has_httpx() -> bool:
    """Say whether httpx is installed."""
    return find_spec("httpx") is not None


def _ours(client: HTTPClient) -> Get:
    return lambda path: client.get(path).content


def _requests(server: Running, session: requests.Session) -> Get:
    return lambda path: session.get(server.url + path, headers=HEADERS, timeout=TIMEOUT).content


def _urllib3(server: Running, manager: urllib3.PoolManager) -> Get:
    return lambda path: manager.request("GET", server.url + path, headers=HEADERS).data


class _Own(threading.local):
    """A connection for each thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)


def _by_hand(server: Running) -> Get:
    own = _Own(server.port)

    def get(path: str) -> bytes:
        connection = own.connection
        connection.request("GET", path, headers=HEADERS)
        return connection.getresponse().read()

    return get
