"""One caller's input, deadline or choice of hosts must not take a service away from the other callers."""

import contextlib

import pytest

from shared_core.clients import CircuitBreaker, RetryBudget, ServiceError
from shared_core.clients.circuits import Verdict
from tests.clients.server import answer, broken_off, dripping, hang_up, raw, redirect, silent

RULE = CircuitBreaker(failures=5, rest=10)
BUDGET = RetryBudget()


def shown(make, server, *replies, **options):
    """Return what a call that meets ``replies`` shows about the service, after one call that found it down."""
    client = make(server.url, token=False, timeout=options.pop("timeout", 5), max_response_bytes=1000)
    server.script(hang_up, *replies)
    for given in ({}, options):
        with contextlib.suppress(ServiceError):
            client.get("/x", retry_attempts=0, **given)
    return {0: Verdict.UP, 1: Verdict.UNKNOWN, 2: Verdict.DOWN}[client.stats()[server.url].failures]


@pytest.mark.parametrize(
    "status", [200, 204, 304, 400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 501, 505, 507, 508, 511, 599]
)
def test_an_answer_shows_that_the_service_is_up(make, server, status):
    assert shown(make, server, answer(status, Retry_After="60")) is Verdict.UP


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "60"}])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_for_a_service_that_is_down_shows_that(make, server, status, headers):
    # RFC 9110 §15.6.4: 503 is for overload and maintenance; the limit of one caller is 429.
    assert shown(make, server, answer(status, **headers)) is Verdict.DOWN


HEAD = b"HTTP/1.1 200 OK\r\n"
HALF = dripping(HEAD + b"Content-Length: 9\r\n\r\n", b"", pause=1)
OTHER_FAILURES = {
    "no answer": (hang_up, {}, Verdict.DOWN),
    "no HTTP": (raw(b"220 mail.example.org ESMTP\r\n"), {}, Verdict.DOWN),
    "no answer in time": (silent(5), {"timeout": 0.1}, Verdict.DOWN),
    "half an answer in time": (HALF, {"timeout": 0.1}, Verdict.DOWN),
    "no answer within the caller's deadline": (silent(5), {"deadline": 0.1}, Verdict.UNKNOWN),
    "half an answer within the caller's deadline": (HALF, {"deadline": 0.1}, Verdict.UNKNOWN),
    # The caller's deadline leaves less than 0.1 s: the service, or one that it calls, gave up for lack of time.
    "503 at the end of the caller's deadline": (answer(503), {"deadline": 0.05}, Verdict.UNKNOWN),
    "500 at the end of the caller's deadline": (answer(500), {"deadline": 0.05}, Verdict.UP),
    # How a view fails whose response streams: its status has been sent.
    "a body that breaks off": (broken_off, {}, Verdict.UP),
    "a body in broken chunks": (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), {}, Verdict.UP),
    "a body that is too large": (answer(200, b"x" * 2000), {}, Verdict.UP),
    "a body in another coding": (answer(200, b"x", Content_Encoding="br"), {}, Verdict.UP),
    "a body in a broken coding": (answer(200, b"x", Content_Encoding="gzip"), {}, Verdict.UP),
    "a header that is too long": (raw(HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n"), {}, Verdict.UP),
    "too many headers": (raw(HEAD + b"X: x\r\n" * 200 + b"\r\n"), {}, Verdict.UP),
    "a loop of redirects": (redirect("/x"), {}, Verdict.UP),
    "a redirect to what is no URL of the client's": (redirect("ftp://elsewhere/"), {}, Verdict.UP),
}


@pytest.mark.parametrize(("reply", "options", "verdict"), OTHER_FAILURES.values(), ids=OTHER_FAILURES)
def test_what_a_failure_shows_about_the_service(make, server, reply, options, verdict):
    assert shown(make, server, reply, **options) is verdict


def test_what_is_not_json_shows_that_the_service_is_up(make, server):
    server.script(hang_up, answer(200, b"<html>"))
    client = make(server.url, token=False)
    for call in (client.get, client.get_json):
        with pytest.raises(ServiceError):
            call("/x", retry_attempts=0)

    assert client.stats()[server.url].failures == 0


@pytest.mark.parametrize("reply", [hang_up, answer(503), answer(500)])
def test_another_origin_that_fails_shows_nothing_about_the_one_that_redirects_there(make, server, other, reply):
    other.script(reply)

    assert shown(make, server, redirect(f"{other.url}/x")) is Verdict.UP


def test_the_same_origin_that_fails_after_a_redirect_is_down(make, server):
    assert shown(make, server, redirect("/y"), hang_up) is Verdict.DOWN


def test_a_certificate_that_is_not_trusted_opens_no_circuit(make, secure):
    client = make(secure.url, token=False)
    for _ in range(6):
        with pytest.raises(ServiceError, match="certificate"):
            client.get("/x", retry_attempts=0)


def test_a_handshake_that_breaks_shows_that_the_service_is_down(make, server):
    url = server.url.replace("http:", "https:")
    server.script_before_head(hang_up)
    client = make(url, token=False)
    with pytest.raises(ServiceError):
        client.get("/x", retry_attempts=0)

    assert client.stats()[url].failures == 1


@pytest.mark.parametrize("status", [500, 501])
def test_one_callers_errors_open_no_circuit_for_the_others(make, server, status):
    client = make(server.url, token=False)
    server.script(answer(status))
    for _ in range(20):
        with pytest.raises(ServiceError):
            client.get("/search?q=%00", retry_attempts=0)
    server.script(answer(200))

    assert client.get("/x").status_code == 200


def test_a_probe_that_is_answered_with_500_closes_the_circuit(make, server, time):
    client = make(server.url, token=False)
    server.script(answer(503))
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retry_attempts=0)
    time.value += 10
    server.script(answer(500))
    with pytest.raises(ServiceError):
        client.get("/x")

    assert client.stats()[server.url].circuit == "closed"
