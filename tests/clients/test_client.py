import datetime
import gzip
import io
import logging
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured

from shared_core import __version__, context
from shared_core.clients import (
    DeadlineExceeded,
    HTTPClient,
    InvalidResponse,
    NotFound,
    ResponseTooLarge,
    RetryPolicy,
    ServerError,
    ServiceClient,
    ServiceConnectionError,
    ServiceHTTPError,
    ServiceTimeout,
    TooManyRedirects,
    UnsafeURL,
)
from shared_core.context.propagation import trace_fields
from tests.clients.fixtures import CERTIFICATE
from tests.clients.server import (
    answer,
    answer_json,
    broken_off,
    hang_up,
    raw,
    redirect,
    silent,
    slow_chunks,
)


class UserClient(ServiceClient):
    service = "user"


# Verbs


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete", "patch", "head"])
def test_each_verb_sends_its_method_and_returns_a_response(client, server, verb):
    server.script(answer(201, "body"))
    response = getattr(client, verb)("/x", params={"a": "1"})

    assert isinstance(response, requests.Response)
    assert (response.status_code, response.text) == (201, "" if verb == "head" else "body")
    assert (server.received[0].method, server.received[0].path) == (verb.upper(), "/x?a=1")


def test_data_and_json_are_arguments_as_in_requests(client, server):
    client.post("/form", {"a": "1"})
    client.put("/json", None, {"a": 1})
    client.patch_json("/patch", {"a": 1})
    client.delete("/delete", json={"a": 1})

    assert [request.body for request in server.received] == [b"a=1"] + [b'{"a": 1}'] * 3
    assert [request.headers["Content-Type"] for request in server.received] == [
        "application/x-www-form-urlencoded",
        *["application/json"] * 3,
    ]


@pytest.mark.parametrize("verb", ["get_json", "post_json", "put_json", "patch_json"])
def test_json_helpers_ask_for_json_and_return_it(client, server, verb):
    server.script(answer_json({"name": "Ünal"}))

    assert getattr(client, verb)("/x") == {"name": "Ünal"}
    assert server.received[0].headers["Accept"] == "application/json"


@pytest.mark.parametrize("reply", [answer(204), answer(200)])
def test_the_json_of_an_empty_response_is_none(client, server, reply):
    server.script(reply)

    assert client.post_json("/x", {}) is None


def test_a_404_is_none_only_with_missing_ok(client, server):
    server.script(answer_json({"detail": "no such user"}, 404))
    with pytest.raises(NotFound):
        client.get_json("/users/42")

    assert client.get_json("/users/42", missing_ok=True) is None


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_response_with_missing_ok_is_an_invalid_response(client, server, status):
    server.script(answer(status))

    with pytest.raises(InvalidResponse, match="without a body, where JSON was asked for"):
        client.get_json("/users/42", missing_ok=True)


@pytest.mark.parametrize("status", [400, 401, 403, 410, 500, 503])
def test_missing_ok_still_raises_for_other_errors_than_404(client, server, status):
    server.script(answer(status))
    with pytest.raises(ServiceHTTPError):
        client.get_json("/users/42", missing_ok=True)


@pytest.mark.parametrize("body", ["<html>", '{"a": NaN}', "{", b"\xff\xfe\xff", "[" * 100_000])
def test_an_answer_that_is_not_json_is_an_error_of_its_own(client, server, body):
    server.script(answer(200, body, Content_Type="text/html"))
    with pytest.raises(InvalidResponse, match="200 with 'text/html' that is not JSON") as raised:
        client.get_json("/x")

    assert raised.value.attempts == len(server.received) == 1
    assert raised.value.response.status_code == 200


# What is sent


def test_a_call_sends_the_request_id_the_trace_and_a_user_agent(client, server):
    with context.bind(request_id="0f8fad5b", **trace_fields()):
        client.get("/x")
    headers = server.received[0].headers

    assert headers["X-Request-ID"] == "0f8fad5b"
    assert headers["traceparent"].startswith("00-")
    assert headers["User-Agent"] == f"shared-core/{__version__}"


