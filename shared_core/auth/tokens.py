"""Which static tokens are accepted, and whose are they?

SERVICE_ACCEPTED_TOKENS = {"ticket": ["new token", "old token"], "file": [Path("/run/secrets/file_token")]}

Several for a service, so that one can be replaced while both are in use. A file, as Docker's secrets are, holds one a
line, and is read again when it changes.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_EXAMPLE = 'SERVICE_ACCEPTED_TOKENS = {"ticket": ["a token", Path("/run/secrets/ticket_token")]}'
_SHORTEST = 16  # characters


class AcceptedTokens:
    """The tokens of one SERVICE_ACCEPTED_TOKENS.

    Raises:
        ImproperlyConfigured: It is not of that form, a token is short or two services', or a file cannot be read.
    """

    def __init__(self, setting: Any) -> None:  # Any: whatever the service wrote
        if not isinstance(setting, Mapping):
            raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS must be a dict: write {_EXAMPLE}.")
        self._files: dict[Path, str] = {}  # {file: service}
        self._fixed: dict[bytes, str] = {}  # {digest: service}
        for service, tokens in setting.items():
            if (
                not isinstance(service, str)
                or not service
                or isinstance(tokens, str)
                or not hasattr(tokens, "__iter__")
            ):
                raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS[{service!r}] must be a list: write {_EXAMPLE}.")
            for token in tokens:
                if isinstance(token, Path):
                    self._files[token] = service
                else:
                    _add(self._fixed, token, service)
        # Both by one assignment: of two threads that read a changed file, neither may keep the other's half.
        self._read: tuple[tuple[tuple[int, int, int], ...] | None, dict[bytes, str]] = (None, {})

    def service_of(self, token: str) -> str | None:
        """Return the service whose token it is, or None.

        Looked up by its SHA-256: how long that takes says nothing of tokens that are nearly right.
        """
        if self._files or self._read[0] is None:
            self._read_what_changed()
        return self._read[1].get(hashlib.sha256(token.encode()).digest())

    def _read_what_changed(self) -> None:
        seen = tuple(_state_of(path) for path in self._files)
        if seen != self._read[0]:
            found = dict(self._fixed)
            for path, service in self._files.items():
                for line in filter(None, map(str.strip, _text_of(path).splitlines())):
                    _add(found, line, service)
            self._read = seen, found


def _add(found: dict[bytes, str], token: object, service: str) -> None:
    if not isinstance(token, str) or len(token) < _SHORTEST or token != token.strip():
        # Without the token.
        raise ImproperlyConfigured(
            f"A token of SERVICE_ACCEPTED_TOKENS[{service!r}] is no text of {_SHORTEST} characters or more, without "
            'spaces at its ends. Make one: python -c "import secrets; print(secrets.token_urlsafe(32))".'
        )
    if found.setdefault(hashlib.sha256(token.encode()).digest(), service) != service:
        raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS gives {service!r} a token that another service has too.")


def _state_of(path: Path) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116  # asked for each request: a Path makes its text each time
    except OSError as error:
        raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS: {path} cannot be read: {error.strerror}.") from None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS: {path} cannot be read: {type(error).__name__}.") from None
