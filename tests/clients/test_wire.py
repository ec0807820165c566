"""Time, on the wire: whatever drips, hangs or is not read, an attempt ends when its timeout says so."""

import contextlib
import http.client
import inspect
import io
import socket
import time as real_time

import pytest
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from shared_core.clients import (
    ClientError,
    DeadlineExceeded,
    HTTPClient,
    InvalidResponse,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceTimeout,
)
from tests.clients.fixtures import CERTIFICATE
from tests.clients.server import answer, broken_off, dripping, late, never_reading, raw, redirect, silent, slow_chunks

pytestmark = pytest.mark.slow

# What a bound of 0.4 s may take on a busy machine; without the bound each of these would take 3 s and more.
GENEROUS = 2.0


@contextlib.contextmanager
def ends_soon():
    began = real_time.monotonic()
    yield
    assert real_time.monotonic() - began < GENEROUS


def give_up(kind, url, **options):
    """Return the error, of ``kind``, of a call of one attempt that ends soon, whatever the server does."""
    with HTTPClient(url, **options) as client, ends_soon(), pytest.raises(kind) as caught:
        client.get("/x", retries=0)
    return caught.value


@pytest.fixture
def quick(server):
    """A client that gives an attempt 0.4 s, and makes one."""
    with HTTPClient(server.url, token=False, timeout=0.4) as client:
        yield lambda *args, **kwargs: client.request(*args, retries=0, **kwargs)


@pytest.fixture
def quick_tls(secure):
    with HTTPClient(secure.url, token=False, timeout=0.4, verify=str(CERTIFICATE)) as client:
        yield lambda *args, **kwargs: client.request(*args, retries=0, **kwargs)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        dripping(b"", HEAD + b"x" * 40, pause=0.1),
        dripping(HEAD, b"x" * 40, pause=0.1),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4 + HEAD, pause=0.05),
        slow_chunks(40, 0.1),
        silent(4),
    ],
    ids=["header", "body", "interim answers", "chunks", "silence"],
)
def test_a_server_that_drips_ends_in_a_timeout(quick, server, reply):
    server.script(reply)

    with ends_soon(), pytest.raises(ServiceTimeout):
        quick("GET", "/x")


@pytest.mark.parametrize(
    "reply", [dripping(b"", HEAD + b"x" * 40, pause=0.1), dripping(HEAD, b"x" * 40, pause=0.1), silent(4)]
)
def test_a_server_that_drips_over_tls_ends_in_a_timeout(quick_tls, secure, reply):
    secure.script(reply)

    with ends_soon(), pytest.raises(ServiceTimeout):
        quick_tls("GET", "/x")


@pytest.mark.parametrize("body", [b"x" * 50_000_000, io.BytesIO(b"x" * 50_000_000)], ids=["bytes", "file"])
def test_an_upload_that_is_not_read_ends_in_a_timeout(quick, server, body):
    server.script_before_body(never_reading(4))

    with ends_soon(), pytest.raises(ServiceTimeout):
        quick("PUT", "/x", data=body)


def test_an_upload_that_is_not_read_over_tls_ends_in_a_timeout(quick_tls, secure):
    secure.script_before_body(never_reading(4))

    with ends_soon(), pytest.raises(ServiceTimeout):
        quick_tls("PUT", "/x", data=b"x" * 50_000_000)


def test_an_upload_that_is_read_slowly_ends_in_a_timeout(quick_tls, secure):
    # Each record gets through in time; all of them do not.
    secure.script_before_body(never_reading(4, sip=1 << 18, pause=0.05))

    with ends_soon(), pytest.raises(ServiceTimeout):
        quick_tls("PUT", "/x", data=b"x" * 50_000_000)


def test_a_tls_handshake_that_drips_ends_in_a_timeout(server):
    # A TLS record that promises 16 kB of handshake, byte by byte.
    server.script_before_head(dripping(b"", b"\x16\x03\x03\x40\x00" + b"\x02" * 40, pause=0.1))
    error = give_up(ServiceConnectTimeout, server.url.replace("http:", "https:"), token=False, timeout=0.4)

    assert error.attempts == 1