def test_headers_of_a_call_override_the_clients_and_none_removes_one(make, server):
    client = make(server.url, token=False, headers={"X-One": "client", "X-Two": "client", "Accept": "text/plain"})
    client.get("/x", headers={"x-one": "call", "X-Two": None})
    headers = server.received[0].headers

    assert (headers["X-One"], headers["X-Two"], headers["Accept"]) == ("call", None, "text/plain")


def test_a_clients_own_accept_header_is_sent_for_json(make, server):
    server.script(answer_json({}))
    make(server.url, token=False, headers={"accept": "application/vnd.hdms+json"}).get_json("/x")

    assert server.received[0].headers.get_all("Accept") == ["application/vnd.hdms+json"]


@pytest.mark.parametrize(("verb", "length"), [("post", "0"), ("put", "0"), ("delete", "0"), ("get", None)])
def test_a_bodyless_post_put_or_delete_sends_content_length_0(client, server, verb, length):
    getattr(client, verb)("/x")

    assert server.received[0].headers["Content-Length"] == length


@pytest.mark.parametrize("body", [bytes, bytes.decode, io.BytesIO])
@pytest.mark.parametrize("length", ["4", b"4"])
def test_a_content_length_that_is_right_is_sent_once(client, server, body, length):
    client.put("/x", data=body(b"1234"), headers={"content-length": length})

    assert server.received[0].headers.get_all("Content-Length") == ["4"]
    assert server.received[0].headers["Transfer-Encoding"] is None


def test_a_generator_with_auth_is_sent_in_chunks(client, server):
    client.post("/x", data=iter([b"12", b"34"]), auth=("anna", "s3cret"))

    assert (server.received[0].body, server.received[0].headers["Content-Length"]) == (b"1234", None)


def test_a_header_may_hold_a_tab_and_bytes_of_utf_8(make, recorder):
    sent = {"X-A": "a\tb\xe9", "X-B": "Å à".encode()}
    make("http://user", token=False, transport=recorder).get("/x", headers=sent)

    assert {name: recorder.requests[0].headers[name] for name in sent} == sent


def test_cookies_of_one_call_are_not_sent_with_the_next(client, server):
    server.script(answer(200, Set_Cookie="session=abc"), answer())
    response = client.get("/x", cookies={"mine": "1"})
    client.get("/x")

    assert response.cookies["session"] == "abc"
    assert [request.headers["Cookie"] for request in server.received] == ["mine=1", None]


def test_netrc_and_proxies_of_the_environment_do_nothing(client, server, monkeypatch, tmp_path, refusing):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login anna password s3cret")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, refusing)
    client.get("/x")

    assert server.received[0].headers["Authorization"] is None


def test_a_proxy_given_by_hand_is_used(make, server):
    make("http://user-service", token=False, proxies={"http": server.url}).get("/x")

    assert server.paths == ["http://user-service/x"]


