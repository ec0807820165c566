"""What hurts with requests alone, and not here: each test runs twice, and has to fail with requests.

"requests" is a Session as most services set it up: an adapter with urllib3's Retry, kept and shared. Where an upgrade
of requests or urllib3 mends something, its test here says XPASS: then take the word from the documentation.
"""

import gzip
import os
import pickle
import socket
import subprocess
import sys
import time as real_time
import tracemalloc

import pytest
import requests
import urllib3.util.retry
from requests.adapters import HTTPAdapter

from shared_core.clients import HTTPClient
from tests.clients.fixtures import FakeTime
from tests.clients.server import answer, broken_off, dripping, hang_up, redirect

pytestmark = pytest.mark.slow

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"
STATUSES = [429, 500, 502, 503, 504]


@pytest.fixture(
    params=["shared_core", pytest.param("requests", marks=pytest.mark.xfail(strict=True, reason="requests alone"))]
)
def kind(request):
    return request.param


@pytest.fixture
def waits():
    """The seconds that were waited between attempts, which nobody does."""
    return FakeTime()


@pytest.fixture
def call(kind, waits, monkeypatch):
    """Make a call, to an absolute URL, with a client that is kept for the test."""
    if kind == "shared_core":
        with HTTPClient(token=False, breaker=None, budget=None) as client:
            client._clock = waits.clock()
            yield client.request
        return
    monkeypatch.setattr(
        urllib3.util.retry, "time", type("Time", (), {"sleep": staticmethod(waits.sleep), "time": real_time.time})
    )
    retry = urllib3.Retry(total=3, backoff_factor=0.5, status_forcelist=STATUSES, allowed_methods=None)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))

        def once(method, url, *, retries=None, **options):
            if retries == 0:
                session.mount("http://", HTTPAdapter(max_retries=0))
            return session.request(method, url, **options)

        yield once


def failure_of(call, *args, **kwargs):
    with pytest.raises(requests.RequestException) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize("reply", [dripping(HEAD, b"x" * 30, pause=0.1), dripping(b"", HEAD + b"x" * 30, pause=0.04)])
def test_a_timeout_ends_a_call_to_a_server_that_drips(call, server, reply):
    server.script(reply)
    began = real_time.monotonic()
    failure_of(call, "GET", server.url, timeout=0.4, retries=0)

    assert real_time.monotonic() - began < 2


def test_four_dead_addresses_take_one_timeout(call, deaf, monkeypatch):
    hosts, port = deaf
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    began = real_time.monotonic()
    failure_of(call, "GET", f"http://four.addresses.test:{port}", timeout=0.5, retries=0)

    assert real_time.monotonic() - began < 1.8  # four take 2


def test_the_error_has_the_last_response(call, server):
    server.script(answer(503, "down for maintenance"))

    assert failure_of(call, "GET", server.url).response.text == "down for maintenance"


def test_backoff_is_a_half_one_and_two_seconds(call, server, waits):
    server.script(answer(503))
    failure_of(call, "GET", server.url)

    assert waits.sleeps == [0.5, 1.0, 2.0]


def test_a_retry_after_of_an_hour_is_not_waited_for(call, server, waits):
    server.script(answer(503, Retry_After="3600"))
    failure_of(call, "GET", server.url)

    assert sum(waits.sleeps) < 15


def test_a_post_that_the_server_has_read_is_not_sent_again(call, server):
    server.script(hang_up)
    failure_of(call, "POST", server.url, data=b"order")

    assert len(server.received) == 1


def test_a_get_whose_body_breaks_off_is_retried(call, server):
    server.script(broken_off, answer(200, "whole"))

    assert call("GET", server.url).text == "whole"


def test_an_authorization_header_is_not_replaced_by_netrc(call, server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    call("GET", server.url, headers={"Authorization": "Bearer mine"})

    assert server.received[0].headers["Authorization"] == "Bearer mine"


def test_an_api_key_header_is_not_sent_to_another_origin(call, server, other):
    server.script(redirect(other.url))
    call("GET", server.url, headers={"X-Api-Key": "s3cret"})

    assert "X-Api-Key" not in other.received[0].headers


def test_cookies_of_one_call_are_not_sent_with_the_next(call, server):
    server.script(answer(200, "", Set_Cookie="session=of-the-first"), answer(200))
    call("GET", server.url)
    call("GET", server.url)

    assert "Cookie" not in server.received[1].headers


def test_a_generator_body_is_not_retried_with_an_empty_body(call, server):
    server.script(answer(503), answer(200))
    failure_of(call, "PUT", server.url, data=(part for part in [b"all", b"of it"]))

    assert [request.body for request in server.received] == [b"allof it"]


@pytest.mark.parametrize(
    "reply",
    [answer(200, b"x" * 40_000_000), answer(200, gzip.compress(b"x" * 40_000_000), Content_Encoding="gzip")],
    ids=["large", "bomb"],
)
def test_a_body_costs_no_more_memory_than_allowed(call, server, reply):
    server.script(reply)
    tracemalloc.start()
    try:
        failure_of(call, "GET", server.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 30_000_000


def test_an_error_survives_pickling(call, refusing):
    error = failure_of(call, "GET", refusing, retries=0)

    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # our own


FORK = """
import os, sys
kind, url = sys.argv[1:]
if kind == "requests":
    import requests
    client = requests.Session()
else:
    from shared_core.clients import HTTPClient
    client = HTTPClient(token=False)
client.get(url + "/parent")
child = os.fork()
if child == 0:
    client.get(url + "/child")
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_does_not_write_to_its_parents_connection(kind, server):
    subprocess.run([sys.executable, "-c", FORK, kind, server.url], check=True, timeout=60, env={**os.environ})
    parent, child = server.received

    assert parent.connection != child.connection
