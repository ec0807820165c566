"""Which token goes with a call, where does it come from, and may it go there?

A token is a text, or a provider: `ClientCredentials`, or a callable. What a provider gives is kept, process-wide,
until shortly before it expires; one thread at a time fetches it, and the others wait for what that one gets.
"""

import functools
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import quote_plus

import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from shared_core import conf
from shared_core.clients.arguments import check_seconds
from shared_core.clients.exceptions import ServiceError, TokenError, UnsafeURL
from shared_core.clients.urls import Origin, is_internal, origin_of

logger = logging.getLogger("shared_core.http")

# What a token lives where nobody says how long, in seconds.
DEFAULT_LIFETIME = 300.0

# What a header can carry after "Bearer ": no space, no line break (RFC 6750 §2.1 asks for less than this).
_SENDABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)

# Providers whose tokens are kept at once; the one that was not asked for longest makes room.
_MAX_CACHES = 256


class Grant(NamedTuple):
    """A token, and for how many seconds from its request it is good."""

    token: str
    seconds: float = DEFAULT_LIFETIME


class PostForm(Protocol):
    """How a token service is asked: a form is sent by POST, and a call's errors are raised."""

    def __call__(self, url: str, form: dict[str, str], auth: tuple[str, str]) -> requests.Response:
        """Return the answer, status below 400."""


@dataclass(frozen=True)
class ClientCredentials:
    """A token from an OAuth 2 token service, for the service itself (RFC 6749 §4.4, client_secret_basic).

    Raises:
        TypeError: A value is no text.
        ValueError: ``token_url`` is no http or https URL, or ``client_id`` is empty.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None

    def __post_init__(self) -> None:
        for name in ("client_id", "client_secret"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a text, not {type(getattr(self, name)).__name__}")
        if not self.client_id:
            raise ValueError("client_id is empty")
        if self.scope is not None and not isinstance(self.scope, str):
            raise TypeError("scope must be a text, its parts separated by spaces")
        origin_of(self.token_url)

    def fetch(self, post: PostForm) -> Grant:
        """Ask the token service.

        Raises:
            ServiceError: It did not answer, or not with a token.
        """
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        # RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
        auth = (quote_plus(self.client_id), quote_plus(self.client_secret))
        response = post(self.token_url, form, auth)
        try:
            answer = response.json()
            lifetime, kind = answer.get("expires_in"), answer.get("token_type", "Bearer")
            # RFC 6749 §7.1: a client does not use a token of a type that it does not know.
            token = answer["access_token"] if kind.lower() == "bearer" else None
            return _grant((token, DEFAULT_LIFETIME if lifetime is None else float(lifetime)))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # From None: their texts may quote the answer.
            raise TokenError("the token service's answer holds no bearer token", url=self.token_url) from None


type Provider = ClientCredentials | Callable[[], str | tuple[str, float]]
type Token = str | Provider


class TokenCache:
    """What one provider gave last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while a token is fetched
        self._token: str | None = None
        self._fresh_until = 0.0
        self._flight: Future[str] | None = None  # the fetch that is under way

    def get(
        self, fetch: Callable[[], Grant], *, monotonic: Callable[[], float], patience: float, stale: str | None = None
    ) -> str:
        """Return the token, from ``fetch`` where there is none, it has expired or it is ``stale``.

        Args:
            fetch: Asks the provider; raises TokenError.
            monotonic: The clock.
            patience: Seconds to wait for another thread's fetch.
            stale: A token that was refused.

        Raises:
            TokenError: There is none, or not in time.
        """
        with self._lock:
            if self._token is not None and self._token != stale and monotonic() < self._fresh_until:
                return self._token
            under_way = self._flight
            flight: Future[str] = under_way or Future()
            self._flight = flight
        if under_way is not None:
            return _result(under_way, patience)
        began = monotonic()
        try:
            grant = fetch()
        except BaseException as exc:
            with self._lock:
                self._flight = None
            flight.set_exception(exc if isinstance(exc, TokenError) else TokenError("fetching it was interrupted"))
            raise
        with self._lock:
            self._token, self._flight = grant.token, None
            # Early by a tenth, at most 30 s: it must still be good when it arrives.
            self._fresh_until = began + grant.seconds - min(30.0, grant.seconds / 10)
        flight.set_result(grant.token)
        return grant.token


_caches: dict[Provider, TokenCache] = {}  # the one that was asked for last is last
_caches_lock = threading.Lock()


def cache_of(provider: Provider) -> TokenCache:
    """Return where the tokens of ``provider`` are kept: equal providers share them."""
    with _caches_lock:
        cache = _caches.pop(provider) if provider in _caches else TokenCache()
        _caches[provider] = cache
        if len(_caches) > _MAX_CACHES:
            del _caches[next(iter(_caches))]
        return cache


