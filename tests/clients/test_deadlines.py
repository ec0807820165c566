"""X-Request-Deadline: the seconds that the caller of this service will still wait, taken in, kept to, and sent on."""

import time as real_time

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from shared_core import context
from shared_core.clients import DeadlineExceeded, HTTPClient, ServiceTimeout
from shared_core.context.inbound import current_inbound
from shared_core.middleware import RequestContextMiddleware
from tests.clients.server import answer, redirect, silent

pytestmark = pytest.mark.django_db(databases="__all__")


def serve(view, **headers):
    """Return what the middleware and ``view`` answer to a request with ``headers``."""
    request = RequestFactory().get("/", headers=headers)
    return RequestContextMiddleware(lambda _: view())(request)


def sent(server):
    return [float(request.headers["X-Request-Deadline"]) for request in server.received]


@pytest.fixture
def calls(server):
    """A view that calls the server, with a client that waits in earnest; errors are kept on it."""
    with HTTPClient(server.url, service="user", token=False) as client:

        def view(**options):
            view.errors = []
            try:
                client.get("/x", **options)
            except ServiceTimeout as error:
                view.errors.append(error)
            return HttpResponse()

        yield view


def test_the_time_left_of_the_inbound_deadline_is_sent(server, calls):
    def view():
        real_time.sleep(0.1)
        return calls()

    serve(view, x_request_deadline="2.5")

    assert 1.0 < sent(server)[0] <= 2.4


def test_the_deadline_of_a_call_is_sent(server, calls):
    serve(lambda: calls(deadline=3))

    assert 2.5 < sent(server)[0] <= 3


def test_each_attempt_sends_the_seconds_left(client, server, time):
    server.script(answer(503), answer(200))
    client.get("/x", deadline=10)

    assert sent(server) == pytest.approx([10, 9.5], abs=0.01)


def test_a_longer_inbound_deadline_does_not_extend_the_calls_own(server, calls):
    serve(lambda: calls(deadline=3), x_request_deadline="600")

    assert sent(server)[0] <= 3


@pytest.mark.parametrize("deadline", [None, "", "-1", "1e3", "nan", "inf", "2,5", "2.5 s", "0x10", "٣", "1" * 30])
def test_an_inbound_deadline_that_is_no_decimal_number_is_ignored(server, calls, deadline):
    serve(calls, **({} if deadline is None else {"x_request_deadline": deadline}))

    assert sent(server)[0] > 14


def test_with_too_little_left_nothing_is_sent(server, calls):
    serve(calls, x_request_deadline="0")

    assert server.received == []
    assert isinstance(calls.errors[0], DeadlineExceeded)
    assert (calls.errors[0].attempts, calls.errors[0].service) == (0, "user")


def test_a_call_ends_with_the_inbound_deadline(server, calls):
    server.script(silent(5))
    began = real_time.monotonic()
    serve(calls, x_request_deadline="0.3")

    assert real_time.monotonic() - began < 2
    assert isinstance(calls.errors[0], DeadlineExceeded)
    assert "the caller of this service" in str(calls.errors[0])


def test_short_inbound_deadlines_do_not_open_the_circuit(server, calls):
    server.script(*[silent(5)] * 8, answer(200))
    for _ in range(8):
        serve(calls, x_request_deadline="0.05")
    serve(calls)

    assert calls.errors == []


def test_an_inbound_deadline_does_not_outlive_its_request(server, calls):
    serve(calls, x_request_deadline="0")
    calls()

    assert len(server.received) == 1


def test_a_thread_that_outlives_the_request_is_not_bound_by_its_deadline(server, calls):
    with context.ContextExecutor(max_workers=1) as executor:
        started = []

        def view():
            started.append(executor.submit(lambda: (real_time.sleep(0.2), calls())))
            return HttpResponse()

        serve(view, x_request_deadline="0.1")
        started[0].result()

    assert sent(server)[0] > 14


def test_a_streaming_response_keeps_its_deadline_until_it_ends(server, calls):
    def chunks():
        calls()
        yield b"x"

    response = serve(lambda: StreamingHttpResponse(chunks()), x_request_deadline="2")
    b"".join(response)
    response.close()

    assert sent(server)[0] <= 2


def test_an_exception_ends_the_inbound_deadline_and_user(server, calls):
    seen = []

    def view():
        seen.append(current_inbound())
        raise SystemExit

    with pytest.raises(SystemExit):
        serve(view, x_request_deadline="5", authorization="Bearer user")

    assert (seen[0].seconds_left(), seen[0].authorization) == (None, "")


def test_a_deadline_header_set_by_the_caller_is_not_overwritten(client, server):
    client.get("/x", headers={"X-Request-Deadline": "1.5"})

    assert server.received[0].headers.get_all("X-Request-Deadline") == ["1.5"]


def test_another_origin_gets_no_deadline_header(make, server, other):
    server.script(redirect(f"{other.url}/y"))
    make(server.url, token=False).get("/x")

    assert "X-Request-Deadline" not in other.received[0].headers
