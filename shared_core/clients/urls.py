"""Which URL does a call go to, and is it one that this client may call?

A path that a caller builds from input must not lead anywhere else: not to another host (``//host``), not out of the
base path (``..``, however it is encoded), not past a parser that reads the text in another way (backslash, userinfo,
line breaks). What might is refused, never repaired.
"""

import functools
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from shared_core.clients.exceptions import UnsafeURL

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

# A path, perhaps with a query, in which nothing is encoded, climbs, or is read in two ways: most of them.
_PLAIN = re.compile(r"/?[A-Za-z0-9_~-][A-Za-z0-9_.~/-]*(\?[A-Za-z0-9_.~=&-]*)?", re.ASCII)

_INTERNAL_SUFFIXES = (".local", ".internal", ".svc")
_INTERNAL_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]


class Origin(NamedTuple):
    """What a token is meant for (RFC 6454 §4): scheme, host and port, in one spelling."""

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


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute http or https URL.

    Raises:
        UnsafeURL: It is none, carries userinfo, or might be read in two ways.
    """
    return _parse(url)[1]


@functools.lru_cache(maxsize=256)
def base_origin(base: str) -> Origin:
    """Return the origin of a client's base URL, remembered."""
    return origin_of(base)


def check_base(url: str) -> str:
    """Return ``url`` where it can be the base of a client: an origin and perhaps a path.

    Raises:
        TypeError: It is no text.
        UnsafeURL: It is no such URL.
    """
    parts, _ = _parse(url)
    if "?" in url or "#" in url:
        raise UnsafeURL("a base URL has no query and no fragment", url=url)
    _check_path(parts.path, url)
    return url


def join(base: str | None, url: str) -> str:
    """Return the absolute URL that ``url`` means to a client with ``base``.

    Args:
        base: A URL that `check_base` let pass, or None: then ``url`` is any absolute http or https URL.
        url: A path under the base, with or without a leading slash, or an absolute URL of its origin and path.

    Raises:
        TypeError: ``url`` is no text.
        UnsafeURL: ``url`` would leave the base.
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
            raise UnsafeURL("the URL lies outside of the client's base URL", url=url)
        return url
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    if path.startswith("//"):
        raise UnsafeURL("a path that begins with // names another host", url=url)
    _check_path(path, url)
    if not path:
        return base + url
    return f"{base.rstrip('/')}/{url.removeprefix('/')}"


def is_plain(url: str) -> bool:
    """Say whether ``url`` is a path that is sent as it stands: the quick way round what `join` and requests look at."""
    return _PLAIN.fullmatch(url) is not None and "/." not in url


def is_internal(host: str) -> bool:
    """Say whether ``host`` can only be one of one's own network.

    That is a name without a dot, one below ``.local``, ``.internal`` or ``.svc``, and a loopback or private address.
    A link-local address is not: clouds serve their instances' secrets from one.
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
    """Raise where ``url`` is no text, or holds what parsers read in different ways.

    Raises:
        TypeError: It is no text.
        UnsafeURL: It holds a control character.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a text, not {type(url).__name__}")
    if _CONTROL.search(url):
        raise UnsafeURL("the URL holds a line break or another control character")


def _parse(url: str) -> tuple[SplitResult, Origin]:
    """Split an absolute URL, or refuse it."""
    check_text(url)
    if url != url.strip():
        raise UnsafeURL("the URL has white space at an edge", url=url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UnsafeURL("the URL cannot be read", url=url) from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise UnsafeURL("the URL must begin with http:// or https:// and a host", url=url)
    if "@" in parts.netloc:
        raise UnsafeURL("the URL carries userinfo; pass auth= instead", url=url)
    if "\\" in url.partition("?")[0]:
        raise UnsafeURL("the URL holds a backslash", url=url)
    # Other than ASCII is left to IDNA, whose result is checked again; an IPv6 address was in brackets.
    if len(host) > _LONGEST_HOST or (host.isascii() and ":" not in host and not _HOST.fullmatch(host)):
        raise UnsafeURL("the URL's host is no name of a host", url=url)
    return parts, Origin(parts.scheme, host.removesuffix("."), _DEFAULT_PORTS[parts.scheme] if port is None else port)


def _check_path(path: str, url: str) -> None:
    """Refuse a path that climbs, also encoded: each hop on the way to the service may decode it once more."""
    decoded = path
    for _ in range(_MAX_ENCODINGS):
        decoded = unquote(decoded)
    if unquote(decoded) != decoded:
        raise UnsafeURL("the path is percent-encoded over and over", url=url)
    if "\\" in decoded:
        raise UnsafeURL("the path holds a backslash", url=url)
    if _CONTROL.search(decoded):
        raise UnsafeURL("the path holds an encoded control character", url=url)
    # "..;x" climbs too, for servers that know path parameters (RFC 3986 §3.3).
    if any(segment.partition(";")[0].strip() == ".." for segment in decoded.split("/")):
        raise UnsafeURL("the path climbs with ..", url=url)
    if decoded.startswith("//"):
        raise UnsafeURL("a path that begins with // names another host", url=url)
