"""The request of a call: URL, headers and body, complete but for the token, checked before a connection is made."""

import functools
import json as jsonlib
import uuid
from typing import Any

import requests
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from shared_core.clients.arguments import check_header_value, check_headers, check_prepared_headers
from shared_core.clients.config import Headers
from shared_core.clients.exceptions import UnsafeURL
from shared_core.context.propagation import outgoing_headers
from shared_core.origins import InvalidURLError, is_plain, join, origin_of

IDEMPOTENCY_KEY = "Idempotency-Key"


def prepare(
    method: str,
    url: str,
    *,
    usual: Headers,
    base: str | None = None,
    accept: str | None = None,
    headers: Headers | None = None,
    idempotency_key: str | bool | None = None,
    data: Any = None,  # Any: these are as requests takes them
    json: Any = None,
    params: Any = None,
    files: Any = None,
    auth: Any = None,
    cookies: Any = None,
    hooks: Any = None,
) -> requests.PreparedRequest:
    """Return the request that a call sends.

    Args:
        method: The HTTP method, in capitals.
        url: A path under ``base``, or an absolute URL.
        usual: What the client sends with each call, with an Accept header. It is not changed.
        base: The client's base URL.
        accept: The Accept header, if neither client nor caller sets one.
        headers: What the caller adds. Each layer wins over those before it, and None removes a header.
        idempotency_key: The header of that name; True for a new one.
        data: The body, as requests takes it.
        json: The body, as an object; only without ``data`` and ``files``.
        params: The query, as requests takes it.
        files: As requests takes them.
        auth: As requests takes it. It may add headers.
        cookies: As requests takes them.
        hooks: As requests takes them.

    Raises:
        TypeError: An argument is of the wrong type, or JSON cannot hold ``json``.
        ValueError: An argument cannot be sent.
        UnsafeURL: ``url`` is not one that the client may call.
    """
    merged: CaseInsensitiveDict[str | bytes | None] = CaseInsensitiveDict(usual)
    if accept is not None and merged["Accept"] == "*/*":
        merged["Accept"] = accept
    for name, value in outgoing_headers().items():
        merged.setdefault(name, value)
    length = None
    if headers is not None:
        merged.update(check_headers(headers))
        length = merged.pop("Content-Length", None)
    if (key := _idempotency_key(idempotency_key)) is not None:
        merged[IDEMPOTENCY_KEY] = key
    if json is not None:
        if data is not None or files is not None:
            raise TypeError("json cannot be sent together with data or files")
        data = _encode(json)
        merged.setdefault("Content-Type", "application/json")
    try:
        prepared = requests.PreparedRequest()
        prepared.method = method
        prepared.url = _target(base, url, params)
        for name in [name for name, value in merged.items() if value is None]:
            del merged[name]
        prepared.headers = merged  # type: ignore[assignment]  # bytes are sent as they are
        prepared.hooks = default_hooks()
        prepared.prepare_hooks(hooks)
        if cookies or auth or hooks:  # each of these may read the jar
            prepared.prepare_cookies(cookies or {})
        # Encoded here: of a text, requests before 2.32 counts the characters.
        prepared.prepare_body(data.encode() if isinstance(data, str) else data, files)
        if length is not None:
            _check_length(length, prepared.headers)
        if auth:
            target = str(prepared.url)
            prepared.prepare_auth(auth, target)
            # It may have changed the URL: a host that was not checked is not called.
            _check_same_origin(target, str(prepared.url))
        if auth or cookies:
            check_prepared_headers(prepared.headers)
    except InvalidURLError as exc:
        raise UnsafeURL(exc.reason, url=exc.url) from None
    return prepared


def _target(base: str | None, url: str, params: Any) -> str:  # Any: as requests takes them
    """Return the URL that is sent, encoded by requests unless nothing in it needs that.

    Raises:
        InvalidURLError: The client may not call it, or requests cannot read it or reads another origin.
    """
    if base is not None and not params and isinstance(url, str) and is_plain(url):
        return f"{_encoded_base(base)}/{url.removeprefix('/')}"
    return _encode_url(join(base, url), params)


@functools.lru_cache(maxsize=256)
def _encoded_base(base: str) -> str:
    return _encode_url(base, None).rstrip("/")


def _encode_url(url: str, params: Any) -> str:  # Any: as requests takes them
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, params)
    except requests.exceptions.InvalidURL:
        # From None: the text quotes the URL with its query.
        raise InvalidURLError("the URL cannot be read", url) from None
    _check_same_origin(url, str(prepared.url))
    return str(prepared.url)


def _check_same_origin(url: str, prepared: str) -> None:
    """Raise if requests, which reads URLs with another parser, would call another origin."""
    origin = origin_of(url)
    if origin != origin_of(prepared) and origin.host.isascii():
        raise InvalidURLError("prepared for sending, the URL is one of another origin", url)


def _check_length(length: str | bytes, prepared: Headers) -> None:
    """Raise if ``length`` is not that of the body. The service would read a part of the body as the next request."""
    if (length if isinstance(length, str) else length.decode("latin-1")) != prepared.get("Content-Length", "0"):
        raise ValueError("headers: Content-Length is not the length of the body; leave it out")


def _encode(json: object) -> bytes:
    try:
        return jsonlib.dumps(json, allow_nan=False).encode()
    except TypeError as exc:
        raise TypeError(f"json: {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"json: {exc}") from exc


def _idempotency_key(key: object) -> str | None:
    if key is None or key is False:
        return None
    if key is True:
        return str(uuid.uuid4())
    if not isinstance(key, str):
        raise TypeError(f"idempotency_key must be a text or True, not {type(key).__name__}")
    if not key:
        raise ValueError("idempotency_key is empty")
    check_header_value("idempotency_key", key)
    return key