def fetch(provider: Provider, post: PostForm) -> Grant:
    """Ask ``provider`` for a token, past the cache.

    Raises:
        TokenError: It gave none; ``service`` names the token service, or the callable.
    """
    if isinstance(provider, ClientCredentials):
        origin = origin_of(provider.token_url)
        try:
            return provider.fetch(post)
        except ServiceError as exc:
            raise TokenError(
                f"no token: {exc.args[0]}",
                url=provider.token_url,
                method="POST",
                service=str(origin),
                elapsed=exc.elapsed,
                response=exc.response,
                history=exc.history,
                retry_after=exc.retry_after,
                request_id=exc.request_id,
            ) from exc
    name = f"{getattr(provider, '__module__', '')}.{getattr(provider, '__qualname__', type(provider).__qualname__)}"
    try:
        return _grant(provider())
    except Exception as exc:
        raise TokenError(f"no token: it raised {type(exc).__name__}", service=name) from exc


def check_token(token: object, name: str = "token") -> None:
    """Raise where ``token`` is none: neither None, False, a text that can be sent, nor a provider."""
    if token is None or token is False or isinstance(token, ClientCredentials):
        return
    if callable(token):
        if type(token).__hash__ is None:
            raise TypeError(f"{name} must be hashable: what it gives is kept under it")
        return
    if not isinstance(token, str):
        raise TypeError(f"{name} must be a text, a callable or ClientCredentials, not {type(token).__name__}")
    if not _SENDABLE.fullmatch(token):
        raise ValueError(f"{name} is empty, or holds a space, a line break or another character that cannot be sent")


def choose_token(*given: str | bool | Provider | None, origin: Origin, named: bool) -> Token | None:
    """Return the token that goes with a call, or None.

    Args:
        given: What was given by hand, that of the call first; False means none.
        origin: Where the call goes.
        named: Whether the client was made for that origin: then the settings' token may go to it.

    Raises:
        ImproperlyConfigured: A setting holds what is no token.
    """
    for token in given:
        if token is not None:
            return None if isinstance(token, bool) else token
    token = _from_settings()
    if token is None or named or is_trusted(origin):
        return token
    _warn_untrusted(origin)
    return None


def is_trusted(origin: Origin) -> bool:
    """Say whether the settings' token may go to ``origin``: a service that they name, or one's own network."""
    if is_internal(origin.host):
        return True
    for url in conf.get("SERVICE_TRUSTED_ORIGINS", ()):
        try:
            if origin_of(url) == origin:
                return True
        except (UnsafeURL, TypeError) as exc:
            raise ImproperlyConfigured(
                f'SERVICE_TRUSTED_ORIGINS is a list such as ["https://api.example.org"]: {exc}'
            ) from exc
    return any(_is_at(url, origin) for url in conf.ending_with("_SERVICE_URL").values())


def _from_settings() -> Token | None:
    """Return the first token that the settings hold."""
    for name in ("SERVICE_AUTH_TOKEN", "AUTH_TOKEN", "SERVICE_TOKEN_PROVIDER"):
        token = conf.get(name)
        # "" is what an unset environment variable leaves in a setting.
        if token is None or token == "":
            continue
        try:
            if name == "SERVICE_TOKEN_PROVIDER" and isinstance(token, str):
                token = import_string(token)
            check_token(token, name)
        except (ImportError, TypeError, ValueError) as exc:
            raise ImproperlyConfigured(f"{name}: {exc}") from exc
        return None if token is False else token
    return None


@functools.lru_cache(maxsize=_MAX_CACHES)
def _warn_untrusted(origin: Origin) -> None:
    """Say, once for each origin, that the settings' token does not go there, and what would change that."""
    logger.warning(
        "No token is sent to an origin that the settings do not name; "
        "add it to SERVICE_TRUSTED_ORIGINS, or pass token= (token=False to send none)",
        extra={"origin": str(origin)},
    )


def _is_at(url: object, origin: Origin) -> bool:
    """Compare; a setting that is no http URL was not meant for this client, whatever its name."""
    try:
        return isinstance(url, str) and origin_of(url) == origin
    except UnsafeURL:
        return False


def _grant(given: object) -> Grant:
    """Read what a provider gave: a token, or a token and its seconds."""
    token, seconds = given if isinstance(given, tuple) else (given, DEFAULT_LIFETIME)
    if not isinstance(token, str) or not _SENDABLE.fullmatch(token):
        raise ValueError("what the provider gave is no token")
    return Grant(token, check_seconds("the token's lifetime", seconds))


def _result(flight: Future[str], patience: float) -> str:
    try:
        return flight.result(timeout=max(0.0, patience))
    except TimeoutError:
        raise TokenError("another thread's request for it did not end in time") from None
    except TokenError as exc:
        # A copy: each call puts facts of its own on the error that it raises.
        raise copy(exc) from exc.__cause__
