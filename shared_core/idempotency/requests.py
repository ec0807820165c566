"""Which request is this, of whom, and is it the same as before?"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Self

from django.http import HttpRequest

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
    """Return who asks: the service that `shared_core.auth` found, and Django's user; empty for nobody known."""
    service = getattr(request, "service", "")
    user = getattr(request, "user", None)
    user_id = str(user.pk) if user is not None and user.is_authenticated else ""
    return f"{service}/{user_id}" if user_id else str(service)


def fingerprint_of(request: HttpRequest) -> str:
    """Return the SHA-256 of what was sent: query, content type and body."""
    body = request.body
    # A form with files is sent with a boundary that is another each time.
    if boundary := (request.content_params or {}).get("boundary"):
        body = body.replace(boundary.encode(), b"")
    parts = [request.META.get("QUERY_STRING", ""), request.content_type or "", hashlib.sha256(body).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
