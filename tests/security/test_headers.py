"""Numbers and dates that another service sends are bounded, whatever they are."""

import contextlib
import json
import math
import socket
import threading
import time as real_time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared_core.clients import ClientCredentials, ServerError, ServiceConnectionError, ServiceError, TokenError
from shared_core.clients.credentials import grant_of
from shared_core.clients.retry import retry_after
from shared_core.clients.tokens import TokenCache
from shared_core.context.inbound import Inbound
from tests.clients.fixtures import EPOCH
from tests.clients.server import answer, raw

DAY = 86_400.0

RETRY_AFTER = {
    "0": 0.0,
    "0" * 60_000 + "7": 7.0,
    "86400": DAY,
    "86401": DAY,
    "9" * 300: DAY,  # more than a float can be
    "9" * 65_000: DAY,
    "-1": None,
    "-" + "9" * 400: None,
    "+5": None,
    "1e400": None,
    "1_000": None,
    "inf": None,
    "nan": None,
    "٣": None,  # a digit, but none of HTTP's
    "5, 7": None,
    "5 7": None,
    "Fri, 31 Dec 9999 23:59:59 GMT": DAY,
    "Fri, 31 Dec 9999 23:59:59 -2359": DAY,
    "Mon, 01 Jan 0001 00:00:00 +2359": 0.0,
    "Mon, 00 Jan 0000 00:00:00 GMT": None,
    "Fri, 31 Dec 99999 23:59:59 GMT": None,
    "Fri, 31 Dec 9999 23:59:59 +9999": None,
    "Fri, 31 Dec 9999 23:59:59 +" + "9" * 400: None,
    "Fri, " + "9" * 5000 + " Dec 9999 23:59:59 GMT": None,
    "Fri, 27 Nov 2026 10:00:00 GMT, Fri, 27 Nov 2026 10:00:00 GMT": 0.0,
    ", " * 30_000: None,
    "1:" * 30_000: None,
    "(" * 60_000: None,
}


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER.items(), ids=[repr(value)[:30] for value in RETRY_AFTER])
def test_retry_after_is_bounded(value, seconds):
    began = real_time.perf_counter()

    assert retry_after(value, EPOCH) == seconds
    assert real_time.perf_counter() - began < 0.5  # far below what anything but linear time would take


