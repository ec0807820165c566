import io
from email.utils import formatdate

import pytest

from shared_core.clients import (
    ClientError,
    RateLimited,
    RetryPolicy,
    ServerError,
    ServiceConnectionError,
    ServiceConnectTimeout,
)
from shared_core.clients.retry import backoff, retry_after, rewinder
from tests.clients.fixtures import EPOCH
from tests.clients.server import answer, answer_json, broken_off, hang_up, raw


def test_waits_double_up_to_the_limit():
    waits = [backoff(RetryPolicy(), attempt, lambda: 0.0) for attempt in range(1, 8)]

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_jitter_takes_up_to_its_share_of_the_wait():
    assert backoff(RetryPolicy(), 1, lambda: 0.5) == 0.375
    assert backoff(RetryPolicy(jitter=1), 2, lambda: 0.999) == pytest.approx(0.001)
    assert backoff(RetryPolicy(jitter=0), 1, lambda: 0.999) == 0.5


def test_a_wait_can_be_worked_out_for_any_attempt():
    assert backoff(RetryPolicy(), 100_000, lambda: 0.0) == 8.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9" * 5000, 86_400.0),
        (formatdate(EPOCH + 3, usegmt=True), 3.0),
        (formatdate(EPOCH - 3, usegmt=True), 0.0),
        ("Fri, 99 Foo 2027 08:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after(value, EPOCH) == seconds


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"retries": -1}, ValueError, "retries"),
        ({"retries": 1.5}, TypeError, "retries"),
        ({"retries": True}, TypeError, "retries"),
        ({"backoff_factor": float("nan")}, ValueError, "backoff_factor"),
        ({"max_backoff": "8"}, TypeError, "max_backoff"),
        ({"jitter": 1.1}, ValueError, "jitter"),
        ({"retry_after_cap": -1}, ValueError, "retry_after_cap"),
        ({"statuses": "503"}, TypeError, "statuses"),
        ({"statuses": {"503"}}, TypeError, "statuses"),
    ],
)
def test_an_invalid_policy_argument_is_named(arguments, error, name):
    with pytest.raises(error, match=name):
        RetryPolicy(**arguments)


def test_a_policy_is_a_value():
    assert RetryPolicy(statuses=[503]) == RetryPolicy(statuses={503})
    assert len({RetryPolicy(), RetryPolicy()}) == 1


def test_a_get_is_sent_up_to_four_times_after_half_one_and_two_seconds(client, server, time):
    server.script(answer(503))
    with pytest.raises(ServerError) as raised:
        client.get("/users")

    assert raised.value.attempts == len(server.received) == 4
    assert time.sleeps == [0.5, 1.0, 2.0]
    assert raised.value.response.status_code == 503


def test_a_get_succeeds_once_the_service_is_back(client, server):
    server.script(answer(503), hang_up, broken_off, answer_json({"id": 42}))

    assert client.get_json("/users/42") == {"id": 42}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_an_idempotent_method_is_retried(client, server, method):
    server.script(hang_up, answer())

    assert client.request(method, "/x").status_code == 200
    assert len(server.received) == 2


@pytest.mark.parametrize("status", [400, 404, 422, 501])
def test_a_permanent_error_status_is_not_retried(client, server, status):
    server.script(answer(status))
    with pytest.raises((ClientError, ServerError)):
        client.get("/x")

    assert len(server.received) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", [hang_up, broken_off, answer(503), answer(429, Retry_After="0")])
def test_a_post_that_may_have_been_processed_is_not_retried(client, server, method, fault):
    server.script(fault, answer())
    with pytest.raises((ServiceConnectionError, ServerError, RateLimited)):
        client.request(method, "/x", json={})

    assert len(server.received) == 1


def test_a_post_is_retried_if_the_connection_was_refused(make, refusing, time):
    with pytest.raises(ServiceConnectionError) as raised:
        make(refusing).post("/x", json={})

    assert raised.value.attempts == 4
    assert "Connection refused" in str(raised.value)


def test_a_post_is_retried_if_the_name_does_not_resolve(make):
    with pytest.raises(ServiceConnectionError) as raised:
        make("http://no-such-host.invalid").post("/x", json={}, retries=1)

    assert raised.value.attempts == 2


def test_a_post_with_an_idempotency_key_is_retried_with_the_same_key(client, server):
    server.script(hang_up, answer(503), answer(201))
    client.post("/x", json={"a": 1}, idempotency_key=True)

    keys = {request.headers["Idempotency-Key"] for request in server.received}
    assert len(server.received) == 3
    assert len(keys) == 1
    assert len(keys.pop()) == 36
    assert {request.body for request in server.received} == {b'{"a": 1}'}


