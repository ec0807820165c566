"""FakeService: what a service's own tests put in place of another service."""

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from shared_core.clients import (
    CircuitOpen,
    ClientCredentials,
    DeadlineExceeded,
    HTTPClient,
    NotFound,
    ServerError,
    ServiceClient,
    ServiceConnectionError,
    ServiceTimeout,
)
from shared_core.context.bindings import extended
from shared_core.context.inbound import Inbound, serving_request
from shared_core.testing import FakeService


class UserClient(ServiceClient):
    service = "user"


@pytest.fixture(autouse=True)
def configured(settings):
    settings.USER_SERVICE_URL = "http://user-service.invalid:8000"
    settings.SERVICE_AUTH_TOKEN = "own"


@pytest.fixture
def users():
    with FakeService("user") as users:
        yield users


def find(user_id):
    """Make a client of its own, as a service's code does."""
    return UserClient().get_json(f"/api/v1/users/{user_id}", missing_ok=True)


def test_a_delay_uses_up_the_inbound_deadline(users):
    users.on("GET", "/slow").delay(1.0)
    client = UserClient()
    with serving_request(Inbound(deadline="2.5"), extended({})):
        assert [client.get("/slow").status_code for _ in range(2)] == [200, 200]
        with pytest.raises(DeadlineExceeded, match="the caller of this service"):
            client.get("/slow")


def test_a_fake_service_answers_clients_made_by_the_code(users):
    users.on("GET", "/api/v1/users/42").reply(json={"id": "42"})

    assert find("42") == {"id": "42"}
    assert users.calls[0].headers["authorization"] == "Bearer own"


@pytest.mark.parametrize(
    "client",
    [
        lambda: HTTPClient("http://user-service.invalid:8000"),
        lambda: HTTPClient("http://elsewhere.invalid", service="user"),
        HTTPClient,
    ],
    ids=["by its address", "by its name", "without a base"],
)
def test_a_client_matches_by_service_name_or_base_url(users, client):
    users.on("GET", "/x").reply(204)
    made = client()
    url = "/x" if made._base() else "http://user-service.invalid:8000/x"

    assert made.get(url).status_code == 204


def test_calls_to_another_service_are_not_faked(users):
    with pytest.raises(ServiceConnectionError):
        HTTPClient("http://127.0.0.1:9", service="ticket").get("/x", retries=0)

    assert users.calls == []


def test_a_client_made_before_the_block_is_answered_only_in_it():
    client = UserClient(timeout=0.5)
    with FakeService("user") as users:
        users.on("GET", "/x").reply(204)
        status = client.get("/x").status_code

    assert status == 204
    with pytest.raises(ServiceConnectionError):
        client.get("/x", retries=0)


def test_calls_record_method_path_query_headers_and_body(users):
    users.on("POST", "/api/v1/users").reply(201, json={"id": "1"}, headers={"Location": "/api/v1/users/1"})
    response = UserClient().post("/api/v1/users?dry=1&tag=", json={"name": "Ada"})

    call = users.calls[0]
    assert (call.method, call.path, call.query, call.json) == (
        "POST",
        "/api/v1/users",
        {"dry": "1", "tag": ""},
        {"name": "Ada"},
    )
    assert call.headers["Content-Type"] == "application/json"
    assert (response.status_code, response.headers["location"], response.json()) == (
        201,
        "/api/v1/users/1",
        {"id": "1"},
    )


@pytest.mark.parametrize(
    ("data", "body"),
    [(b"ab", b"ab"), ("ä", "ä".encode()), ({"a": "b"}, b"a=b"), ((part for part in [b"a", b"b"]), b"ab")],
)
def test_calls_record_a_body_of_any_kind(users, data, body):
    users.on("PUT", "/x")
    UserClient().put("/x", data=data)

    assert users.calls[0].body == body


def test_calls_record_an_uploaded_file(users, tmp_path):
    users.on("PUT", "/x")
    (tmp_path / "a").write_bytes(b"content")
    with (tmp_path / "a").open("rb") as file:
        UserClient().put("/x", data=file)

    assert users.calls[0].body == b"content"


def test_replies_are_used_in_turn_and_the_last_one_repeats(users):
    users.on("GET", "/x").reply(503, times=2).reply(json=1, times=1).reply(404)

    assert UserClient().get_json("/x") == 1
    for _ in range(2):
        with pytest.raises(NotFound):
            UserClient().get("/x")


def test_a_later_route_wins(users):
    users.on("GET", re.compile(r"/api/.*")).reply(json="any")
    users.on("GET", "/api/v1/users/42").reply(json="42")

    assert (find("42"), find("43")) == ("42", "any")


def test_a_route_may_match_a_query_string(users):
    users.on("GET", "/x").reply(json="first")
    users.on("GET", "/x?page=2").reply(json="second")

    assert [UserClient().get_json("/x", params=params) for params in (None, {"page": 2})] == ["first", "second"]


def test_a_route_lies_below_the_base_of_the_service(settings):
    settings.USER_SERVICE_URL = "http://gateway.invalid/users/"
    with FakeService("user") as users:
        users.on("GET", "/api/v1").reply(204)
        status = UserClient().get("/api/v1").status_code

    assert status == 204


