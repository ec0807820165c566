"""Checks of what callers pass. Each raises at the call, names the argument, and shows no secret."""

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from requests.utils import get_auth_from_url
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

# RFC 9110 §5.6.2: what a method and a header's name are made of.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

# RFC 9110 §5.5: no control character but a tab. In bytes, 0x80 to 0x9f may be parts of UTF-8.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_CONTROL_BYTE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Timeout:
    """Limits of one attempt, in seconds: for connecting, for each read, and for all of it."""

    connect: float
    read: float
    total: float

    @classmethod
    def of(cls, value: object) -> "Timeout":
        """Return the limits that ``value`` means: a number for all of it, or ``(connect, read)``."""
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ValueError(f"timeout must be a number or (connect, read), not {value!r}")
            connect, read = (check_seconds("timeout", part) for part in value)
            return cls(connect, read, connect + read)
        seconds = check_seconds("timeout", value)
        return cls(seconds, seconds, seconds)


def check_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return ``value`` where it is a number of seconds above 0, or 0 itself where ``zero``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    # Above TIMEOUT_MAX no lock can wait; NaN is never between.
    if not (0 <= value <= threading.TIMEOUT_MAX) or (value == 0 and not zero):
        raise ValueError(f"{name} must be {'at least' if zero else 'above'} 0 and finite, not {value!r}")
    return float(value)


def check_count(name: str, value: object, *, minimum: int = 0) -> int:
    """Return ``value`` where it is a whole number of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {value!r}")
    return value


def check_method(method: object) -> str:
    """Return ``method`` in capitals where it can be an HTTP method."""
    if not isinstance(method, str):
        raise TypeError(f"method must be a text, not {method!r}")
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"method must be an HTTP method, not {method!r}")
    return method.upper()


def check_headers(headers: Any) -> dict[str, str | bytes | None]:  # Any: the caller's, not yet known to be a mapping
    """Return a copy of ``headers`` where each can be sent; None in place of a value takes a header away."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, not {type(headers).__name__}")
    check_prepared_headers(headers)
    for name, value in headers.items():
        # RFC 9112 §6.1: with another one than the body's own, the service reads a part of the body as a request.
        if value is not None and name.lower() == "transfer-encoding":
            raise ValueError("headers: Transfer-Encoding cannot be set, it follows from the body")
    return dict(headers)


def check_prepared_headers(headers: Mapping[Any, Any]) -> None:  # Any: as above
    """Raise where one of ``headers`` cannot be sent."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no name of a header")
        if value is not None:
            check_header_value(f"headers: the value of {name}", value)


def check_header_value(name: str, value: object) -> None:
    """Raise where a header cannot carry ``value``, which may be a secret and is not shown."""
    if not isinstance(value, str | bytes):
        raise TypeError(f"{name} must be a text, not {type(value).__name__}")
    is_controlled = _CONTROL.search(value) if isinstance(value, str) else _CONTROL_BYTE.search(value)
    if is_controlled or len(value) != len(value.strip()):
        raise ValueError(f"{name} holds a line break, another control character or white space at an edge")
    if isinstance(value, bytes):
        return
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        # From None: the original would show the value.
        raise ValueError(f"{name} holds a character outside of latin-1") from None


def check_proxies(proxies: Any) -> dict[str, str]:  # Any: the caller's, not yet known to be a mapping
    """Return a copy of ``proxies``, as requests takes them, where each can be used."""
    if proxies is None:
        return {}
    if not isinstance(proxies, Mapping) or not all(isinstance(part, str) for pair in proxies.items() for part in pair):
        raise TypeError('proxies must be a mapping such as {"https": "http://proxy:3128"}')
    for scheme, proxy in proxies.items():
        # urllib3 has pools of its own for SOCKS, whose waits have no limit.
        if proxy.lower().startswith("socks"):
            raise ValueError("proxies: SOCKS is not supported, only http and https proxies are")
        if not _is_proxy(proxy_url(proxy)):
            raise ValueError(
                f"proxies: the URL for {scheme!r} cannot be read; it is like http://proxy:3128, "
                "and a name and a password in it are percent-encoded"
            )
    return dict(proxies)


def _is_proxy(url: str) -> bool:
    try:
        parts = parse_url(url)
        ":".join(get_auth_from_url(url)).encode("latin-1")  # the header that carries it can hold no more
    except (ValueError, LocationParseError):
        return False
    return parts.scheme in {"http", "https"} and bool(parts.host)


def proxy_url(proxy: str) -> str:
    """Return the URL of ``proxy``, which may be a host and a port only."""
    return proxy if "://" in proxy else f"http://{proxy}"


def check_verify(verify: Any) -> bool | str:  # Any: the caller's
    """Return ``verify`` where it is whether to verify certificates, or the path of a file or folder of them."""
    if isinstance(verify, bool):
        return verify
    if not isinstance(verify, str | os.PathLike):
        raise TypeError(f"verify must be True, False or a path, not {verify!r}")
    return os.fspath(verify)


def check_cert(cert: Any) -> Any:  # Any: the caller's
    """Return ``cert`` where it is the path of a client's certificate, or a pair with that of its key."""
    paths = cert if isinstance(cert, tuple) and len(cert) == 2 else (cert,)
    if cert is not None and not all(isinstance(path, str | os.PathLike) for path in paths):
        raise TypeError(f"cert must be a path, or a pair of a certificate's and a key's, not {cert!r}")
    return cert if cert is None or not isinstance(cert, tuple) else tuple(map(os.fspath, cert))