def test_dead_addresses_share_one_timeout(deaf, monkeypatch):
    hosts, port = deaf
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts],
    )
    error = give_up(ServiceConnectTimeout, f"http://four.addresses.test:{port}", token=False, timeout=0.8)

    assert error.attempts == 1


def test_a_dead_address_leaves_time_for_the_next_one(deaf, server, monkeypatch):
    hosts, port = deaf
    addresses = [(hosts[0], port), (hosts[1], port), ("127.0.0.1", server.port)]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses],
    )
    with HTTPClient("http://three.addresses.test", token=False, timeout=1.2) as client:
        response = client.get("/x", retries=0)

    assert response.status_code == 200


def test_a_tls_handshake_gets_the_time_that_connecting_left(secure, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", secure.port))] * 5
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    secure.handshake_after = 0.6
    with HTTPClient(secure.url, token=False, timeout=1.5, verify=str(CERTIFICATE)) as client:
        response = client.get("/x", retries=0)

    assert response.status_code == 200


def test_a_name_without_addresses_is_a_connection_error(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    error = give_up(ServiceConnectionError, "http://no.addresses.test", token=False)

    assert "no address" in str(error)


def test_a_slow_dns_lookup_does_not_use_up_the_read_timeout(server, monkeypatch):
    look_up = socket.getaddrinfo

    def slowly(*args, **kwargs):
        real_time.sleep(1)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with HTTPClient(server.url, token=False, timeout=0.9) as client:
        response = client.get("/x", retries=0)

    assert response.status_code == 200


def test_a_timeout_pair_is_for_connecting_and_for_the_rest_of_the_attempt(server, deaf):
    server.script(dripping(HEAD, b"x" * 40, pause=0.1))
    slow = give_up(ServiceTimeout, server.url, token=False, timeout=(9, 0.4))
    hosts, port = deaf
    dead = give_up(ServiceTimeout, f"http://{hosts[0]}:{port}", token=False, timeout=(0.4, 9))

    assert (type(slow), type(dead)) == (ServiceTimeout, ServiceConnectTimeout)


@pytest.mark.parametrize("where", ["dripping", "deaf"])
def test_one_timeout_covers_an_attempt_and_its_redirects(server, deaf, where):
    hosts, port = deaf
    target = f"http://{hosts[0]}:{port}/" if where == "deaf" else "/elsewhere"
    server.script(late(2.0, redirect(target)), dripping(HEAD, b"x" * 40, pause=0.1))
    began = real_time.monotonic()
    with HTTPClient(server.url, token=False, timeout=2.5) as client, pytest.raises(ServiceTimeout):
        client.get("/x", retries=0)

    assert real_time.monotonic() - began < 4.3  # two timeouts end after 4.5


def test_a_connection_that_is_closed_after_the_answer_is_read_to_its_end(secure):
    secure.script(answer(200, b"x" * 300_000, Connection="close"))
    with HTTPClient(secure.url, token=False, verify=str(CERTIFICATE)) as client:
        bodies = [client.get("/x").content, b"".join(client.get("/x", stream=True).iter_content(1000))]

    assert bodies == [b"x" * 300_000] * 2


def test_a_custom_transport_is_bounded_at_each_read(server):
    server.script(slow_chunks(40, 0.1))
    error = give_up(ServiceTimeout, server.url, token=False, timeout=0.4, transport=HTTPAdapter())

    assert error.attempts == 1


def test_the_deadline_ends_an_attempt_that_drips(server):
    server.script(dripping(HEAD, b"x" * 40, pause=0.1))
    error = give_up(DeadlineExceeded, server.url, token=False, deadline=0.4)

    assert "the deadline of 0.4 s has passed" in str(error)


def test_a_stream_may_last_longer_than_the_timeout_while_each_read_is_in_time(server):
    server.script(slow_chunks(8, 0.2))
    with HTTPClient(server.url, token=False, timeout=1.2) as client:
        body = b"".join(client.get("/x", stream=True).iter_content(1))

    assert body == b"x" * 8


def test_a_stream_that_falls_silent_is_a_timeout_with_the_facts(server, caplog):
    server.script(dripping(HEAD + b"12345", b"", pause=4))
    with HTTPClient(server.url, service="file", token=False, timeout=0.4) as client:
        response = client.get("/x", stream=True)
        with ends_soon(), pytest.raises(ServiceTimeout) as caught:
            b"".join(response.iter_content(5))

    assert (caught.value.service, caught.value.method, caught.value.attempts) == ("file", "GET", 1)
    assert caplog.records[-1].getMessage() == "Call to file failed"


def test_a_steady_stream_ends_with_the_deadline(server):
    server.script(slow_chunks(60, 0.05))
    with HTTPClient(server.url, token=False, deadline=0.6) as client:
        response = client.get("/x", stream=True)
        with ends_soon(), pytest.raises(DeadlineExceeded):
            b"".join(response.iter_content(1))


def test_the_readers_own_time_does_not_count_against_a_stream(server):
    server.script(answer(200, b"x" * 200_000))
    with HTTPClient(server.url, token=False, timeout=0.9) as client:
        parts = client.get("/x", stream=True).iter_content(100_000)
        first = next(parts)
        real_time.sleep(1)
        rest = b"".join(parts)

    assert len(first + rest) == 200_000


def test_a_broken_stream_is_a_connection_error_and_releases_its_connection(server):
    server.script(broken_off, answer(200, "well"))
    with HTTPClient(server.url, token=False, pool_maxsize=1, timeout=1) as client:
        with pytest.raises(ServiceConnectionError):
            b"".join(client.get("/x", stream=True).iter_content(5))
        text = client.get("/x").text

    assert text == "well"


def test_a_stream_that_cannot_be_decoded_is_an_error_and_releases_its_connection(server):
    server.script(answer(200, b"no gzip" * 10, Content_Encoding="gzip"), answer(200, "well"))
    with HTTPClient(server.url, token=False, pool_maxsize=1, timeout=1) as client:
        response = client.get("/x", stream=True)
        with pytest.raises(InvalidResponse):
            b"".join(response.iter_content(5))
        text = client.get("/x").text

    assert text == "well"


def test_a_failed_connect_releases_its_place_in_the_pool(refusing):
    with (
        HTTPClient(refusing, token=False, pool_maxsize=1, timeout=1) as client,
        pytest.raises(ServiceConnectionError) as caught,
    ):
        client.get("/x", retries=2)

    assert "refused" in str(caught.value)


class TimeLimitExceeded(Exception):  # noqa: N818  # as Celery calls it
    """As Celery's SoftTimeLimitExceeded, which a signal raises wherever the task happens to be."""


def test_a_time_limit_that_is_raised_while_connecting_ends_the_call(server, monkeypatch):
    looked_up = []

    def look_up(*_, **__):
        looked_up.append(1)
        raise TimeLimitExceeded

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with HTTPClient(server.url, token=False, pool_maxsize=1, timeout=1) as client:
        with pytest.raises(TimeLimitExceeded):
            client.get("/x")
        monkeypatch.undo()
        response = client.get("/x")

        assert (response.status_code, len(looked_up)) == (200, 1)
        assert client.stats()[server.url].failures == 0


def test_a_stream_that_is_closed_early_releases_its_connection(server):
    server.script(answer(200, b"x" * 5_000_000), answer(200, "well"))
    with HTTPClient(server.url, token=False, pool_maxsize=1, timeout=1) as client:
        with client.get("/x", stream=True) as response:
            next(response.iter_content(10))
        text = client.get("/x").text

    assert text == "well"


def test_an_early_answer_to_an_upload_is_read(server):
    server.script_before_body(answer(413, "too large", Connection="close"))
    with HTTPClient(server.url, token=False, timeout=5) as client, pytest.raises(ClientError) as caught:
        client.put("/x", data=b"x" * 20_000_000)

    assert caught.value.response.status_code == 413


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nContent-Length: 7\r\n\r\n"
INTERIM = {
    "103": [EARLY],
    "102": [b"HTTP/1.1 102 Processing\r\n\r\n"],
    "100, then 103": [b"HTTP/1.1 100 Continue\r\n\r\n", EARLY],
    "103, then 100": [EARLY, b"HTTP/1.1 100 Continue\r\n\r\n"],
    "103 twice": [EARLY, EARLY],
    "199": [b"HTTP/1.1 199 Whatever\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"],
}


def after(interim, body):
    """Answer with ``body`` after interim answers, each on its own; the connection stays open."""

    def reply(connection, request):
        for one in interim:
            connection.sendall(one)
            real_time.sleep(0.05)
        return answer(200, body)(connection, request)

    return reply


@pytest.mark.parametrize("is_streamed", [False, True], ids=["read", "streamed"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_are_skipped(server, interim, method, is_streamed):
    server.script(after(interim, "first"), answer(200, "second"))
    with HTTPClient(server.url, token=False, timeout=5) as client:
        response = client.request(method, "/1", retries=0, stream=is_streamed)
        bodies = [response.text, client.get("/2").text]

    assert (response.status_code, bodies) == (200, ["" if method == "HEAD" else "first", "second"])
    assert server.connections == 1


def test_headers_of_an_interim_response_are_dropped(server):
    server.script(after([EARLY], "first"))
    with HTTPClient(server.url, token=False) as client:
        headers = client.get("/x").headers

    assert dict(headers) == {"Content-Length": "5"}


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "not asked for"),
        (EARLY * 11, "more than 10 interim"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3000, "larger than"),
    ],
    ids=["101", "eleven", "thousands"],
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["read", "streamed"])
def test_a_response_that_never_becomes_final_closes_the_connection(server, head, text, is_streamed):
    server.script(after([head], "first"), answer(200, "second"))
    with HTTPClient(server.url, token=False, timeout=5) as client:
        with pytest.raises(InvalidResponse, match=text):
            client.get("/1", stream=is_streamed)
        body = client.get("/2").text

    assert (body, server.paths, server.connections) == ("second", ["/1", "/2"], 2)


def test_a_connection_closed_after_interim_responses_is_a_connection_error(server):
    server.script(raw(EARLY))
    error = give_up(ServiceConnectionError, server.url, token=False)

    assert error.response is None


def test_a_generator_is_sent_in_chunks(server):
    with HTTPClient(server.url, token=False) as client:
        client.post("/x", data=(part for part in [b"ab", b"cd"]))

    assert (server.received[0].body, server.received[0].headers["Transfer-Encoding"]) == (b"abcd", "chunked")


def test_a_host_header_of_the_caller_is_sent(server):
    with HTTPClient(server.url, token=False) as client:
        client.get("/x", headers={"Host": "tenant.example.org"})

    assert server.received[0].headers.get_all("Host") == ["tenant.example.org"]


def test_calls_through_a_proxy_end_with_the_timeout(server, other):
    # A proxy that takes the tunnel's CONNECT and drips its answer.
    other.script(dripping(b"", b"HTTP/1.1 200 Connection established\r\n" + b"X: y\r\n" * 9 + b"\r\n", pause=0.1))
    error = give_up(
        ServiceConnectTimeout, "https://127.0.0.1:9", token=False, timeout=0.4, proxies={"https": other.url}
    )

    assert error.attempts == 1
    assert other.received[0].method == "CONNECT"


def test_a_tunnel_through_a_proxy_carries_tls(secure, tunnel):
    secure.script(answer(200, "through"))
    with HTTPClient(secure.url, token=False, verify=str(CERTIFICATE), proxies={"https": tunnel}) as client:
        text = client.get("/x").text

    assert text == "through"


def test_private_names_of_urllib3_and_http_client_are_unchanged():
    pool = urllib3.HTTPConnectionPool
    signatures = {
        pool._get_conn: ["self", "timeout"],
        pool._put_conn: ["self", "conn"],
        pool._prepare_proxy: ["self", "conn"],
        urllib3.connection.HTTPConnection._new_conn: ["self"],
        http.client.HTTPConnection._tunnel: ["self"],
    }

    for method, parameters in signatures.items():
        assert list(inspect.signature(method).parameters) == parameters, method
    assert urllib3.connection.HTTPConnection("four.test.")._dns_host == "four.test."
    assert http.client.HTTPConnection.response_class is http.client.HTTPResponse
    assert urllib3.HTTPResponse(io.BytesIO(b"x"), preload_content=False)._fp.read() == b"x"
    assert list(CaseInsensitiveDict({"Accept": "*/*"})._store.items()) == [("accept", ("Accept", "*/*"))]
    assert {"queue", "mutex"} <= vars(pool("127.0.0.1").pool).keys()
