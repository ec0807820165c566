"""What callers read of a response: its cookies, and its body as text, as a stream or as JSON."""

import json
from collections.abc import Callable, Iterator
from encodings.aliases import aliases
from functools import cached_property
from http.client import HTTPException
from typing import Any, Self

import requests
import urllib3
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar

from shared_core.clients.exceptions import ServiceError

# What reading a body raises if the service breaks it; requests' own errors are OSErrors. If the size of a chunk is
# negative or larger than any memory, http.client raises ValueError or OverflowError.
READ_ERRORS = (OSError, HTTPException, urllib3.exceptions.HTTPError, ValueError, OverflowError)

# Python's codecs that are charsets. Of its others, punycode takes time in proportion to the square of what it decodes,
# idna and undefined raise UnicodeError, and a search for one that does not exist is never forgotten.
_NO_TEXT = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
)
_CHARSETS = frozenset({"cp874", "koi8_u", "utf_8_sig"}).union(
    *(pair for pair in aliases.items() if pair[1] not in _NO_TEXT)
)


def charset_of(response: requests.Response) -> str | None:
    """Return the charset that ``response`` names, UTF-8 if it is none, or None if it names none."""
    name = response.encoding
    return name if name is None or name.lower().replace("-", "_") in _CHARSETS else "utf-8"


class LazyResponse(requests.Response):
    """A response whose cookies are parsed if somebody reads them. No client sends them back."""

    def __init__(self) -> None:
        super().__init__()
        del self.__dict__["cookies"]

    @cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override]  # an attribute of requests'
        """The cookies that the service sets."""
        jar = RequestsCookieJar()
        if self.raw is not None:
            extract_cookies_to_jar(jar, self.request, self.raw)  # type: ignore[no-untyped-call]  # requests'
        return jar


class StreamedResponse(LazyResponse):
    """A response whose body the caller reads, within the call's limits; else a ServiceError is raised."""

    _error_of: Callable[[Exception], ServiceError]

    @classmethod
    def of(cls, response: requests.Response, error_of: Callable[[Exception], ServiceError]) -> Self:
        """Return ``response`` as one whose reading raises what ``error_of`` makes of an exception."""
        streamed = cls()
        streamed.__dict__.update(response.__dict__, _error_of=error_of)
        return streamed

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """Iterate over the body, as `requests.Response.iter_content`; ``iter_lines``, ``content`` and ``json`` use it.

        Raises:
            ServiceConnectionError: The service closed the connection early.
            ServiceTimeout: A read took longer than the timeout, or the call longer than its deadline.
        """
        parts = super().iter_content(chunk_size, decode_unicode)
        while True:
            try:
                part = next(parts, None)
            except READ_ERRORS as exc:
                self.close()
                raise self._error_of(exc) from None
            if part is None:
                return
            yield part


def read_json(response: requests.Response) -> Any:  # Any: what the service sent
    """Return the JSON of the body, or None if there is no body.

    Raises:
        ValueError: It is not JSON (RFC 8259). The text names the content type.
    """
    return _parse(response) if _has_body(response) else None


def read_json_or_missing(response: requests.Response) -> Any:  # Any: as above
    """Return the JSON of the body, or None if the status is 404, and only then.

    Raises:
        ValueError: It is not JSON, or there is no body, which does not mean "not found".
    """
    if response.status_code == 404:
        return None
    if not _has_body(response):
        raise ValueError(f"{response.status_code} without a body, where JSON was asked for")
    return _parse(response)


def _has_body(response: requests.Response) -> bool:
    return response.status_code != 204 and bool(response.content)


def _parse(response: requests.Response) -> Any:  # Any: as above
    try:
        # As `json.loads` does it, which makes a decoder for each text.
        content = response.content
        return _DECODER.decode(content.decode(json.detect_encoding(content), "surrogatepass"))
    except (ValueError, RecursionError) as exc:
        kind = response.headers.get("Content-Type", "no content type")
        raise ValueError(f"{response.status_code} with {kind[:80]!a} that is not JSON") from exc


def _refuse(name: str) -> None:
    # Python reads NaN and Infinity; RFC 8259 §6 does not permit them.
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
