"""Identifies a request: its caller, its key, and a fingerprint of what was sent."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from shared_core.auth import ServiceCaller
from shared_core.auth.callers import authorization_of_person

# draft-ietf-httpapi-idempotency-key-header: a text the client chooses. In quotes or not, it is taken as it stands.
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_LONGEST_CALLER, _LONGEST_PATH, _LONGEST_METHOD = 255, 1000, 32  # of the readable columns


class BadKeyError(ValueError):
    """The Idempotency-Key is missing where it is needed, or is none."""


@dataclass(frozen=True)
class Identity:
    """Who asks for what: requests are the same where all of it is the same."""

    caller: str
    method: str
    path: str
    key: str

    @classmethod
    def of(cls, request: HttpRequest, key: str, caller: str) -> Self:
        """Return that of ``request``."""
        return cls(caller, request.method or "", request.path, key)

    @property
    def scope(self) -> str:
        """Its SHA-256, in hexadecimal digits."""
        # As JSON: no two identities have the same text.
        text = json.dumps([self.caller, self.method, self.path, self.key])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def columns(self) -> dict[str, str]:
        """What people read of it."""
        return {
            "caller": self.caller[:_LONGEST_CALLER],
            "method": self.method[:_LONGEST_METHOD],
            "path": self.path[:_LONGEST_PATH],
            "key": self.key,
        }


def key_of(request: HttpRequest, *, required: bool) -> str | None:
    """Return the request's Idempotency-Key; None where it bears none, and needs none.

    Raises:
        BadKeyError: It is needed, or is not 1 to 255 visible characters of ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None and not required:
        return None
    if key is None or not _KEY.fullmatch(key):
        raise BadKeyError("An Idempotency-Key of 1 to 255 visible ASCII characters is needed.")
    return key


def caller_of(request: HttpRequest) -> str:
    """Return the caller: the service that `shared_core.auth` found, and the person that it calls for.

    The person is Django's user. Without one, a keyed digest of the person's Authorization and session cookie stands
    for the person. The token of the service itself is no part: it may be another at each attempt. Empty where nobody
    is known.
    """
    service = str(getattr(request, "service", ""))
    user = getattr(request, "user", None)
    user_id = str(user.pk) if user is not None and user.is_authenticated else ""
    person = "" if user_id and not isinstance(user, ServiceCaller) else _digest_of_person(request)
    # The texts of rows that are stored already, where they can be read in one way only: a JWT's `sub` may be any text.
    if not person and not {"/", "["} & set(service):
        return f"{service}/{user_id}" if user_id else service
    return json.dumps([service, user_id, person])


def _digest_of_person(request: HttpRequest) -> str:
    """Return a text that is the same for what a person sends again, and from which nothing can be guessed."""
    brought = [authorization_of_person(request), request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")]
    if not any(brought):
        return ""
    return salted_hmac(__name__, json.dumps(brought), algorithm="sha256").hexdigest()


def fingerprint_of(request: HttpRequest) -> str:
    """Return the SHA-256 of what was sent: query, content type with its parameters, and body."""
    content_type, body = request.content_type or "", request.body
    parameters = dict(request.content_params or {})
    if parameters.get("charset", "").lower() == "utf-8":  # as without it
        del parameters["charset"]
    pieces = _between_delimiters(body, parameters["boundary"]) if _is_multipart(content_type, parameters) else [body]
    if len(pieces) > 1:
        del parameters["boundary"]
    parts = [
        request.META.get("QUERY_STRING", ""),
        content_type,
        *([sorted(parameters.items())] if parameters else []),
        *(hashlib.sha256(piece).hexdigest() for piece in pieces),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_multipart(content_type: str, parameters: Mapping[str, str]) -> bool:
    return content_type.startswith("multipart/") and bool(parameters.get("boundary"))


def _between_delimiters(body: bytes, boundary: str) -> list[bytes]:
    """Return what is between the delimiters of a form (RFC 2046 §5.1.1), which is sent with another boundary each time.

    Only where each ``--boundary`` in it begins a line and is all of it, so that no parser sees another form. Else the
    whole body.
    """
    first, *rest = pieces = body.split(b"--" + boundary.encode())
    begin_lines = first in {b"", b"\r\n"} and all(piece.endswith(b"\r\n") for piece in rest[:-1])
    are_lines = all(piece.startswith(b"\r\n") for piece in rest[:-1]) and rest[-1:] in ([b"--"], [b"--\r\n"])
    return pieces if begin_lines and are_lines else [body]
