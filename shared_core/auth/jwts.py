"""Verifies JWTs, and finds which service signed them. Needs the extra ``shared-core[jwt]``.

SERVICE_JWT_KEY         what verifies: a shared secret, the PEM of a public key, or a Path to a file with either or with
                        a JWKS (RFC 7517), which is read again when it changes; {"ticket": …} gives each issuer its own
SERVICE_JWT_ALGORITHMS  ["HS256"], or ["RS256", "ES256"]; not both kinds, lest a public key be taken for a secret
SERVICE_JWT_AUDIENCE    what ``aud`` must hold: this service
SERVICE_JWT_ISSUER      whose ``iss`` is accepted, a text or a list; with a key for each issuer, those
SERVICE_JWT_LEEWAY      seconds that clocks may differ, 10
"""

import json
import logging
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.auth.keys import is_jwk, is_key
from shared_core.auth.tokens import State, are_settled, state_of, text_of
from shared_core.service_settings import SHORTEST_KEY, fault_of_secret

logger = logging.getLogger("shared_core.auth")

_SECRET = frozenset({"HS256", "HS384", "HS512"})
_PUBLIC = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"})


# The state of a key's file, {kid: key}, and what is wrong with the file.
type _Read = tuple[State, dict[str | None, Any], str]


class InvalidTokenError(Exception):
    """The token is not accepted; the text says why, and holds nothing of it."""


@dataclass(frozen=True)
class JWTSettings:
    """The settings, as they are written."""

    key: object
    algorithms: object
    audience: object
    issuer: object
    leeway: object

    @classmethod
    def read(cls) -> "JWTSettings | None":
        """Return them, or None where no key is set."""
        if conf.get("SERVICE_JWT_KEY") is None:
            return None
        key, algorithms, audience, issuer = (
            conf.get(f"SERVICE_JWT_{name}") for name in ("KEY", "ALGORITHMS", "AUDIENCE", "ISSUER")
        )
        return cls(key, algorithms, audience, issuer, conf.get("SERVICE_JWT_LEEWAY", 10))