@pytest.mark.parametrize(
    ("how", "error", "attempts"),
    [("refused", ServiceConnectionError, 4), ("broken", ServiceConnectionError, 1), ("timeout", ServiceTimeout, 1)],
)
def test_fail_raises_the_clients_errors_with_its_retries(users, how, error, attempts):
    users.on("POST", "/x").fail(how)

    with pytest.raises(error) as caught:
        UserClient().post("/x")

    assert caught.value.attempts == attempts


def test_waits_and_delays_advance_only_the_clock_of_the_call(users):
    users.on("GET", "/x").fail("timeout", times=2).reply(204)
    users.on("GET", "/slow").delay(4).reply(json=1)
    events = []
    began = time.monotonic()
    client = UserClient(on_event=events.append)
    client.get("/x")
    client.get_json("/slow")

    assert time.monotonic() - began < 2
    elapsed = [event.elapsed for event in events if event.kind == "success"]
    assert elapsed[0] > 10.7
    assert 4 <= elapsed[1] < 6


def test_a_delay_beyond_the_timeout_is_a_timeout(users):
    users.on("GET", "/slow").delay(6).reply(json=1)

    with pytest.raises(ServiceTimeout) as caught:
        UserClient().get("/slow")

    assert caught.value.elapsed >= 15


def talk(*asked, swallow=()):
    """Call a fake service that knows one GET of /x."""
    with FakeService("user") as users:
        users.on("GET", "/x").reply(204, times=1)
        for method, path in asked:
            with contextlib.suppress(*swallow):
                UserClient().request(method, path)


def test_an_unexpected_call_raises_and_lists_the_routes():
    with pytest.raises(AssertionError, match=r"user was sent POST /y: no route expects it \(routes: GET /x\)"):
        talk(("POST", "/y"))


def test_an_unexpected_call_fails_at_the_end_of_the_block_if_swallowed():
    with pytest.raises(AssertionError, match="GET /y"):
        talk(("GET", "/y"), swallow=[BaseException])


def test_a_route_without_replies_left_is_unexpected():
    with pytest.raises(AssertionError, match="given all of its answers"):
        talk(("GET", "/x"), ("GET", "/x"))


def test_a_fake_service_opens_no_circuit_of_the_real_service():
    client = UserClient()
    with FakeService("user") as users:
        users.on("GET", "/x").reply(503)
        for _ in range(5):
            with pytest.raises(ServerError):
                client.get("/x", retries=0)
        with pytest.raises(CircuitOpen):
            client.get("/x")
        state = client.stats()["http://user-service.invalid:8000"].circuit
    with FakeService("user") as users:
        users.on("GET", "/x").reply(204)
        status = client.get("/x").status_code

    assert (state, status, client.stats()) == ("open", 204, {})


def test_threads_share_a_fake_service(users):
    users.on("GET", re.compile(r"/\d+")).reply(json=1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: UserClient().get_json(f"/{number}"), range(200)))

    assert (answers, len(users.calls)) == ([1] * 200, 200)


def test_a_stream_can_be_read(users):
    users.on("GET", "/file").reply(body=b"x" * 100_000)
    response = UserClient().get("/file", stream=True)

    assert b"".join(response.iter_content(1000)) == b"x" * 100_000
    assert isinstance(response, requests.Response)


def test_a_head_has_no_body_and_a_redirect_is_followed(users):
    users.on("HEAD", "/x").reply(json=1)
    users.on("GET", "/old").reply(302, headers={"Location": "/x"})
    users.on("GET", "/x").reply(json=2)

    assert UserClient().head("/x").content == b""
    assert UserClient().get_json("/old") == 2


def test_a_token_service_can_be_faked(users, settings):
    settings.AUTH_SERVICE_URL = "http://auth.invalid"
    with FakeService("auth") as auth:
        auth.on("POST", "/token").reply(json={"access_token": "abc", "token_type": "Bearer"})
        users.on("GET", "/x").reply(204)
        UserClient(token=ClientCredentials("http://auth.invalid/token", "ticket", "s3cret")).get("/x")

    assert users.calls[0].headers["Authorization"] == "Bearer abc"


def test_a_second_fake_service_of_the_same_name_is_an_error(users):
    with pytest.raises(RuntimeError, match="stands in for 'user' already"), FakeService("user"):
        pass


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (lambda users: users.on("GET", "x"), ValueError, "path must begin with /"),
        (lambda users: users.on("GET", "/x").reply(100), ValueError, "status"),
        (lambda users: users.on("GET", "/x").reply(times=0), ValueError, "times"),
        (lambda users: users.on("GET", "/x").reply(json=1, body="1"), TypeError, "not both"),
        (lambda users: users.on("GET", "/x").reply(json=object()), TypeError, "serializable"),
        (lambda users: users.on("GET", "/x").fail("slowly"), ValueError, "how"),
        (lambda users: users.on("GET", "/x").delay(-1), ValueError, "seconds"),
    ],
)
def test_an_invalid_route_or_reply_is_refused_where_it_is_written(users, wrong, error, text):
    with pytest.raises(error, match=text):
        wrong(users)


def test_a_route_knows_its_own_calls(users):
    route = users.on("GET", "/x").reply(204)
    users.on("GET", "/y").reply(204)
    for path in ("/x", "/y", "/x"):
        UserClient().get(path)

    assert len(route.calls) == 2
