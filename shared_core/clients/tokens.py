"""The token of a call: where it comes from, and to which origins it may be sent.

A token is a text, or a provider's. What a provider gives is kept, process-wide, until shortly before it expires; one
thread at a time fetches it, and the others wait for what that one gets.
"""

import functools
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy

import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from shared_core import conf
from shared_core.clients.credentials import (
    SENDABLE,
    ClientCredentials,
    ForwardUser,
    Grant,
    PostForm,
    ServiceToken,
    grant_of,
)
from shared_core.clients.exceptions import DeadlineExceeded, ServiceError, TokenError
from shared_core.context.inbound import current_inbound
from shared_core.origins import SETTING_SUFFIX, InvalidURLError, Origin, is_internal, origin_of
from shared_core.timing import Deadline, reset_after_fork

logger = logging.getLogger("shared_core.http")

# Providers whose tokens are kept at once; the one that was not asked for longest makes room.
_MAX_CACHES = 256

# RFC 9110 §5.5: visible characters, and white space between them. As long as `shared_core.auth` reads.
_FORWARDABLE = re.compile(r"(?![ \t])[\t\x20-\x7e\x80-\xff]{1,8192}(?<![ \t])")

type Provider = ClientCredentials | ServiceToken | Callable[[], str | tuple[str, float]]
type Token = str | Provider


class TokenCache:
    """What one provider gave last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while a token is fetched
        self._token: str | None = None
        self._fresh_until = 0.0
        self._flight: Future[str] | None = None  # the fetch that is under way

    def get(
        self, fetch: Callable[[], Grant], *, monotonic: Callable[[], float], patience: float, refused: str | None = None
    ) -> str:
        """Return the token, from ``fetch`` where there is none, it has expired or it is ``refused``.

        Args:
            fetch: Asks the provider; raises TokenError.
            monotonic: The clock.
            patience: Seconds to wait for another thread's fetch.
            refused: A token that the service has refused.

        Raises:
            TokenError: There is none, or not in time.
        """
        deadline = Deadline(patience, monotonic)
        while True:
            with self._lock:
                if self._token is not None and self._token != refused and monotonic() < self._fresh_until:
                    return self._token
                under_way = self._flight
                flight: Future[str] = under_way or Future()
                self._flight = flight
            if under_way is None:
                break
            try:
                return _result(under_way, deadline.left())
            except TokenError as error:
                # That thread's time was up, or it was stopped; which says nothing of the token service.
                if not (isinstance(error.__cause__, DeadlineExceeded) or _is_interruption(error.__cause__)):
                    raise
        began = monotonic()
        try:
            grant = fetch()
        except BaseException as exc:
            with self._lock:
                self._flight = None
            failure = exc if isinstance(exc, TokenError) else TokenError("fetching it was interrupted")
            failure.__cause__ = exc.__cause__ if failure is exc else exc
            flight.set_exception(failure)
            raise
        with self._lock:
            self._token, self._flight = grant.token, None
            # Early by a tenth, at most 30 s: it must still be good when it arrives.
            self._fresh_until = began + grant.seconds - min(30.0, grant.seconds / 10)
        flight.set_result(grant.token)
        return grant.token


class _TokenCaches:
    """The token caches of the process's providers; the one that was asked for last is last."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        # What a thread of the parent was fetching never arrives in the child, and it may have held the lock.
        self._lock = threading.Lock()
        self._caches: dict[Provider, TokenCache] = {}

    def of(self, provider: Provider) -> TokenCache:
        with self._lock:
            cache = self._caches.pop(provider) if provider in self._caches else TokenCache()
            self._caches[provider] = cache
            if len(self._caches) > _MAX_CACHES:
                del self._caches[next(iter(self._caches))]
            return cache


_token_caches = _TokenCaches()