class Verifier:
    """Verifies by one `JWTSettings`.

    Raises:
        ImproperlyConfigured: A setting is missing or wrong, or PyJWT is not installed; the message names it.
    """

    def __init__(self, settings: JWTSettings) -> None:
        try:
            import jwt  # noqa: PLC0415  # an extra
        except ImportError:
            raise ImproperlyConfigured("SERVICE_JWT_KEY needs PyJWT: pip install shared-core[jwt].") from None
        self._jwt: Any = jwt  # Any: a module
        self._decode = jwt.PyJWT().decode_complete  # made once: it takes a fifth of what a token does
        self._algorithms = _algorithms(settings.algorithms)
        self._audience = _text("SERVICE_JWT_AUDIENCE", settings.audience)
        if (
            isinstance(settings.leeway, bool)
            or not isinstance(settings.leeway, int | float)
            or not 0 <= settings.leeway < float("inf")  # nan is neither, and would let in what has expired
        ):
            raise ImproperlyConfigured(f"SERVICE_JWT_LEEWAY={settings.leeway!r} must be seconds, 0 or more.")
        self._leeway = settings.leeway
        self._is_signed_by_each = isinstance(settings.key, Mapping)
        if isinstance(settings.key, Mapping):
            if settings.issuer is not None:
                raise ImproperlyConfigured("SERVICE_JWT_KEY names the issuers: leave SERVICE_JWT_ISSUER out.")
            self._keys = {
                _text("an issuer", name): Key(jwt, key, self._algorithms) for name, key in settings.key.items()
            }
        else:
            key = self._key(settings.key)
            issuers = settings.issuer if isinstance(settings.issuer, list | tuple | set) else [settings.issuer]
            if not issuers:
                raise ImproperlyConfigured("SERVICE_JWT_ISSUER names nobody.")
            self._keys = dict.fromkeys((_text("SERVICE_JWT_ISSUER", issuer) for issuer in issuers), key)

    def service_of(self, token: str) -> str:
        """Return the ``sub`` of a token that holds.

        Raises:
            InvalidTokenError: It does not: its signature, ``alg``, ``crit``, ``iss``, ``aud``, ``exp`` or ``nbf``.
        """
        jwt = self._jwt
        try:
            decoded = self._decode(
                token,
                self._key_of(token).verifying(token),
                algorithms=self._algorithms,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise InvalidTokenError(
                _REASONS.get(type(error).__name__, "malformed, or signed by somebody else")
            ) from None
        except (ValueError, TypeError, OverflowError, RecursionError):  # of JSON that is no token's
            raise InvalidTokenError("malformed") from None
        if "crit" in decoded["header"]:  # RFC 7515 §4.1.11: what the recipient has to understand, and does not
            raise InvalidTokenError("its crit header names an extension that is not known")
        issuer, service = decoded["payload"]["iss"], decoded["payload"]["sub"]
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise InvalidTokenError("issuer is not accepted")
        # What cannot be printed cannot be stored, logged or sent either: a NUL, half of a surrogate pair.
        if not isinstance(service, str) or not service.isprintable():
            raise InvalidTokenError("sub is no name of a service")
        if not service or (self._is_signed_by_each and service != issuer):
            raise InvalidTokenError("sub is not the service that signed it")
        return service

    def faults(self) -> list[str]:
        """Return what is wrong with the files of keys."""
        return [fault for key in dict.fromkeys(self._keys.values()) if (fault := key.fault())]

    def _key(self, source: object) -> "Key":
        return Key(self._jwt, source, self._algorithms)

    def _key_of(self, token: str) -> "Key":
        if not self._is_signed_by_each:
            return next(iter(self._keys.values()))
        # Not believed: it says which key has to verify it.
        payload = token.partition(".")[2].partition(".")[0]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer = claims.get("iss") if isinstance(claims, dict) else None
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise InvalidTokenError("issuer is not accepted")
        return self._keys[issuer]


_REASONS = {
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not valid yet",
    "InvalidAudienceError": "meant for another audience",
    "InvalidAlgorithmError": "signed by an algorithm that is not accepted",
    "InvalidSignatureError": "signed by somebody else",
    "MissingRequiredClaimError": "exp, iss, aud or sub is missing",
}


class Key:
    """What verifies the tokens of an issuer, ready for use; from a file, made ready when that is new or changes."""

    def __init__(self, jwt: Any, source: object, algorithms: Sequence[str]) -> None:  # Any: a module
        self._jwt, self._source, self._algorithms = jwt, source, algorithms
        # All by one assignment: of two threads that read a changed file, neither may keep a part of the other's.
        self._read: _Read = (None, {}, "")
        self._logged_fault = ""
        if isinstance(source, str):
            self._read = None, {None: self._prepared(source)}, ""  # under None the only one
        elif not isinstance(source, Path):
            raise ImproperlyConfigured("SERVICE_JWT_KEY must be a text, a Path, or a dict of these for each issuer.")

    def verifying(self, token: str) -> Any:
        """Return the key for ``token``; InvalidTokenError where there is none, or its file is broken.

        A fault of the file costs the tokens that it verifies, and no other caller.
        """
        _, ready, fault = self._read_what_changed()
        before, self._logged_fault = self._logged_fault, fault
        if fault:
            if fault != before:
                logger.error("Key file not accepted", extra={"reason": fault})
            raise InvalidTokenError("signed by a key whose file cannot be used")
        if (only := ready.get(None)) is not None:
            return only
        key = ready.get(self._jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise InvalidTokenError("signed by a key that is not known")
        return key

    def fault(self) -> str:
        """Return what is wrong with the file, empty for nothing."""
        return self._read_what_changed()[2]

    def _read_what_changed(self) -> _Read:
        path = self._source
        if not isinstance(path, Path):
            return self._read
        now, seen = time.time_ns(), state_of(path)
        if seen is not None and seen == self._read[0]:
            return self._read
        ready, fault = dict[str | None, Any](), ""
        try:
            ready = self._ready(text_of(path).strip())
        except ImproperlyConfigured as error:
            fault = str(error)
        except (OSError, UnicodeDecodeError) as error:
            fault = f"SERVICE_JWT_KEY: {path} cannot be read: {type(error).__name__}."
            seen = None if isinstance(error, OSError) else seen  # whose end may not be seen in the file's state
        # A fault is kept too: to load a broken key may take as long as a hundred requests.
        self._read = read = seen if are_settled([seen], now) else None, ready, fault
        return read

    def _ready(self, text: str) -> dict[str | None, Any]:
        # A secret may begin with a bracket too, and is told from a JWKS by what it holds.
        is_set = is_jwk(text) or (text.startswith("{") and self._algorithms[0] not in _SECRET)
        return self._set(text) if is_set else {None: self._prepared(text)}

    def _set(self, text: str) -> dict[str | None, Any]:
        try:
            keys = self._jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except Exception as error:  # noqa: BLE001  # PyJWT's and cryptography's many, of JSON of another shape
            raise ImproperlyConfigured(
                f'SERVICE_JWT_KEY: the file is no JWKS ({type(error).__name__}): write {{"keys": […]}} around its keys.'
            ) from None
        fitting = [key for key in keys if key.key_type in _kinds(self._algorithms)]
        if not fitting:
            raise ImproperlyConfigured("SERVICE_JWT_KEY: the JWKS has no key for SERVICE_JWT_ALGORITHMS.")
        for key in fitting:
            self._check(key.key)
        return {None: fitting[0].key} if len(fitting) == 1 else {key.key_id or "": key.key for key in fitting}

    def _prepared(self, text: str) -> Any:
        if self._algorithms[0] in _SECRET:
            if "-----BEGIN" in text:
                raise ImproperlyConfigured('SERVICE_JWT_KEY is a PEM: write SERVICE_JWT_ALGORITHMS = ["RS256"].')
            if is_jwk(text):
                raise ImproperlyConfigured(_NO_TEXT)
            self._check(text.encode())
            return text.encode()
        if is_jwk(text):
            raise ImproperlyConfigured(_NO_TEXT)
        for algorithm in self._algorithms:
            try:
                key = self._jwt.get_algorithm_by_name(algorithm).prepare_key(text)
            except Exception:  # noqa: BLE001, S112  # cryptography's and PyJWT's many; the next may fit
                continue
            self._check(key)
            return key
        raise ImproperlyConfigured("SERVICE_JWT_KEY is no PEM of a public key for SERVICE_JWT_ALGORITHMS.")

    def _check(self, key: Any) -> None:
        """Refuse a secret that can be guessed, and a key that signs."""
        if isinstance(key, bytes):
            shortest = max(int(algorithm[2:]) for algorithm in self._algorithms) // 8
            if len(key) < shortest:
                raise ImproperlyConfigured(f"SERVICE_JWT_KEY is shorter than {shortest} bytes (RFC 7518 §3.2).")
            if is_key(key):
                raise ImproperlyConfigured(_IS_KEY)
            if conf.is_exposed() and (fault := _fault_of_bytes(key)):
                raise ImproperlyConfigured(f"SERVICE_JWT_KEY {fault}. {_MAKE}")
        elif not hasattr(key, "verify"):
            raise ImproperlyConfigured(
                "SERVICE_JWT_KEY is a private key: it belongs to who signs; write its public key."
            )


_MAKE = 'Make a secret: python -c "import secrets; print(secrets.token_urlsafe(64))".'
_IS_KEY = (
    "SERVICE_JWT_KEY is a public or private key, a part of one or an encoding of one, and no secret. Write the PEM of "
    'the public key, and SERVICE_JWT_ALGORITHMS = ["RS256"]. For a secret, make one: '
    'python -c "import secrets; print(secrets.token_urlsafe(64))".'
)
_NO_TEXT = 'SERVICE_JWT_KEY is a JWK: write {"keys": [it]} into a file, and Path(file).'


def _fault_of_bytes(key: bytes) -> str:
    """Return what is weak about a secret; of random bytes, which are no text, only whether they are too few."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = ""
    if text.isprintable() and text:
        return fault_of_secret(text, SHORTEST_KEY)
    # Each byte as a character; the words that everybody tries are none of it.
    return fault_of_secret("".join(chr(0x100 + byte) for byte in key), SHORTEST_KEY, words=False)


def _kinds(algorithms: Sequence[str]) -> set[str]:
    """Return the JWKS types (RFC 7518 §6.1) that the algorithms work with."""
    kinds = {"H": "oct", "R": "RSA", "P": "RSA", "E": "EC"}
    return {"OKP" if algorithm == "EdDSA" else kinds[algorithm[0]] for algorithm in algorithms}


def _algorithms(setting: Any) -> list[str]:
    algorithms = list(setting) if isinstance(setting, list | tuple | set) else []
    if not algorithms or not (set(algorithms) <= _SECRET or set(algorithms) <= _PUBLIC):
        raise ImproperlyConfigured(
            f"SERVICE_JWT_ALGORITHMS={setting!r} must be a list of {', '.join(sorted(_SECRET))}, or one of "
            f"{', '.join(sorted(_PUBLIC))}; not of both."
        )
    return algorithms


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ImproperlyConfigured(f"{name} must be a text, not {value!r}.")
    return value