@pytest.fixture
def no_bundle(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_an_untrusted_certificate_ends_the_call_without_retries(make, secure, no_bundle, time):
    with pytest.raises(ServiceConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        make(secure.url, token=False).get("/x")

    assert (secure.received, time.sleeps) == ([], [])


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_may_name_the_ca_bundle(make, secure, no_bundle, monkeypatch, name):
    monkeypatch.setenv(name, str(CERTIFICATE))

    assert make(secure.url, token=False).get("/x").status_code == 200


def test_verify_may_name_the_ca_bundle(make, secure, no_bundle):
    assert make(secure.url, token=False, verify=str(CERTIFICATE)).get("/x").status_code == 200


@pytest.mark.parametrize("trusting", [False, str(CERTIFICATE)])
def test_a_verifying_call_does_not_reuse_an_unverified_connection(make, secure, no_bundle, trusting):
    client = make(secure.url, token=False, retry=RetryPolicy(retries=0))
    client.get("/x", verify=trusting)

    with pytest.raises(ServiceConnectionError, match="certificate verify failed"):
        client.get("/x")


def test_the_environment_does_not_turn_verification_on_again(make, recorder, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    make("https://user", token=False, transport=recorder, verify=False).get("/x")
    make("https://user", token=False, transport=recorder).get("/x", verify="/certs/own.pem")

    assert [options["verify"] for options in recorder.options] == [False, "/certs/own.pem"]


def test_a_missing_ca_bundle_ends_the_call_without_retries(make, server, time):
    client = make(server.url.replace("http:", "https:"), token=False, verify="/no/such/bundle.pem")
    with pytest.raises(ServiceConnectionError, match=r"/no/such/bundle\.pem"):
        client.get("/x")

    assert time.sleeps == []


def test_requests_auth_objects_are_applied(client, server):
    challenge = 'Digest realm="r", nonce="n", qop="auth"'
    server.script(answer(401, "no", WWW_Authenticate=challenge), answer(200, "yes"))
    response = client.get("/x", auth=requests.auth.HTTPDigestAuth("anna", "pw"))

    assert response.text == "yes"
    assert server.received[1].headers["Authorization"].startswith("Digest ")


@pytest.mark.parametrize(("reply", "error"), [(hang_up, ServiceConnectionError), (silent(2), ServiceTimeout)])
def test_a_request_of_an_auth_object_that_fails_is_a_service_error(make, server, reply, error):
    server.script(answer(401, "no", WWW_Authenticate='Digest realm="r", nonce="n"'), reply)
    client = make(server.url, token=False, timeout=0.3)
    with pytest.raises(error) as caught:
        client.get("/x", auth=requests.auth.HTTPDigestAuth("anna", "pw"))

    assert caught.value.attempts == 1  # it answers one challenge only


@pytest.mark.parametrize("error", [requests.HTTPError("no"), FileNotFoundError("no"), KeyError("no")])
def test_what_a_hook_raises_is_raised(client, error):
    def hook(response, **_):
        raise error

    with pytest.raises(type(error)) as caught:
        client.get("/x", hooks={"response": hook})

    assert caught.value is error


def test_an_auth_object_that_changes_the_origin_is_refused(client, server, other):
    def astray(request):
        request.url = f"{other.url}/x"
        return request

    with pytest.raises(UnsafeURL, match="another origin"):
        client.get("/x", auth=astray)

    assert server.received == other.received == []


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"timeout": "5"}, TypeError, "timeout"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"timeout": True}, TypeError, "timeout"),
        ({"timeout": float("nan")}, ValueError, "timeout"),
        ({"timeout": float("inf")}, ValueError, "timeout"),
        ({"timeout": (1, 2, 3)}, ValueError, "timeout"),
        ({"timeout": (1, None)}, TypeError, "timeout"),
        ({"retries": -1}, ValueError, "retries"),
        ({"retries": "3"}, TypeError, "retries"),
        ({"deadline": 0}, ValueError, "deadline"),
        ({"deadline": datetime.timedelta(seconds=1)}, TypeError, "deadline"),
        ({"idempotency_key": 42}, TypeError, "idempotency_key"),
        ({"idempotency_key": ""}, ValueError, "idempotency_key"),
        ({"idempotency_key": "a\r\nb"}, ValueError, "idempotency_key"),
        ({"headers": {"X-A": "s3cret\r\nX-B: 1"}}, ValueError, "headers: the value of X-A"),
        ({"headers": {"X-A": "s3cret\u20ac"}}, ValueError, "headers: the value of X-A"),
        *(
            ({"headers": {"X-A": f"s3{control}cret"}}, ValueError, "control character")
            for control in "\0\x01\x08\n\v\f\r\x1b\x7f\x80\x85\x9f"
        ),
        *(({"headers": {"X-A": b"s3%ccret" % byte}}, ValueError, "control character") for byte in b"\0\n\v\x1b\x7f"),
        ({"headers": {"X-A": " s3cret"}}, ValueError, "white space at an edge"),
        ({"headers": {"X-A": b"s3cret\t"}}, ValueError, "white space at an edge"),
        ({"headers": {"transfer-ENCODING": "chunked"}}, ValueError, "Transfer-Encoding cannot be set"),
        ({"headers": {"Transfer-Encoding": b"identity"}}, ValueError, "Transfer-Encoding cannot be set"),
        ({"headers": {"content-LENGTH": "5"}}, ValueError, "Content-Length is not"),
        ({"headers": {"Content-Length": "5"}, "data": b"1234"}, ValueError, "Content-Length is not"),
        ({"headers": {"Content-Length": b"+4"}, "data": b"1234"}, ValueError, "Content-Length is not"),
        ({"headers": {"Content-Length": "4"}, "data": iter([b"1234"])}, ValueError, "Content-Length is not"),
        ({"headers": {"Content-Length": "3"}, "data": io.BytesIO(b"1234")}, ValueError, "Content-Length is not"),
        ({"headers": {"X-A": 42}}, TypeError, "headers: the value of X-A"),
        ({"headers": {"X A": "1"}}, ValueError, "headers: 'X A'"),
        ({"headers": [("X-A", "1")]}, TypeError, "headers"),
        ({"json": {"id": {1, 2}}}, TypeError, "json"),
        ({"json": float("nan")}, ValueError, "json"),
        ({"json": {}, "data": b""}, TypeError, "json"),
        ({"no_such_option": 1}, TypeError, "no_such_option"),
        ({"proxies": "http://proxy"}, TypeError, "proxies"),
        ({"proxies": {"http": 3128}}, TypeError, "proxies"),
        ({"proxies": {"https": "socks5h://proxy"}}, ValueError, "proxies: SOCKS"),
        ({"verify": 5}, TypeError, "verify"),
        ({"cert": ("a", 5)}, TypeError, "cert"),
        ({"cert": ("a", "b", "c")}, TypeError, "cert"),
        ({"cookies": {"a": "s3cret\r\n"}}, ValueError, "Cookie"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(client, server, arguments, error, name):
    with pytest.raises(error, match=name) as raised:
        client.get("/x", **arguments)

    assert "s3cret" not in str(raised.value)
    assert server.received == []


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\nX:", "", None])
def test_an_invalid_method_is_refused_and_nothing_is_sent(client, server, method):
    with pytest.raises((TypeError, ValueError), match="method"):
        client.request(method, "/x")

    assert server.received == []


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"timeout": "5"}, TypeError, "timeout"),
        ({"deadline": -1}, ValueError, "deadline"),
        ({"pool_maxsize": 0}, ValueError, "pool_maxsize"),
        ({"pool_maxsize": "32"}, TypeError, "pool_maxsize"),
        ({"max_response_bytes": 0}, ValueError, "max_response_bytes"),
        ({"retry": 3}, TypeError, "retry"),
        ({"token": 42}, TypeError, "token"),
        ({"service": 42}, TypeError, "service"),
        ({"transport": object()}, TypeError, "transport"),
        ({"verify": None}, TypeError, "verify"),
        ({"proxies": {"http": "SOCKS4://proxy"}}, ValueError, "proxies"),
        ({"headers": {"A": "\n"}}, ValueError, "headers"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, ValueError, "Transfer-Encoding"),
        ({"headers": {"Content-Length": "0"}}, ValueError, "Content-Length"),
        ({"base_url": "user-service:8000"}, ValueError, "http://"),
        ({"base_url": "http://anna:s3cret@user"}, ValueError, "userinfo"),
    ],
)
def test_an_invalid_client_argument_raises_when_it_is_built(arguments, error, name):
    with pytest.raises(error, match=name) as raised:
        HTTPClient(**arguments)

    assert "s3cret" not in str(raised.value)


