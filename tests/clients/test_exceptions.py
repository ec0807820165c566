import pickle
import traceback

import pytest
import requests

from shared_core.clients import (
    Attempt,
    CallInsideTransaction,
    CircuitOpen,
    ClientError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidResponse,
    NotFound,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceError,
    ServiceHTTPError,
    ServiceTimeout,
    TokenError,
    TooManyRedirects,
    Unauthorized,
    UnsafeURL,
)
from shared_core.clients.exceptions import error_for_status
from tests.clients.server import answer, hang_up


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (ServiceConnectionError, [requests.ConnectionError]),
        (ServiceTimeout, [requests.Timeout]),
        (ServiceConnectTimeout, [ServiceConnectionError, ServiceTimeout, requests.ConnectTimeout]),
        (DeadlineExceeded, [ServiceTimeout]),
        (ServiceHTTPError, [requests.HTTPError]),
        (ClientError, [ServiceHTTPError]),
        (ServerError, [ServiceHTTPError]),
        (ResponseTooLarge, []),
        (InvalidResponse, [ValueError]),
        (UnsafeURL, [ValueError, requests.exceptions.InvalidURL]),
        (TooManyRedirects, [requests.TooManyRedirects]),
        (TokenError, []),
    ],
)
def test_each_error_is_what_a_caller_of_requests_would_catch(error, parents):
    for parent in [ServiceError, requests.RequestException, *parents]:
        assert issubclass(error, parent)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ClientError),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (429, RateLimited),
        (499, ClientError),
        (500, ServerError),
        (599, ServerError),
        (999, ServerError),
    ],
)
def test_each_status_maps_to_its_exception_class(status, error):
    assert error_for_status(status) is error


def test_a_message_names_service_method_path_attempts_time_and_last_status(client, server, time):
    server.script(answer(503), answer(503), hang_up)
    with pytest.raises(ServiceConnectionError) as raised:
        client.get("/api/v1/users/42?token=x")

    assert str(raised.value) == (
        "user: GET /api/v1/users/42: Remote end closed connection without response "
        "(4 attempts, 3.50 s, last status 503)"
    )


def test_an_error_carries_what_happened_attempt_by_attempt(client, server):
    server.script(answer(503), hang_up, answer(404, "no such user"))
    with pytest.raises(NotFound) as raised:
        client.get("/users/42")

    error = raised.value
    assert (error.method, error.service, error.attempts, error.elapsed) == ("GET", "user", 3, 1.5)
    assert error.response.text == "no such user"
    assert error.history == (
        Attempt(1, 503, "ServerError", 0.0, 0.5),
        Attempt(2, None, "ServiceConnectionError", 0.0, 1.0),
        Attempt(3, 404, "NotFound", 0.0, 0.0),
    )


def test_an_error_survives_pickling_without_what_was_sent(make, server):
    server.script(answer(409, "already there", X_Kind="conflict"))
    with pytest.raises(Conflict) as raised:
        make(server.url, service="user", token="s3cret").post(
            "/users", json={"password": "hunter2"}, params={"k": "v3ry"}
        )

    data = pickle.dumps(raised.value)
    copied = pickle.loads(data)
    assert type(copied) is Conflict
    assert str(copied) == str(raised.value)
    assert (copied.url, copied.history) == (f"{server.url}/users?k=***", raised.value.history)
    assert (copied.response.text, copied.response.headers["X-Kind"]) == ("already there", "conflict")
    assert copied.request is None
    assert copied.response.request is None
    for secret in (b"s3cret", b"hunter2", b"v3ry"):
        assert secret not in data


@pytest.mark.parametrize(
    "kind",
    [
        ServiceConnectTimeout,
        CircuitOpen,
        DeadlineExceeded,
        ResponseTooLarge,
        InvalidResponse,
        UnsafeURL,
        TokenError,
        CallInsideTransaction,
    ],
)
def test_an_error_without_a_response_survives_pickling(kind):
    error = kind("it failed", url="http://user/x", method="GET", service="user", retry_after=1.5, request_id="id-12345")
    copied = pickle.loads(pickle.dumps(error))

    assert type(copied) is kind
    assert copied.args == error.args
    assert copied.__dict__ == error.__dict__


def answered(status):
    response = requests.Response()
    response.status_code = status
    return response


@pytest.mark.parametrize(
    ("error", "is_outage"),
    [
        (ServiceConnectionError("refused"), True),
        (ServiceConnectTimeout("no connection in time"), True),
        (ServiceTimeout("no whole answer in time"), True),
        (DeadlineExceeded("the deadline has passed"), True),
        (CircuitOpen("not tried"), True),
        *((error_for_status(status)(str(status), response=answered(status)), True) for status in (502, 503, 504)),
        *(
            (error_for_status(status)(str(status), response=answered(status)), False)
            for status in (400, 404, 429, 500, 501, 511)
        ),
        (TokenError("no token", is_outage=True), True),
        (TokenError("no token"), False),
        (InvalidResponse("not JSON", response=answered(200)), False),
        (UnsafeURL("climbs"), False),
    ],
    ids=repr,
)
def test_is_outage_tells_an_outage_from_an_error_response(error, is_outage):
    assert error.is_outage is is_outage
    assert pickle.loads(pickle.dumps(error)).is_outage is is_outage


def test_no_secret_is_in_a_traceback(make, refusing):
    client = make(refusing, token="s3cret")
    options = {"params": {"signature": "v3ry"}, "headers": {"X-Api-Key": "h1dden"}}
    with pytest.raises(ServiceConnectionError) as raised:
        client.get("/users", retries=0, **options)

    text = "".join(traceback.format_exception(raised.value))
    assert "Connection refused" in text
    assert not [secret for secret in ("s3cret", "v3ry", "h1dden") if secret in text]


@pytest.mark.parametrize("url", ["////[", "////[::1/x", "http:////[x", "//////["])
def test_a_url_that_cannot_be_read_is_unsafe_and_can_be_reported(client, url):
    with pytest.raises(UnsafeURL) as raised:
        client.get(url)

    assert str(raised.value).startswith("user: GET ***: ")


def test_the_url_of_unsafe_url_hides_a_possible_password():
    assert UnsafeURL("no", url="http:\\\\anna:s3cret@host").url == "***"
