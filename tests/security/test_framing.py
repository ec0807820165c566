"""A call sends one request and gets its response: what is beyond the length of either is taken for no other one."""

import array
import contextlib
import io

import pytest
from urllib3.util.request import body_to_chunks

from shared_core.clients import ServiceConnectionError, ServiceError
from tests.clients.fixtures import CERTIFICATE
from tests.clients.server import answer

SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: user\r\n\r\n"
TEXT = "\u00e9" * len(SMUGGLED) + SMUGGLED  # as many characters as Content-Length says, and then a request


class Growing(io.BytesIO):
    """A file that somebody else writes to while it is sent."""

    def read(self, size=-1):
        data = super().read(size)
        if not data and self.tell() == 500:
            self.write(SMUGGLED.encode())
            self.seek(500)
        return data or super().read(size)


class WronglyCounted:
    def __init__(self, length, pieces):
        self._length, self._pieces = length, pieces

    def __len__(self):
        return self._length

    def __iter__(self):
        return iter(self._pieces)


@pytest.fixture
def text_file(tmp_path):
    """Opens a file of these bytes as text."""
    with contextlib.ExitStack() as stack:

        def open_text(data, encoding="utf-8"):
            path = tmp_path / "upload"
            path.write_bytes(data)
            return stack.enter_context(path.open(encoding=encoding))

        yield open_text


# Old versions of urllib3 send text files in latin-1, one byte a character, whatever the encoding of the file is.
NEEDS_UTF_8 = pytest.mark.skipif(
    next(iter(body_to_chunks(io.StringIO("\u00e9"), "PUT", 9).chunks)) == b"\xe9", reason="this urllib3 sends latin-1"
)

TOO_LONG = {
    "text that is not ASCII": lambda _: io.StringIO(TEXT),
    "a text file in latin-1": lambda text_file: text_file(TEXT.encode("latin-1"), "latin-1"),
    "a file that grows": lambda _: Growing(b"x" * 500),
    "numbers of several bytes": lambda _: array.array("H", TEXT.encode("utf-16-le")),
    "a wrong length": lambda _: WronglyCounted(3, [b"123", SMUGGLED.encode()]),
    "a wrong length in strings": lambda _: WronglyCounted(4, ["12\u20ac" + SMUGGLED]),
}
TOO_SHORT = {
    "a text file with other line breaks": lambda text_file: text_file(b"a\r\n" * 500),
    "a wrong length": lambda _: WronglyCounted(4, [b"123"]),
    "no piece": lambda _: WronglyCounted(4, []),
}


@pytest.mark.filterwarnings("ignore::requests.exceptions.FileModeWarning")
@pytest.mark.parametrize(("make_body", "text"), [
    *(
        pytest.param(make_body, "longer than its Content-Length", marks=NEEDS_UTF_8 if "text" in name else ())
        for name, make_body in TOO_LONG.items()
    ),
    *((make_body, "shorter than its Content-Length") for make_body in TOO_SHORT.values()),
], ids=[*TOO_LONG, *TOO_SHORT])  # fmt: skip
def test_a_body_that_is_not_as_long_as_it_says_is_no_second_request(make, server, text_file, make_body, text):
    server.script(answer(200, "own"))
    client = make(server.url, token=False, timeout=5, pool_maxsize=1)
    with pytest.raises(ServiceConnectionError, match=text) as caught:
        client.put("/first", data=make_body(text_file))
    body = client.get("/next").text

    assert (body, caught.value.attempts) == ("own", 1)
    assert [path for path in server.paths if path != "/first"] == ["/next"]
    assert client.stats()[server.url].failures == 0


def test_a_text_that_is_not_ascii_is_sent_whole(make, server):
    client = make(server.url, token=False)
    client.post("/text", data=TEXT)
    client.post("/chunks", data=iter([TEXT, TEXT.encode(), bytearray(b"a"), memoryview(b"b"), array.array("H", b"cd")]))

    whole = TEXT.encode()
    assert [request.body for request in server.received] == [whole, whole + whole + b"abcd"]


FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
ANSWERS = {
    "a body longer than its length": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"),
    "a body of 204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a body of 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"),
    "a body for HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"),
    "more after the last chunk": (
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n",
    ),
    "a redirect": ("GET", b"HTTP/1.1 302 Found\r\nLocation: /2\r\nContent-Length: 0\r\n\r\n"),
    "an error": ("GET", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
}


def and_more(head, padding):
    """Answer with ``head`` and, in one piece with it, another answer that no request asked for."""

    def reply(connection, request):
        connection.sendall(head.ljust(padding, b"x") + FORGED)
        return True

    return reply


@pytest.mark.parametrize("padding", [0, 8192], ids=["at once", "beyond a buffer"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["read", "streamed"])
@pytest.mark.parametrize(("method", "head"), ANSWERS.values(), ids=ANSWERS)
def test_what_follows_a_response_is_not_the_next_calls(request, make, *, method, head, is_streamed, scheme, padding):
    server = request.getfixturevalue("secure" if scheme == "https" else "server")
    server.script(and_more(head, padding), answer(200, "second"))
    client = make(server.url, token=False, timeout=5, verify=str(CERTIFICATE))
    with contextlib.suppress(ServiceError):
        client.request(method, "/1", retries=0, stream=is_streamed).content  # noqa: B018  # reads
    body = client.get("/2").text

    assert body == "second"
    assert server.received[-1].connection == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_with_nothing_left_on_it_is_used_again(request, make, scheme):
    server = request.getfixturevalue("secure" if scheme == "https" else "server")
    server.script(*[answer(200, b"x" * size) for size in (0, 1, 8000, 8192, 16_384, 100_000)])
    client = make(server.url, token=False, timeout=5, verify=str(CERTIFICATE))
    for _ in range(6):
        client.get("/x")
        client.head("/x")

    assert server.connections == 1