@pytest.mark.parametrize("how", [{"idempotency_key": "mine"}, {"headers": {"idempotency-key": "mine"}}])
def test_an_idempotency_key_of_the_caller_is_sent(client, server, how):
    server.script(hang_up, answer(201))
    client.post("/x", **how)

    assert [request.headers["Idempotency-Key"] for request in server.received] == ["mine", "mine"]


def test_a_file_is_rewound_to_its_starting_position_for_a_retry(client, server):
    file = io.BytesIO(b"skipped,sent")
    file.seek(8)
    server.script(answer(503), answer(503), answer())
    client.put("/x", data=file)

    assert [request.body for request in server.received] == [b"sent"] * 3


def test_a_multipart_body_is_sent_again_whole(client, server):
    server.script(hang_up, answer())
    client.put("/x", files={"file": ("a.txt", io.BytesIO(b"content"))})

    assert [b"content" in request.body for request in server.received] == [True, True]


def test_a_generator_body_is_never_retried(client, server):
    server.script(answer(503), answer())
    with pytest.raises(ServerError):
        client.put("/x", data=(part for part in [b"one", b"two"]))

    assert [request.body for request in server.received] == [b"onetwo"]


def test_bodies_that_cannot_be_rewound_have_no_rewinder():
    class Pipe(io.RawIOBase):
        pass

    class Tape(io.BytesIO):
        def seekable(self):
            return False

    assert rewinder(iter([b""])) is None
    assert rewinder(Pipe()) is None
    assert rewinder(Tape()) is None
    assert rewinder(None) is not None
    assert rewinder(bytearray(b"x")) is not None


@pytest.mark.parametrize("value", ["3", formatdate(EPOCH + 3, usegmt=True)])
def test_retry_after_replaces_the_backoff(client, server, time, value):
    server.script(answer(503, Retry_After=value), answer())
    client.get("/x")

    assert time.sleeps == [3.0]


def test_a_retry_after_above_the_cap_ends_the_call_at_once(client, server, time):
    server.script(answer(429, Retry_After="11"))
    with pytest.raises(RateLimited) as raised:
        client.get("/x", deadline=60)

    assert (raised.value.attempts, raised.value.retry_after, time.sleeps) == (1, 11.0, [])


def test_no_retry_waits_past_the_deadline(client, server, time):
    server.script(answer(503))
    with pytest.raises(ServerError) as raised:
        client.get("/x", deadline=1.2)

    assert (raised.value.attempts, time.sleeps) == (2, [0.5])


def test_the_last_failure_is_raised_if_the_wait_overran_the_deadline(make, server, time):
    client = make(server.url, token=False)
    time.sleep = lambda seconds: setattr(time, "value", time.value + 60)
    client._clock = time.clock()
    server.script(answer(503))
    with pytest.raises(ServerError) as raised:
        client.get("/x")

    assert raised.value.attempts == 1


def test_no_retries_mean_one_attempt(client, server, time):
    server.script(answer(503))
    with pytest.raises(ServerError):
        client.get("/x", retries=0)

    assert (len(server.received), time.sleeps) == (1, [])


def test_the_policy_of_a_client_holds_for_its_calls(make, server, time):
    client = make(server.url, token=False, retry=RetryPolicy(retries=1, backoff_factor=2, statuses={418}))
    server.script(answer(418), answer(503))
    with pytest.raises(ServerError):
        client.get("/x")

    assert (len(server.received), time.sleeps) == (2, [2.0])


def test_a_subclass_may_set_default_retries_and_backoff(make, server, time):
    from shared_core.clients import HTTPClient

    class Hasty(HTTPClient):
        default_retries = 1
        default_backoff_factor = 0.1

    server.script(answer(503))
    with pytest.raises(ServerError):
        make(server.url, kind=Hasty, token=False).get("/x")

    assert time.sleeps == [0.1]


def test_an_idle_connection_that_the_service_closed_is_not_written_to(client, server):
    client.get("/warm")
    server.drop_connections()
    client.post("/x", json={})

    assert [(request.path, request.connection) for request in server.received] == [("/warm", 1), ("/x", 2)]


def test_a_response_that_is_not_http_is_a_connection_error(client, server):
    server.script(raw(b"\x16\x03\x01 hello\r\n\r\n"))
    with pytest.raises(ServiceConnectionError) as raised:
        client.get("/x", retries=0)

    assert str(raised.value).isprintable()


def test_an_exhausted_pool_is_a_connect_timeout_and_nothing_is_sent(make, server):
    client = make(server.url, token=False, pool_maxsize=1)
    server.script(answer(200, b"x" * 100))
    held = client.get("/held", stream=True)
    with pytest.raises(ServiceConnectTimeout) as raised:
        client.post("/x", timeout=0.05, retries=0)
    held.close()

    assert server.paths == ["/held"]
    assert "pool" in str(raised.value)
    assert client.get("/x").status_code == 200
