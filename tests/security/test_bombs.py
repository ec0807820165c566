"""Answers and lines that are small on the wire and large, deep or slow in memory."""

import contextlib
import gzip
import logging
import pickle
import resource
import subprocess
import sys
import time
import tracemalloc
import zlib
from http.cookiejar import CookieJar
from itertools import islice

import pytest

from shared_core.clients import InvalidResponse, ResponseTooLarge, ServiceTimeout
from shared_core.logs import TextFormatter
from shared_core.logs.reader.lines import read_line
from shared_core.logs.reader.sources import followed
from tests.clients.server import answer, raw

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
DEEP = ["[" * 200_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000]
HUGE = ["1" * 100_000, "-" + "9" * 50_000, '{"total": ' + "7" * 5000 + "}"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_costs_its_reader_no_more_than_the_limit(make, server, coding):
    packed = gzip.compress(bytes(200 * MEGABYTE)) if coding == "gzip" else zlib.compress(bytes(200 * MEGABYTE))
    server.script(answer(200, packed, Content_Encoding=coding))
    client = make(server.url, token=False, max_response_bytes=MEGABYTE)
    tracemalloc.start()

    try:
        with pytest.raises(ResponseTooLarge):
            client.get("/")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(packed) < MEGABYTE
    assert most < 8 * MEGABYTE


def test_a_bomb_that_comes_with_a_redirect_costs_no_more_than_the_limit(make, server):
    bomb = answer(302, gzip.compress(bytes(200 * MEGABYTE)), Location="/there", Content_Encoding="gzip")
    server.script(bomb, answer(200, b"here"))
    client = make(server.url, token=False, max_response_bytes=MEGABYTE)
    tracemalloc.start()

    try:
        with pytest.raises(ResponseTooLarge):
            client.get("/", allow_redirects=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * MEGABYTE


def test_a_bomb_in_a_bomb_is_not_unpacked_twice(make, server):
    inner = gzip.compress(bytes(100 * MEGABYTE))
    server.script(answer(200, gzip.compress(inner), Content_Encoding="gzip"))

    assert make(server.url, token=False).get("/").content == inner


@pytest.mark.parametrize("coding", ["gzip, " * 50 + "gzip", ", ".join(["deflate", "gzip"] * 20)])
def test_codings_upon_codings_are_an_error(make, server, coding):
    server.script(answer(200, b"x", Content_Encoding=coding))

    with pytest.raises(InvalidResponse):
        make(server.url, token=False).get("/")


@pytest.mark.parametrize("body", [*DEEP, *HUGE], ids=len)
def test_json_that_cannot_be_read_is_an_error_of_the_service(make, server, body):
    server.script(answer(200, body, Content_Type="application/json"))

    with pytest.raises(InvalidResponse):
        make(server.url, token=False).get_json("/")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX-Header: " + b"y" * 10 * MEGABYTE,
        b"HTTP/1.1 " + b"2" * MEGABYTE + b" OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * MEGABYTE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"y" * 20 * MEGABYTE,
    ],
    ids=["headers", "header", "status", "interim answers", "chunk size", "negative chunk"],
)
def test_a_head_without_an_end_is_an_error_or_ends_with_the_deadline(make, server, head):
    server.script(raw(head))
    client = make(server.url, token=False, deadline=2)
    tracemalloc.start()

    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # which one is looked at below
            client.get("/", retries=0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert raised.type.__module__ == "shared_core.clients.exceptions"
    assert most < 8 * MEGABYTE


COOKIES = {
    "dates": b"Set-Cookie: a=b; Expires=1 a 1" + b" " * 50_000 + b"!\r\n",
    "attributes": b"Set-Cookie: a=b" + b"; x=y" * 10_000 + b"\r\n",
    "Set-Cookie2": b"Set-Cookie2: a=b;Version=1" + b',a="b' * 9000 + b"\r\nSet-Cookie: a=b\r\n",
    "anything": b"X-Header: " + b"x" * 50_000 + b"\r\n",
}


@pytest.mark.parametrize("stream", [False, True], ids=["read", "streamed"])
@pytest.mark.parametrize("header", COOKIES.values(), ids=COOKIES)
def test_headers_that_are_large_together_are_not_parsed(make, server, header, stream):
    server.script(raw(b"HTTP/1.1 200 OK\r\n" + header * 45 + b"Content-Length: 2\r\n\r\nok"))
    client = make(server.url, token=False)
    tracemalloc.start()
    began = time.thread_time()

    try:
        with pytest.raises(InvalidResponse, match="headers are larger than 65536 bytes"):
            client.get("/", stream=stream)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 0.5
    assert most < 2 * MEGABYTE


def test_cookies_are_parsed_if_they_are_read(make, server, monkeypatch):
    parsed = []
    monkeypatch.setattr(CookieJar, "extract_cookies", lambda *_: parsed.append(1))
    server.script(answer(200, Set_Cookie="a=b; Path=/"))
    client = make(server.url, token=False)
    responses = [client.get("/"), client.get("/", stream=True)]

    assert parsed == []
    for response in responses:
        assert response.cookies is response.cookies
    assert parsed == [1, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["read", "streamed"])
def test_cookies_can_be_read_and_pickled(make, server, stream):
    server.script(answer(200, Set_Cookie="a=b; Path=/"))
    response = make(server.url, token=False).get("/", stream=stream)
    kept = response if stream else pickle.loads(pickle.dumps(response))

    assert (response.cookies.get_dict(), kept.cookies.get_dict()) == ({"a": "b"}, {"a": "b"})
    assert make(server.url, token=False).get("/").headers["Set-Cookie"] == "a=b; Path=/"
    assert server.received[-1].headers["Cookie"] is None


def test_trailers_without_an_end_end_with_the_deadline(make, server):
    def trailers(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"X-Trailer: y\r\n" * 1000)
        return False

    server.script(trailers)
    client = make(server.url, token=False, timeout=1, deadline=1)
    began = time.monotonic()
    tracemalloc.start()

    try:
        with pytest.raises(ServiceTimeout):
            client.get("/")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert time.monotonic() - began < 5
    assert most < 8 * MEGABYTE


@pytest.mark.parametrize("line", [*DEEP, '{"level": ' + "[" * 100_000, '{"level":"INFO","time":' + "1" * 100_000])
def test_a_line_of_a_log_that_is_a_bomb_is_read_as_text(line):
    assert read_line(line.encode()).text


@pytest.mark.parametrize("value", [10**5000, [10**5000], {"n": -(10**5000)}], ids=["bare", "in a list", "in a dict"])
def test_a_number_too_long_to_be_written_loses_no_record(value):
    record = logging.LogRecord("apps", logging.INFO, "a.py", 1, "Counted", (), None)
    record.count = value

    assert "Counted" in TextFormatter().format(record)


LINES = {
    "many lines": (b"no record\n" * 10_000, 20),
    "one line": (b"x" * 100_000, 500),
    "a file that was cut while it was open": (bytes(100_000), 200),
}


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (200 * MEGABYTE, 200 * MEGABYTE))


