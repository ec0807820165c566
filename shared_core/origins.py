"""The URLs that clients may call: their origin, their base, and how a path is joined to it.

A path that is built from user input must not lead anywhere else: not to another host (``//host``), not out of the base
path (``..``, also encoded), and not past a parser that reads the text differently (backslash, userinfo, line breaks).
Such a URL is refused. It is never repaired.
"""

import functools
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

# More layers of percent-encoding than a client, a proxy, a framework and a view would undo.
_MAX_ENCODINGS = 4

_DEFAULT_PORTS = {"http": 80, "https": 443}

# C0 controls and DEL; parsers differ in which of them they drop.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_HOST = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
# RFC 1035 §2.3.4, in characters. Circuits and log lines keep hosts, and users may choose them.
_LONGEST_HOST = 253
# inet_aton reads a number without dots as an address: 3627734734 is 216.58.206.206.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

# A path, with or without a query, that needs no encoding. Most paths are such.
_PLAIN = re.compile(r"/?[A-Za-z0-9_~-][A-Za-z0-9_.~/-]*(\?[A-Za-z0-9_.~=&-]*)?", re.ASCII)

_INTERNAL_SUFFIXES = (".local", ".internal", ".svc")
_INTERNAL_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]


# How the settings end that say where a service is.
SETTING_SUFFIX = "_SERVICE_URL"


class InvalidURLError(ValueError):
    """A URL that clients do not call. ``reason`` holds nothing of it; ``url`` may hold a secret."""

    def __init__(self, reason: str, url: str = "") -> None:
        super().__init__(reason)
        self.reason, self.url = reason, url


class Origin(NamedTuple):
    """Scheme, host and port in one spelling (RFC 6454 §4): what a token belongs to."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """The host, in brackets where it is an IPv6 address, and the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def setting_of(service: str) -> str:
    """Return the name of the setting that says where ``service`` is: ``user-api`` is at USER_API_SERVICE_URL."""
    return service.upper().replace("-", "_") + SETTING_SUFFIX


def service_of(setting: str) -> str:
    """Return the name of the service whose URL a setting holds, the reverse of `setting_of`."""
    return setting.removesuffix(SETTING_SUFFIX).lower().replace("_", "-")


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute http or https URL.

    Raises:
        InvalidURLError: It is none, carries userinfo, or might be read in two ways.
    """
    return _parse(url)[1]


@functools.lru_cache(maxsize=256)
def base_origin(base: str) -> Origin:
    """Return the origin of a client's base URL, from a cache."""
    return origin_of(base)


def check_base(url: str) -> str:
    """Return ``url`` if it can be the base of a client: an origin, with or without a path.

    Raises:
        TypeError: It is not a text.
        InvalidURLError: It is not such a URL.
    """
    parts, _ = _parse(url)
    if "?" in url or "#" in url:
        raise InvalidURLError("a base URL has no query and no fragment", url)
    _check_path(parts.path, url)
    return url


def fault_of_base(url: object) -> str:
    """Return why ``url`` cannot be the base of a client, in words that hold nothing of it; empty if it can be."""
    try:
        check_base(url)  # type: ignore[arg-type]  # a setting is whatever the service wrote
    except InvalidURLError as exc:
        return exc.reason
    except TypeError:
        return "the URL is not a text"
    return ""


def join(base: str | None, url: str) -> str:
    """Return the absolute URL that ``url`` means to a client with ``base``.

    Args:
        base: A URL that `check_base` accepts. None if ``url`` is any absolute http or https URL.
        url: A path under the base, with or without a leading slash, or an absolute URL of its origin and path.

    Raises:
        TypeError: ``url`` is not a text.
        InvalidURLError: ``url`` would leave the base.
    """
    check_text(url)
    if base is None:
        _parse(url)
        return url
    if _SCHEME.match(url):
        parts, origin = _parse(url)
        _check_path(parts.path, url)
        base_parts, base_origin = _parse(base)
        folder = base_parts.path.rstrip("/")
        if origin != base_origin or not (parts.path == folder or parts.path.startswith(f"{folder}/")):
            raise InvalidURLError("the URL lies outside of the client's base URL", url)
        return url
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    if path.startswith("//"):
        raise InvalidURLError("a path that begins with // names another host", url)
    _check_path(path, url)
    if not path:
        return base + url
    return f"{base.rstrip('/')}/{url.removeprefix('/')}"


def is_plain(url: str) -> bool:
    """Return whether ``url`` is a path in which nothing is encoded, climbs or can be read in two ways."""
    return _PLAIN.fullmatch(url) is not None and "/." not in url


def is_internal(host: str) -> bool:
    """Return whether ``host`` can only be in the service's own network.

    These are names without a dot, names below ``.local``, ``.internal`` or ``.svc``, and loopback and private
    addresses. A link-local address is not internal: clouds serve the secrets of their instances from one.
    """
    host = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
            return False
        return "." not in host or host.endswith(_INTERNAL_SUFFIXES)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _INTERNAL_NETWORKS)


def check_text(url: object) -> None:
    """Raise if ``url`` is not a text, or holds a character that parsers treat differently.

    Raises:
        TypeError: It is not a text.
        InvalidURLError: It holds a control character.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a text, not {type(url).__name__}")
    if _CONTROL.search(url):
        raise InvalidURLError("the URL holds a line break or another control character")


def _parse(url: str) -> tuple[SplitResult, Origin]:
    """Split an absolute URL, or refuse it."""
    check_text(url)
    if url != url.strip():
        raise InvalidURLError("the URL has white space at an edge", url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidURLError("the URL cannot be read", url) from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise InvalidURLError("the URL must begin with http:// or https:// and a host", url)
    if "@" in parts.netloc:
        raise InvalidURLError("the URL carries userinfo; give it to the client as auth= instead", url)
    if "\\" in url.partition("?")[0]:
        raise InvalidURLError("the URL holds a backslash", url)
    # Other than ASCII is left to IDNA, whose result is checked again; an IPv6 address was in brackets.
    if len(host) > _LONGEST_HOST or (host.isascii() and ":" not in host and not _HOST.fullmatch(host)):
        raise InvalidURLError("the URL's host is no name of a host", url)
    return parts, Origin(parts.scheme, host.removesuffix("."), _DEFAULT_PORTS[parts.scheme] if port is None else port)


def _check_path(path: str, url: str) -> None:
    """Refuse a path that climbs, also encoded: each hop on the way to the service may decode it once."""
    decoded = path
    for _ in range(_MAX_ENCODINGS):
        decoded = unquote(decoded)
    if unquote(decoded) != decoded:
        raise InvalidURLError("the path is percent-encoded over and over", url)
    if "\\" in decoded:
        raise InvalidURLError("the path holds a backslash", url)
    if _CONTROL.search(decoded):
        raise InvalidURLError("the path holds an encoded control character", url)
    # "..;x" climbs too, for servers that know path parameters (RFC 3986 §3.3).
    if any(segment.partition(";")[0].strip() == ".." for segment in decoded.split("/")):
        raise InvalidURLError("the path climbs with ..", url)
    if decoded.startswith("//"):
        raise InvalidURLError("a path that begins with // names another host", url)