def test_a_url_outside_of_the_base_is_refused_with_call_details(client, server, caplog):
    with caplog.at_level(logging.INFO, "shared_core.http"), pytest.raises(UnsafeURL) as raised:
        client.get("/users/../admin?token=hidden")

    error = raised.value
    assert str(error) == "user: GET /users/../admin: the path climbs with .. (0 attempts, 0.00 s)"
    assert (error.method, error.service, error.attempts) == ("GET", "user", 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert server.received == []


# Time


def test_a_silent_server_times_out_on_read(make, server):
    server.script(silent(5))
    with HTTPClient(server.url, token=False) as client, pytest.raises(ServiceTimeout) as raised:
        client.get("/x", timeout=(1, 0.1), retries=0)

    assert not isinstance(raised.value, DeadlineExceeded)
    assert 0.1 <= raised.value.elapsed < 3


def test_a_slow_body_ends_with_the_timeout(server):
    server.script(slow_chunks(100, 0.05))
    with HTTPClient(server.url, token=False) as client, pytest.raises(ServiceTimeout) as raised:
        client.get("/x", timeout=0.2, retries=0)

    assert raised.value.elapsed < 3


def test_the_deadline_shortens_an_attempt(server):
    server.script(silent(5))
    with HTTPClient(server.url, token=False) as client, pytest.raises(DeadlineExceeded) as raised:
        client.get("/x", deadline=0.2)

    assert raised.value.attempts == 1
    assert raised.value.elapsed < 3
    assert "the deadline of 0.2 s has passed" in str(raised.value)


def test_a_get_is_retried_after_a_timeout(client, server):
    server.script(silent(5), answer())

    assert client.get("/x", timeout=0.1).status_code == 200


def test_the_default_limits_are_those_of_the_contract():
    assert HTTPClient.default_timeout == 5
    assert HTTPClient.default_retries == 3
    assert HTTPClient.default_backoff_factor == 0.5
    assert HTTPClient.default_deadline == 15


# Size


def test_a_body_above_the_limit_is_not_read_on(make, server):
    client = make(server.url, token=False, max_response_bytes=1000)
    server.script(answer(200, b"x" * 1000), answer(200, b"x" * 1001))

    assert len(client.get("/x").content) == 1000
    with pytest.raises(ResponseTooLarge, match="larger than 1000 bytes") as raised:
        client.get("/x")
    assert (raised.value.attempts, raised.value.limit, raised.value.response.status_code) == (1, 1000, 200)


def test_a_gzip_bomb_costs_little_memory(make, server):
    bomb = gzip.compress(bytes(200_000_000), 9)
    server.script(answer(200, bomb, Content_Encoding="gzip"))
    client = make(server.url, token=False, max_response_bytes=1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLarge):
            client.get("/x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


def test_gzip_is_unpacked(client, server):
    server.script(answer(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip"))

    assert client.get_json("/x") == {"a": 1}


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "gzip"])
def test_a_body_that_cannot_be_unpacked_is_an_invalid_response(client, server, coding):
    server.script(answer(200, b"not packed", Content_Encoding=coding))
    with pytest.raises(InvalidResponse):
        client.get("/x")

    assert len(server.received) == 1


def test_a_404_with_an_unreadable_body_stays_not_found(make, server):
    client = make(server.url, token=False, max_response_bytes=10)
    server.script(
        answer(404, b"x" * 50_000),
        answer(404, b"not packed", Content_Encoding="gzip"),
        raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n123"),
    )
    for _ in range(3):
        with pytest.raises(NotFound):
            client.get("/x")

    assert len(server.received) == 3


def test_a_stream_is_left_to_the_caller_and_has_no_limit(make, server):
    client = make(server.url, token=False, max_response_bytes=10)
    server.script(answer(503), answer(200, b"x" * 100_000))
    with client.get("/file", stream=True) as response:
        size = sum(len(piece) for piece in response.iter_content(1000))

    assert size == 100_000


def test_a_stream_that_is_an_error_is_raised(client, server):
    server.script(answer(404, "no such file"))
    with pytest.raises(NotFound) as raised:
        client.get("/file", stream=True)

    assert raised.value.response.text == "no such file"


def test_an_upload_is_streamed_from_a_generator(client, server):
    client.post("/file", data=(b"%d," % number for number in range(3)))

    assert server.received[0].body == b"0,1,2,"


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_is_redirected_within_its_origin_with_token_and_headers(make, server, status):
    server.script(redirect("/new?page=2", status), answer(200, "here"))
    response = make(server.url, token="t").get("/old", headers={"X-Own": "1"})

    assert response.text == "here"
    assert [(r.path, r.headers["Authorization"], r.headers["X-Own"]) for r in server.received] == [
        ("/old", "Bearer t", "1"),
        ("/new?page=2", "Bearer t", "1"),
    ]
    assert [hop.status_code for hop in response.history] == [status]


def test_a_redirect_to_another_origin_sends_no_token_cookie_or_body(make, server, other):
    server.script(redirect(f"{other.url}/there"))
    client = make(server.url, token="t", headers={"X-Api-Key": "mine"})
    with context.bind(request_id="0f8fad5b", **trace_fields()):
        client.get("/x", cookies={"session": "abc"}, headers={"X-Own": "1"}, data=b"body")

    (request,) = other.received
    assert request.path == "/there"
    assert request.body == b""
    assert {name.lower() for name in request.headers} == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "x-request-id",
        "traceparent",
    }


def test_a_redirect_to_another_origin_has_no_client_certificate_or_hook(make, recorder):
    seen = []
    recorder.locations = ["/near", "https://far.example.org/"]
    client = make("https://user-service", token=False, transport=recorder)
    client.get("/x", cert="/certs/own.pem", hooks={"response": lambda response, **_: seen.append(response.status_code)})

    assert [options["cert"] for options in recorder.options] == ["/certs/own.pem", "/certs/own.pem", None]
    assert seen == [302, 302]


def test_a_redirect_back_to_the_origin_does_not_get_the_token_again(make, server, other):
    server.script(redirect(f"{other.url}/there"), answer())
    other.script(redirect(f"{server.url}/back"))
    make(server.url, token="t").get("/x")

    assert [request.headers["Authorization"] for request in server.received] == ["Bearer t", None]


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_is_redirected_with_its_body_within_the_origin(client, server, status):
    server.script(redirect("/new", status), answer(201))

    assert client.post("/old", json={"a": 1}).status_code == 201
    assert [(request.method, request.body) for request in server.received] == [("POST", b'{"a": 1}')] * 2


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_301_302_or_303_to_a_write_is_returned(client, server, status):
    server.script(redirect("/new", status))

    assert client.post("/old", json={"a": 1}).status_code == status
    assert len(server.received) == 1


def test_a_write_is_not_redirected_to_another_origin(client, server, other):
    server.script(redirect(f"{other.url}/x", 307))

    assert client.post("/old", json={"a": 1}).status_code == 307
    assert other.received == []


def test_a_body_that_cannot_be_sent_again_is_not_redirected(client, server):
    server.script(redirect("/new", 307))

    assert client.put("/old", data=iter([b"once"])).status_code == 307


def test_redirects_can_be_turned_off(client, server):
    server.script(redirect("/new"))

    assert client.get("/x", allow_redirects=False).headers["Location"] == "/new"


def test_a_redirect_loop_is_an_error(client, server):
    server.script(redirect("/again"))
    with pytest.raises(TooManyRedirects):
        client.get("/x")

    assert len(server.received) == 11


@pytest.mark.parametrize(
    "location", ["/a\tb", "ftp://host/x", "file:///etc/passwd", "http://a:b@host/", "\\\\host\\x", "http://ho st/"]
)
def test_a_redirect_to_an_unsafe_url_is_refused(client, server, location):
    server.script(redirect(location))
    with pytest.raises(UnsafeURL, match="redirected"):
        client.get("/x")

    assert len(server.received) == 1


# Threads and connections


def test_connections_are_kept_alive(client, server):
    for _ in range(5):
        client.get("/x")

    assert server.connections == 1


def test_a_closed_client_has_no_connection_and_reconnects(client, server):
    client.get("/x")
    client.close()

    assert server.is_alone()
    client.get("/x")
    assert server.connections == 2


def test_threads_share_a_client_and_open_no_more_connections_than_its_pool_holds(make, server):
    client = make(server.url, token=False, pool_maxsize=3)
    with ThreadPoolExecutor(20) as threads:
        paths = [f"/x/{number}" for number in range(100)]
        statuses = [response.status_code for response in threads.map(client.get, paths)]

    assert statuses == [200] * 100
    assert sorted(server.paths) == sorted(paths)
    assert server.connections <= 3


@pytest.mark.parametrize("fault", [hang_up, broken_off, answer(503), answer(200, b"x" * 10_000), slow_chunks(20, 0.05)])
def test_a_failed_call_returns_its_connection_to_the_pool(server, fault):
    server.script(fault, answer())
    with HTTPClient(server.url, token=False, pool_maxsize=1, max_response_bytes=1000) as client:
        with pytest.raises((ServiceConnectionError, ServerError, ResponseTooLarge, ServiceTimeout)):
            client.get("/x", retries=0, timeout=0.2)

        assert client.get("/x", timeout=1).status_code == 200


# Log


def test_a_call_writes_one_log_record(client, server, caplog):
    with caplog.at_level(logging.INFO, "shared_core.http"):
        client.get("/users/42?token=hidden")

    (record,) = caplog.records
    assert (record.levelname, record.name) == ("INFO", "shared_core.http")
    assert (record.method, record.peer_service, record.path) == ("GET", "user", "/users/42")
    assert (record.status, record.attempts, record.ms) == (200, 1, 0)


@pytest.mark.parametrize(
    ("replies", "facts"),
    [
        ([answer(503), answer()], (200, 2, None)),
        ([answer(404)], (404, 1, "NotFound")),
        ([hang_up], (None, 4, "ServiceConnectionError")),
    ],
)
def test_a_failed_or_retried_call_is_logged_as_a_warning(client, server, caplog, replies, facts):
    server.script(*replies)
    with caplog.at_level(logging.INFO, "shared_core.http"):
        try:
            client.get("/x")
        except requests.RequestException:
            assert facts[2] is not None

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert (record.status, record.attempts, getattr(record, "error", None)) == facts


def test_attempts_are_written_at_debug(client, server, caplog):
    server.script(answer(503), answer())
    with caplog.at_level(logging.DEBUG, "shared_core.http"):
        client.get("/x")

    assert [(record.levelname, record.status) for record in caplog.records] == [
        ("DEBUG", 503),
        ("DEBUG", 200),
        ("WARNING", 200),
    ]


def test_a_404_with_missing_ok_is_not_logged_as_a_warning(client, server, caplog):
    server.script(answer(404))
    with caplog.at_level(logging.INFO, "shared_core.http"):
        client.get_json("/x", missing_ok=True)

    assert [record.levelname for record in caplog.records] == ["INFO"]


# ServiceClient


def test_a_service_client_finds_its_service_in_the_settings(make, server, settings):
    users = make(kind=UserClient)
    settings.USER_SERVICE_URL = f"{server.url}/api"
    users.get("/users/42", token=False)

    assert server.paths == ["/api/users/42"]


def test_a_service_name_with_a_hyphen_has_a_setting_with_an_underscore(make, server, settings):
    class UserApiClient(ServiceClient):
        service = "user-api"

    settings.USER_API_SERVICE_URL = server.url
    make(kind=UserApiClient).get("/x", token=False)

    assert server.paths == ["/x"]


@pytest.mark.parametrize("value", [None, "", "user-service:8000", 42])
def test_a_service_without_a_url_is_a_mistake_of_configuration_that_says_what_works(make, settings, value):
    settings.USER_SERVICE_URL = value
    with pytest.raises(ImproperlyConfigured, match=r'USER_SERVICE_URL = "http://user-service:8000"'):
        make(kind=UserClient).get("/x")


def test_a_service_client_without_a_name_says_so(make):
    with pytest.raises(ImproperlyConfigured, match="service ="):
        make(kind=ServiceClient).get("/x")


def test_a_service_client_can_be_pointed_elsewhere(make, server, settings):
    settings.USER_SERVICE_URL = "http://user-service:8000"
    make(server.url, kind=UserClient).get("/x", token=False)

    assert server.paths == ["/x"]


def test_a_client_without_a_base_calls_any_url(make, server, other):
    client = make(token=False)
    client.get(f"{server.url}/a")
    client.get(f"{other.url}/b")

    assert (server.paths, other.paths) == (["/a"], ["/b"])


def test_a_client_works_without_django_settings(server):
    import subprocess
    import sys

    code = f"from shared_core.clients import HTTPClient; print(HTTPClient().get('{server.url}/x').status_code)"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("200\n", "")
