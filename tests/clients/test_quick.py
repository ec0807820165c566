"""A head is read as http.client reads it: whatever the bytes, the quick way and the standard library's agree."""

import http.client
import io
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_core.clients.quick import QuickResponse, headers_of

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "2000"))


class Socket:
    def __init__(self, data):
        self.data = data

    def makefile(self, mode):
        return io.BufferedReader(io.BytesIO(self.data))


def read(kind, data, method):
    """Return what a reader makes of ``data``: how the body is framed, the headers and the body, or the error."""
    response = kind(Socket(data), method=method)
    try:
        response.begin()
        if kind is QuickResponse:
            headers = sorted((name.lower(), value) for name, value in headers_of(response).iteritems())
        else:
            headers = sorted((name.lower(), unfolded(value)) for name, value in response.msg.items())
        framing = (response.status, response.reason, response.version, response.chunked, response.length)
        will_close = response.will_close
        body = response.read()
    except (http.client.HTTPException, ValueError, OSError) as exc:
        return type(exc)
    return framing, will_close, headers, body


def unfolded(value):
    return re.sub(r"[\r\n]+[ \t]*", " ", value).strip(" \t")


NAMES = st.sampled_from(
    [
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "X-A",
        "Set-Cookie",
        "x a",
        "",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "5",
            "05",
            "+5",
            "-1",
            "5, 5",
            "0",
            "chunked",
            "Chunked",
            "gzip, chunked",
            "close",
            "Keep-Alive",
            "CLOSE, x",
            "",
        ]
    ),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=12),
)
SEPARATORS = st.sampled_from([": ", ":", ":\t", " : ", "", ":  "])
ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", "\r\n ", "\r\n\r\n"])
LINES = st.lists(st.tuples(NAMES, SEPARATORS, VALUES, ENDS).map("".join), max_size=6).map("".join)
STATUSES = st.sampled_from(
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 ",
        "HTTP/1.1 503",
        "HTTP/1.0 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 100 Continue",
        "HTTP/2 200 OK",
        "http/1.1 200 ok",
        "HTTP/1.1 999 Odd",
        "HTTP/1.1 20x",
        "HTTP/1.1 2000 OK",
    ]
)
BODIES = st.sampled_from(["", "12345", "123456789", "5\r\n12345\r\n0\r\n\r\n", "5\r\n123"])


@settings(max_examples=EXAMPLES)
@given(status=STATUSES, lines=LINES, body=BODIES, method=st.sampled_from(["GET", "HEAD"]))
def test_the_quick_way_reads_what_http_client_reads(status, lines, body, method):
    data = f"{status}\r\n{lines}\r\n{body}".encode("latin-1")

    assert read(QuickResponse, data, method) == read(http.client.HTTPResponse, data, method)


def begun(data, method="GET"):
    response = QuickResponse(Socket(data), method=method)
    response.begin()
    return response


def test_a_usual_head_is_read_the_quick_way():
    response = begun(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")

    assert response.quick is not None
    assert (response.read(), response.will_close) == (b"hi", False)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000 + b"\r\nContent-Length: 2\r\n\r\nhi",
    ],
    ids=["interim", "folded", "twice", "old", "long"],
)
def test_any_other_head_is_left_to_http_client(data):
    response = begun(data)

    assert response.quick is None
    assert response.read() == b"hi"


def test_a_folded_header_is_one_line():
    response = begun(b"HTTP/1.1 200 OK\r\nX: a\r\n\t b\r\nContent-Length: 0\r\n\r\n")

    assert headers_of(response)["x"] == "a b"
