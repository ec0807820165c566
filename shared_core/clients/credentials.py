"""Providers of tokens: a token service, a signing key, and the Authorization of the person being served.

A provider stands wherever a token may: `ClientCredentials` asks a token service, `ServiceToken` signs one, any callable
gives what it likes. `forward_user` gives on the token of whoever is being served, with the service's own beside it.
"""

import re
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

import requests

from shared_core.clients.arguments import check_seconds
from shared_core.clients.exceptions import TokenError
from shared_core.origins import origin_of

# Seconds: a token's lifetime if its provider gives none, and how long a token is kept at most.
DEFAULT_LIFETIME = 300.0
_MAX_LIFETIME = 86_400.0

# A lifetime that a token service sends as a text.
_SECONDS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)

# What a header can carry after "Bearer ": no space, no line break (RFC 6750 §2.1 asks for less than this).
SENDABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)


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
            if isinstance(lifetime, str) and _SECONDS.fullmatch(lifetime):
                lifetime = float(lifetime)
            return grant_of((token, DEFAULT_LIFETIME if lifetime is None else lifetime))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # From None: their texts may quote the answer.
            raise TokenError("the token service's answer holds no bearer token", url=self.token_url) from None


@dataclass(frozen=True)
class ServiceToken:
    """A short-lived JWT (RFC 7519) that the service signs itself; needs the extra ``shared-core[jwt]``.

    Its ``iss`` and ``sub`` are ``issuer``, the calling service; its ``aud`` is ``audience``, the called one, or what
    all services accept. ``key`` is a shared secret of 32 bytes or more, or the PEM of a private key where
    ``algorithm`` is RS256, ES256 or one of their like. ``key_id`` is the ``kid`` by which the called service finds it
    in a JWKS of several keys, as there are while one is replaced.

    Raises:
        ImportError: PyJWT is not installed.
        TypeError: A value is of the wrong type.
        ValueError: A value is empty or out of range, or ``key`` does not fit ``algorithm``.
    """

    issuer: str
    audience: str
    key: str = field(repr=False)
    algorithm: str = field(default="HS256", kw_only=True)
    lifetime: float = field(default=300.0, kw_only=True)  # seconds
    key_id: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("issuer", "audience", "key", "algorithm", "key_id"):
            value = getattr(self, name)
            if name == "key_id" and value is None:
                continue
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a text, not {type(value).__name__}")
            if not value:
                raise ValueError(f"{name} is empty")
        if check_seconds("lifetime", self.lifetime) < 1:
            raise ValueError("lifetime must be at least 1 second")
        if self.algorithm.lower() == "none":
            raise ValueError("algorithm must be one that signs")
        if self.algorithm.startswith("HS"):
            self._check_secret()
        try:
            self.mint()
        except ImportError as exc:
            raise ImportError("ServiceToken needs PyJWT: pip install shared-core[jwt]") from exc
        except Exception as exc:  # noqa: BLE001  # PyJWT's and cryptography's own, and TypeError
            # From None: the original may show the key.
            raise ValueError(f"key and algorithm {self.algorithm} do not fit: {type(exc).__name__}") from None

    def _check_secret(self) -> None:
        from shared_core.auth.keys import is_key  # noqa: PLC0415  # a service that only calls does without the rest of it

        if len(self.key.encode()) < 32:
            raise ValueError("key is shorter than the 32 bytes that RFC 7518 section 3.2 asks for")
        if is_key(self.key.encode()):
            raise ValueError("key is a public or private key, a part of one or an encoding of one, and no secret")

    def mint(self) -> Grant:
        """Sign a new token."""
        import jwt  # noqa: PLC0415  # an extra

        now = int(time.time())
        claims: dict[str, Any] = {  # Any: what JSON holds
            "iss": self.issuer, "sub": self.issuer, "aud": self.audience, "iat": now, "exp": now + int(self.lifetime),
        }  # fmt: skip
        headers = None if self.key_id is None else {"kid": self.key_id}
        return Grant(jwt.encode(claims, self.key, algorithm=self.algorithm, headers=headers), int(self.lifetime))


@dataclass(frozen=True)
class ForwardUser:
    """See `forward_user`."""


def forward_user() -> ForwardUser:
    """Return what makes calls in the name of whoever is being served.

    The Authorization of the request being served (`RequestContextMiddleware` must be there) goes on as it is; the token
    of the service itself, from the settings, goes beside it as X-Service-Authorization. Outside of a request only the
    latter is sent. Nothing of the user's is kept once the request has been served, and it goes only where the settings'
    own token may go.

    An Authorization that no header can carry (above 8192 characters, with a control character, or outside of latin-1)
    raises `TokenError` at the call, and nothing is sent: without the user, the call would be the service's own. So does
    a call that is made when a user's request has ended, for example in a thread that outlives it. Under ASGI, a request
    ends when its user hangs up, and the thread of its view runs on.
    """
    return ForwardUser()


def grant_of(given: object) -> Grant:
    """Read what a provider gave: a token, or a token and its seconds.

    Raises:
        TypeError: The seconds are not a number.
        ValueError: There is no token that a header can carry, or the seconds are not above 0.
    """
    token, seconds = given if isinstance(given, tuple) else (given, DEFAULT_LIFETIME)
    if not isinstance(token, str) or not SENDABLE.fullmatch(token):
        raise ValueError("what the provider gave is no token")
    if isinstance(seconds, int | float):
        seconds = min(seconds, _MAX_LIFETIME)
    return Grant(token, check_seconds("the token's lifetime", seconds))