@pytest.mark.parametrize("status", [503, 504, 429, 500])
@pytest.mark.parametrize("value", ["9" * 300, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_error_asks_for_no_longer_wait_than_a_day(make, server, status, value):
    server.script(answer(status, Retry_After=value))
    with pytest.raises(ServiceError) as caught:
        make(server.url, token=False).get("/x")

    assert caught.value.retry_after == DAY
    assert caught.value.attempts == 1  # above the cap of the policy
    assert json.dumps(math.ceil(caught.value.retry_after)) == "86400"


def test_retry_after_as_long_as_a_header_may_be_is_bounded(make, server):
    server.script(answer(503, Retry_After="9" * 65_000))
    with pytest.raises(ServerError) as caught:
        make(server.url, token=False).get("/x")

    assert caught.value.retry_after == DAY


LIFETIMES = {
    "null": 300.0,
    "60": 60.0,
    "0.5": 0.5,
    '"3600"': 3600.0,
    "86401": DAY,
    "1e308": DAY,
    "Infinity": DAY,
    "9" * 400: DAY,  # an integer that no float can be
    '"999999999999999999"': DAY,
    "0": None,
    "-1": None,
    "-1e308": None,
    "-" + "9" * 400: None,
    "-Infinity": None,
    "NaN": None,
    '"NaN"': None,
    '"inf"': None,
    '"-5"': None,
    '"1e308"': None,
    '"' + "9" * 100_000 + '"': None,
    "9" * 100_000: None,
    '"٣"': None,
    "true": None,
    "false": None,
    "[60]": None,
    "{}": None,
}


@pytest.mark.parametrize(("text", "seconds"), LIFETIMES.items(), ids=[text[:20] for text in LIFETIMES])
def test_the_lifetime_that_a_token_service_sends_is_bounded_or_a_token_error(make, server, other, text, seconds):
    other.script(answer(200, f'{{"access_token": "t", "expires_in": {text}}}'.encode()))
    provider = ClientCredentials(f"{other.url}/token", "ticket", "secret")
    client = make(token=False)

    def fetch():
        return provider.fetch(lambda url, form, auth: client.post(url, data=form, auth=auth)).seconds

    if seconds is None:
        with pytest.raises(TokenError, match="no bearer token"):
            fetch()
    else:
        assert fetch() == seconds


@pytest.mark.parametrize("seconds", [DAY + 1, 10**400, 1e308, math.inf])
def test_a_callables_token_is_kept_for_a_day_at_most(seconds):
    cache, asked = TokenCache(), []

    def fetch():
        asked.append(1)
        return grant_of(("t", seconds))

    for now in (0.0, DAY - 31, DAY):
        cache.get(fetch, monotonic=lambda now=now: now, patience=5)

    assert len(asked) == 2


@pytest.mark.parametrize("seconds", [0, -1, -(10**400), -math.inf, math.nan, True, False, None, "60", [60], 1j])
def test_a_callables_seconds_that_are_no_lifetime_are_a_token_error(make, server, seconds):
    with pytest.raises(TokenError):
        make(server.url, token=lambda: ("t", seconds)).get("/x")

    assert server.received == []


@pytest.mark.parametrize(
    "deadline", ["9" * 10, "9" * 400, "9" * 65_000, "1e308", "inf", "-1", "٣", "0." + "0" * 65_000, "1.5, 2.5"]
)
def test_a_deadline_that_is_no_number_of_seconds_is_ignored(deadline):
    assert Inbound(deadline=deadline).seconds_left() is None


def test_the_longest_deadline_is_one_that_a_lock_can_wait_for():
    left = Inbound(deadline="999999999.999999999").seconds_left()

    assert left < threading.TIMEOUT_MAX


NO_CHARSETS = [
    *(
        "punycode",
        "PUNYCODE",
        "idna",
        "undefined",
        "unicode_escape",
        "raw-unicode-escape",
        "mbcs",
        "charmap",
        "aliases",
    ),
    *(
        "base64",
        "hex",
        "zlib",
        "bz2-codec",
        "rot13",
        "uu",
        "quopri",
        "nope",
        "",
        "\0",
        "utf-8\0",
        "x" * 60_000,
        "..",
        "%",
    ),
]


@pytest.mark.parametrize("charset", NO_CHARSETS, ids=[ascii(charset)[:20] for charset in NO_CHARSETS])
def test_a_charset_that_is_none_of_text_costs_neither_time_nor_an_exception(make, server, charset):
    # Decoding this as punycode takes time in proportion to the square of its length.
    body = "a-" + "ba" * 500_000
    server.script(answer(200, body, Content_Type=f"text/plain; charset={charset}"))
    client = make(server.url, token=False, timeout=5)
    response, streamed = client.get("/x"), client.get("/x", stream=True)
    began = real_time.perf_counter()

    assert response.text == body
    assert "".join(streamed.iter_content(65_536, decode_unicode=True)) == body
    assert real_time.perf_counter() - began < 2


def test_a_charset_without_a_value_is_none(make, server):
    server.script(answer(200, "text", Content_Type="text/plain; charset"))
    client = make(server.url, token=False, pool_maxsize=1, timeout=2)

    assert [client.get("/x").text for _ in range(2)] == ["text", "text"]  # the only connection is given back


CHARSETS = ["utf-8", "UTF8", "utf-8-sig", "us-ascii", "iso-8859-1", "ISO-8859-15", "latin-1", "windows-1252", "cp1251"]
CHARSETS += [
    "utf-16",
    "utf-16le",
    "koi8-r",
    "koi8-u",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "gb18030",
    "big5",
    "tis-620",
]


@pytest.mark.parametrize("charset", CHARSETS)
def test_text_is_read_in_the_charset_that_it_is_sent_in(make, server, charset):
    server.script(answer(200, "text".encode(charset), Content_Type=f'text/plain; charset="{charset}"'))
    response = make(server.url, token=False).get("/x")

    assert (response.text, response.encoding) == ("text", charset)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("length", ["-1", "9" * 20, "9" * 400, "9" * 5000, "1e3", "nan", "5, 7", "0x5", ""])
def test_a_content_length_that_does_not_fit_costs_no_memory_and_no_exception_of_another_kind(make, server, length):
    server.script(raw(HEAD + f"Content-Length: {length}\r\nConnection: close\r\n\r\nwhole".encode()))
    client = make(server.url, token=False, timeout=2)

    try:
        content = client.get("/x", retries=0).content
    except ServiceError:
        return
    assert content == b"whole"


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("stream", [False, True], ids=["read", "streamed"])
@pytest.mark.parametrize("size", [b"-1", b" -0x1;x", b"-5", b"FFFFFFFFFFFFFFFF", b"9" * 400, b"0x", b"", b"+", b"\xb2"])
def test_a_chunk_of_an_impossible_size_is_a_broken_answer(make, server, size, stream):
    server.script(raw(CHUNKED + size + b"\r\nhello"))
    events = []
    client = make(server.url, token=False, pool_maxsize=1, timeout=2, on_event=events.append)
    for _ in range(2):  # the only connection is given back
        with pytest.raises(ServiceConnectionError):
            client.get("/x", retries=0, stream=stream).content  # noqa: B018  # reads

    assert events[-1].kind == "failure"
    assert client.stats()[server.url].failures == 0


STATUS_LINES = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 302 F\r\n", b"HTTP/1.1 206 x\r\n", b"HTTP/1.1 103 x\r\n", b""]
NAMES = [
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate\r\n",
    b"Location: ",
    b"Content-Type: text/html; charset=",
    b"Connection: close\r\n",
    b"Retry-After: ",
    b"Set-Cookie: a=b; expires=",
]
BITS = [
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"-1", b"5", b"0", b"zz", b"hello", b"\xff\xfe", b"/", b"http://", b"["),
    *(b"]", b"\0", b":", b";", b"=", b'"', b" ", b"\t", b"FFFFFFFFFFFFFFFFFF\r\n", b"+3\r\nabc\r\n", b"-5\r\n"),
    *(b"0x3\r\nabc\r\n", b"utf-7", b"nope", b"1 a 1", b"\xe2\x84\x80", b"\xef\xbc\x8f", b"\x1f\x8b\x08", b"x\x9c"),
]
HEADERS = st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(BITS), max_size=3).map(b"".join)).map(
    lambda pair: pair[0] + pair[1] + b"\r\n"
)
ANSWERS = st.tuples(
    st.sampled_from(STATUS_LINES),
    st.lists(HEADERS, max_size=3).map(b"".join),
    st.sampled_from([b"\r\n", b""]),
    st.lists(st.sampled_from(BITS), max_size=6).map(b"".join),
).map(b"".join)


@pytest.mark.parametrize("read", ["get", "get_json", "streamed", "lines"])
def test_an_answer_of_any_bytes_raises_nothing_but_a_service_error(make, server, monkeypatch, read):
    look_up = socket.getaddrinfo

    def refuse(host, *args, **kwargs):
        if host != "127.0.0.1":
            raise socket.gaierror("no such host in this test")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    client = make(server.url, token=False, breaker=None, pool_maxsize=2, timeout=2)
    calls = {
        "get": lambda: (client.get("/x", retries=0).text, 0),
        "get_json": lambda: client.get_json("/x", retries=0),
        "streamed": lambda: client.get("/x", retries=0, stream=True).content,
        "lines": lambda: list(client.get("/x", retries=0, stream=True).iter_lines()),
    }

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ANSWERS)
    @example(CHUNKED + b"-5\r\nhello")
    @example(b"HTTP/1.1 302 F\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n")
    def answered(data):
        server.script(raw(data))
        with contextlib.suppress(ServiceError):
            calls[read]()

    answered()