def cache_of(provider: Provider) -> TokenCache:
    """Return the token cache of ``provider``: equal providers share one."""
    return _token_caches.of(provider)


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
                is_outage=exc.is_outage,
            ) from exc
    if isinstance(provider, ServiceToken):
        return provider.mint()
    name = f"{getattr(provider, '__module__', '')}.{getattr(provider, '__qualname__', type(provider).__qualname__)}"
    try:
        return grant_of(provider())
    except Exception as exc:
        raise TokenError(f"no token: it raised {type(exc).__name__}", service=name) from exc


def check_token(token: object, name: str = "token") -> None:
    """Raise where ``token`` is none: neither None, False, a text that can be sent, nor a provider."""
    if token is None or token is False or isinstance(token, ClientCredentials | ServiceToken | ForwardUser):
        return
    if callable(token):
        if type(token).__hash__ is None:
            raise TypeError(f"{name} must be hashable: what it gives is kept under it")
        return
    if not isinstance(token, str):
        raise TypeError(
            f"{name} must be a text, a callable, ClientCredentials, ServiceToken or forward_user(), "
            f"not {type(token).__name__}"
        )
    if not SENDABLE.fullmatch(token):
        raise ValueError(f"{name} is empty, or holds a space, a line break or another character that cannot be sent")


def token_for(
    request: requests.PreparedRequest, given: str | bool | Provider | ForwardUser | None, *, origin: Origin, named: bool
) -> tuple[Token | None, str]:
    """Return the token that goes with a call, or None, and the header that it goes in.

    Args:
        request: Where `forward_user` was given, the user's own Authorization is put on it.
        given: What was given by hand; False means none.
        origin: Where the call goes.
        named: Whether the client was made for that origin: then the settings' token may go to it.

    Raises:
        ImproperlyConfigured: A setting holds what is no token.
        TokenError: The Authorization of the request being served cannot be sent on, or that request has ended.
    """
    if not isinstance(given, ForwardUser):
        if given is not None:
            return (None if isinstance(given, bool) else given), "Authorization"
        return _own_token(origin, named=named), "Authorization"
    inbound = current_inbound()
    authorization = None if inbound is None else inbound.authorization  # read once: another thread may end the request
    if (
        authorization is not None
        and "Authorization" not in request.headers
        and (named or is_trusted(origin))
        and not _is_of_service(authorization)
    ):
        # An error, and not a call without it: the service that is called would take it for this service's own wish.
        if not _FORWARDABLE.fullmatch(authorization):
            # Without the value.
            what = "cannot be sent on" if authorization else "is not kept: that request has ended"
            raise TokenError(f"the Authorization of the request being served {what}", url=str(request.url))
        request.headers["Authorization"] = authorization
    return _own_token(origin, named=named), "X-Service-Authorization"


def _is_of_service(authorization: str) -> bool:
    """Say whether it is the calling service's own token, which the next service must not get."""
    if conf.get("SERVICE_ACCEPTED_TOKENS") is None and conf.get("SERVICE_JWT_KEY") is None:
        return False  # no service is known by a token
    from shared_core.auth.callers import is_of_service  # noqa: PLC0415  # a service that only calls does without it

    return is_of_service(authorization)


def _own_token(origin: Origin, *, named: bool) -> Token | None:
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
        except (InvalidURLError, TypeError) as exc:
            raise ImproperlyConfigured(
                f'SERVICE_TRUSTED_ORIGINS is a list such as ["https://api.example.org"]: {exc}'
            ) from exc
    return any(_is_at(url, origin) for url in conf.ending_with(SETTING_SUFFIX).values())


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
    except InvalidURLError:
        return False


def _is_interruption(cause: BaseException | None) -> bool:
    return cause is not None and not isinstance(cause, Exception)


def _result(flight: Future[str], patience: float) -> str:
    try:
        return flight.result(timeout=patience)
    except TimeoutError:
        raise TokenError("another thread's request for it did not end in time", is_outage=True) from None
    except TokenError as exc:
        # A copy: each call puts facts of its own on the error that it raises.
        raise copy(exc) from exc.__cause__