@pytest.mark.parametrize("asked", [["--level", "ERROR"], []], ids=["filtered", "all"])
@pytest.mark.parametrize("source", ["file", "gzip", "stdin"])
@pytest.mark.parametrize("content", LINES)
def test_a_log_is_read_in_little_memory(tmp_path, content, source, asked):
    piece, count = LINES[content]
    bomb, shown = tmp_path / ("bomb.log.gz" if source == "gzip" else "bomb.log"), tmp_path / "shown"
    with gzip.open(bomb, "wb", compresslevel=1) if source == "gzip" else bomb.open("wb") as file:
        for _ in range(count):
            file.write(piece)

    command = [sys.executable, "-m", "shared_core.logs", "-" if source == "stdin" else str(bomb), *asked]
    with bomb.open("rb") as stdin, shown.open("wb") as stdout:
        done = subprocess.run(
            command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False, preexec_fn=limited, timeout=60
        )

    assert (done.returncode, done.stderr) == (0, b"")
    assert (shown.stat().st_size == 0) is bool(asked)


@pytest.mark.parametrize("content", LINES)
def test_a_log_is_followed_in_little_memory(tmp_path, content):
    piece, _ = LINES[content]
    path = tmp_path / "bomb.log"
    path.touch()
    following = followed([str(path)], sleep=lambda _: None if path.stat().st_size else path.write_bytes(piece * 200))
    tracemalloc.start()

    try:
        next(following)
        read = sum(len(line.text) for line in islice(following, 10))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert read > 0
    assert most < 60 * MEGABYTE


def test_what_is_nested_too_deep_is_no_body_of_ours(make, server):
    value: list = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises((ValueError, TypeError, RecursionError)):
        make(server.url, token=False).post("/", json=value)
    assert server.received == []
