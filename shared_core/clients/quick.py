"""What takes most of a call's time in requests, urllib3 and http.client, and need not: headers, heads and whole bodies.

A response's head is read as http.client reads it, and where it is plain, as nearly all are, much faster. It is plain
where it arrived at once, each of its lines is one header as RFC 9112 writes it, and what frames the body is said once.
Any other is left to http.client, byte for byte: nothing is decided here that it would decide otherwise.
"""

import re
from collections.abc import Iterable
from http.client import HTTPResponse
from typing import Any, Self

import urllib3
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict

# RFC 9112 §4 and §5; the status is none of the interim ones (1xx), which http.client skips.
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})((?: [\t\x20-\x7e\x80-\xff]*)?)\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_FOLDED = re.compile(r"[\r\n]+[ \t]*")

# What http.client bears, and http.client's own limit on lines.
_MAX_HEADERS = 100

# What says where the body ends.
_FRAMING = ("content-length", "transfer-encoding", "connection")
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class QuickHeaders(CaseInsensitiveDict[Any]):  # Any: text, bytes, or None for one that was taken away
    """requests' headers, copied and listed without looking at each name again."""

    _store: dict[str, tuple[str, Any]]  # requests' own: by name in lower case, the name as it is spelled and the value

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Any]]) -> Self:  # Any: as above
        """Return headers of names that differ."""
        made = cls.__new__(cls)
        made._store = {name.lower(): (name, value) for name, value in pairs}
        return made

    def copy(self) -> Self:
        """Return a copy."""
        copied = self.__new__(type(self))
        copied._store = self._store.copy()
        return copied

    def pairs(self) -> Iterable[tuple[str, Any]]:  # Any: as above
        """Return names, as they are spelled, and values."""
        return self._store.values()


class QuickBody(urllib3.HTTPResponse):
    """A response of urllib3, whose body may be read whole where its length is known."""

    def read_whole(self, at_most: int) -> bytes | None:
        """Return the body as it came and put the connection back; None, nothing read, where it is not known to fit.

        Raises:
            http.client.IncompleteRead: It broke off.
        """
        plain: Any = self._fp  # an http.client response, which urllib3 types otherwise
        if plain.length is None or plain.length > at_most:
            return None
        body: bytes = plain.read()
        self.release_conn()
        return body


class QuickResponse(HTTPResponse):
    """An http.client response; ``quick`` is None, or the headers of a plain head."""

    quick: HTTPHeaderDict | None = None

    def begin(self) -> None:
        """Read the head."""
        if self.headers is None:
            # What has arrived, without taking it: where it is not plain, http.client reads it from the start.
            head = _HEAD.match(self.fp.peek())
            if head is not None and self._begin(head):
                return
        super().begin()

    def _begin(self, head: re.Match[bytes]) -> bool:
        headers = HTTPHeaderDict()
        lines = head[3].decode("latin-1").split("\r\n")
        lines.pop()  # what follows the last line's end
        for line in lines:
            name, _, value = line.partition(":")
            headers.add(name, value.strip(" \t"))
        length, coding, connection = (headers.getlist(name) for name in _FRAMING)
        is_simple = len(length) < 2 and len(connection) < 2 and len(lines) < _MAX_HEADERS
        if not is_simple or (length and not _DIGITS.fullmatch(length[0])) or coding not in ([], ["chunked"]):
            return False
        self.fp.read(head.end())
        self.code = self.status = status = int(head[1])
        self.reason = head[2].decode("latin-1").strip()
        self.version = 11
        self.headers = self.msg = headers  # type: ignore[assignment]  # it has get and get_all
        self.quick = headers
        self.chunked = bool(coding)
        self.chunk_left = None
        self.length = int(length[0]) if length and not coding else None
        if status in {204, 304} or self._method == "HEAD":  # type: ignore[attr-defined]  # http.client's
            self.length = 0
        self.will_close = "close" in (connection[0].lower() if connection else "")
        if self.length is None and not self.chunked:
            self.will_close = True
        return True


def headers_of(response: Any) -> HTTPHeaderDict:  # Any: a QuickResponse; typeshed's has another kind of headers
    """Return the headers of ``response``, lines that were folded in one."""
    if response.quick is not None:
        return response.quick  # type: ignore[no-any-return]  # as above
    return HTTPHeaderDict((name, _FOLDED.sub(" ", value).strip(" \t")) for name, value in response.msg.items())
