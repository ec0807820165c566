"""A request whose caller has hung up is not begun: under gunicorn, with callers on real sockets."""

import http.client
import socket
import time

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core.clients import HTTPClient, ServiceTimeout
from shared_core.logs import parse_line
from shared_core.middleware import RequestContextMiddleware

pytestmark = pytest.mark.slow

ONE_WORKER = ("gunicorn", "--workers=1", "--bind=127.0.0.1:{port}", "django.core.wsgi:get_wsgi_application()")


@pytest.fixture(params=["sync", "gthread"])
def server(request, serve):
    server = serve(*ONE_WORKER, "--worker-class", request.param, "--threads=1")
    server.get("/health/")  # asked again where it takes long, and written nowhere
    return server


def lines_of(server, logger, number):
    """Return the first lines of a logger, once there are so many."""
    end = time.monotonic() + 20
    while len(found := [line for line in server.written if f" {logger} " in line]) < number:
        assert time.monotonic() < end, server.written
        time.sleep(0.05)
    return [parse_line(line) for line in found]


def keep_busy(server):
    """Keep the only worker busy for two seconds; return the connection that waits for its answer."""
    busy = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    busy.request("GET", "/?number=1&seconds=2", headers={"Connection": "close"})
    lines_of(server, "apps.tiny", 1)
    return busy


def test_a_queued_request_whose_caller_has_disconnected_is_499_and_not_run(server):
    busy = keep_busy(server)
    with HTTPClient(f"http://127.0.0.1:{server.port}", service="tiny", token=False, breaker=None) as client:
        for number in (2, 3, 4):
            with pytest.raises(ServiceTimeout):
                client.get(f"/?number={number}", timeout=0.1, retries=0)
        client.post("/?number=5", json={})  # waits, and is answered
    busy.getresponse()

    seen = [line["fields"]["number"] for line in lines_of(server, "apps.tiny", 2)]
    access = lines_of(server, "shared_core.access", 5)
    assert seen == [1, 5]
    assert [line["fields"]["status"] for line in access] == [200, 499, 499, 499, 200]
    assert access[1]["message"] == "GET given up by its client: 499"
    assert not [line for line in server.written if "django.request" in line]


def test_a_half_closed_connection_without_a_deadline_is_served(server):
    busy = keep_busy(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as half:
        half.sendall(b"GET /?number=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        half.shutdown(socket.SHUT_WR)

        assert half.recv(100).startswith(b"HTTP/1.1 200 ")
    busy.getresponse()


@pytest.mark.parametrize("kind", ["unix", "none"])
def test_a_request_without_a_tcp_socket_is_served(kind):
    ours, theirs = socket.socketpair()  # of Unix
    theirs.close()
    request = RequestFactory().get("/", headers={"X-Request-Deadline": "5"})
    if kind == "unix":
        request.META["gunicorn.socket"] = ours

    response = RequestContextMiddleware(lambda _: HttpResponse("begun"))(request)

    assert response.content == b"begun"
    ours.close()
