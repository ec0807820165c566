"""Knows the static tokens that are accepted, and which service each belongs to.

SERVICE_ACCEPTED_TOKENS = {
    "ticket": ["new token", "old token"],        # several, so that one can be replaced while both are in use
    "file": [Path("/run/secrets/file_token")],   # a file, as Docker's secrets are, with a token a line
    "*": [Path("/run/tokens")],                  # a folder with a file for each service, named after it: a-z, 0-9, "-"
}

Files and folders are read again when they change. A fault in a file costs the tokens that have it, and no others; it is
logged once.
"""

import errno
import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.service_settings import (
    EACH_SERVICE,
    SERVICE_NAME,
    SHORTEST_TOKEN,
    entry_name,
    fault_of_secret,
    form_of_token,
)

logger = logging.getLogger("shared_core.auth")

_EXAMPLE = 'SERVICE_ACCEPTED_TOKENS = {"ticket": ["a token", Path("/run/secrets/ticket_token")]}'

# Seconds. Where a file has changed within the last ones, its times may stay the same if it changes again: file systems
# count in ticks, some in whole seconds.
_SETTLED_AFTER = 2

# Errors whose end is seen in a file's state: it is made, made readable, or becomes a file. The end of all others, for
# example of too many open files, is seen by reading again.
_LASTING = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL})

_HIDDEN = "."  # Kubernetes keeps what its links lead to in folders that begin with two dots
_MOST_SHOWN = 5  # names of files

type State = tuple[int, int, int, int] | None  # None: not there


@dataclass(frozen=True)
class _Found:
    """What files and folders held when they were read."""

    tokens: Mapping[bytes, str]  # {digest: service}
    faults: Mapping[Path, str]  # what is wrong with each file or folder
    watched: tuple[Path, ...] = ()
    states: tuple[State, ...] | None = None  # of each; None: to be read again


class AcceptedTokens:
    """The tokens of one SERVICE_ACCEPTED_TOKENS.

    Raises:
        ImproperlyConfigured: It is not of that form, or a token written in it is short or two services'.
    """

    def __init__(self, setting: Any) -> None:  # Any: whatever the service wrote
        if not isinstance(setting, Mapping):
            raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS must be a dict: write {_EXAMPLE}.")
        self._is_exposed = conf.is_exposed()
        self._folders: list[Path] = []
        self._files: list[tuple[Path, str]] = []  # and the service of each
        self._fixed: dict[bytes, str] = {}  # {digest: service}
        # Written the wrong way round, the names are the tokens: none of these is shown.
        self._shown: dict[object, str] = {
            service: entry_name(service, number) for number, service in enumerate(setting, start=1)
        }
        for service, tokens in setting.items():
            if (
                not isinstance(service, str)
                or not service
                or isinstance(tokens, str)
                or not hasattr(tokens, "__iter__")
            ):
                raise ImproperlyConfigured(f"{self._where(service)} must be a list: write {_EXAMPLE}.")
            for token in tokens:
                self._add(service, token)
        self._found = _Found(self._fixed, {})
        self._lock = threading.Lock()

    def service_of(self, token: str) -> str | None:
        """Return the service whose token it is, or None.

        Looked up by its SHA-256: how long that takes says nothing of tokens that are nearly right.
        """
        if self._folders or self._files:
            self._read_what_changed()
        return self._found.tokens.get(_digest(token))

    def read(self) -> _Found:
        """Return what is accepted now, and what is wrong with the files."""
        now, folders = time.time_ns(), tuple(self._folders)
        faults: dict[Path, str] = {}
        is_lasting = True
        states = [state_of(folder) for folder in folders]
        files, watched = [*self._files], list[Path]()
        for folder in folders:
            try:
                paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(_HIDDEN)]
            except OSError as error:
                faults[folder] = f"cannot be read: {error.strerror}"
                is_lasting &= error.errno in _LASTING
                continue
            watched += paths  # folders and broken links too: they may become files
            found, fault = _files_of_services(paths)
            files += [(path, path.name) for path in found]
            if fault:
                faults[folder] = fault
        watched = [*dict.fromkeys([*watched, *(path for path, _ in files)])]
        states += [state_of(path) for path in watched]
        tokens, shared = dict(self._fixed), set()
        for path, service in files:
            wrong = []
            try:
                text = text_of(path)
            except OSError as error:
                faults[path] = f"cannot be read: {error.strerror}"
                is_lasting &= error.errno in _LASTING
                continue
            except UnicodeDecodeError:
                faults[path] = "cannot be read: it is no text"
                continue
            for digest, fault in self._tokens_of(text, service):
                if not fault and tokens.setdefault(digest, service) != service:
                    shared.add(digest)
                    other = self._shown.get(tokens[digest], tokens[digest])
                    fault = f"is a token of {other} too, and is accepted from neither"  # noqa: PLW2901
                wrong += [fault] if fault else []
            if wrong:
                faults[path] = "; ".join(wrong)
        return _Found(
            {digest: service for digest, service in tokens.items() if digest not in shared},
            faults,
            (*folders, *watched),
            tuple(states) if is_lasting and are_settled(states, now) else None,
        )

    def _add(self, service: str, token: object) -> None:
        if isinstance(token, Path):
            if service == EACH_SERVICE:
                self._folders.append(token)
            else:
                self._files.append((token, service))
            return
        where = self._where(service)
        if service == EACH_SERVICE:
            raise ImproperlyConfigured(f'{where} must be a list of folders: write {{"*": [Path("/run/tokens")]}}.')
        if not isinstance(token, str) or len(token) < SHORTEST_TOKEN or token != token.strip():
            # Without the token.
            raise ImproperlyConfigured(
                f"A token of {where} is no text of {SHORTEST_TOKEN} characters or more, without spaces at its ends. "
                'Make one: python -c "import secrets; print(secrets.token_urlsafe(32))".'
            )
        if fault := self._fault_of(token, service):
            logger.error("Token not accepted", extra={"reason": f"a token of {where} {fault}"})
        elif self._fixed.setdefault(_digest(token), service) != service:
            raise ImproperlyConfigured(
                f"SERVICE_ACCEPTED_TOKENS gives {self._name(service)} a token that another service has too."
            )

    def _where(self, service: object) -> str:
        return f"SERVICE_ACCEPTED_TOKENS[{self._name(service)}]"

    def _name(self, service: object) -> str:
        is_shown = not service or service == EACH_SERVICE or self._shown[service] == service
        return repr(service) if is_shown else self._shown[service]

    def _read_what_changed(self) -> None:
        if self._is_as_it_was():
            return
        with self._lock:
            if self._is_as_it_was():  # another thread has read it meanwhile
                return
            before, self._found = self._found.faults, self.read()
            for path, fault in self._found.faults.items():
                if before.get(path) != fault:
                    logger.error("Token file not accepted", extra={"reason": f"{path} {fault}"})

    def _is_as_it_was(self) -> bool:
        found = self._found
        return found.states is not None and found.states == tuple(map(state_of, found.watched))

    def _tokens_of(self, text: str, service: str) -> Iterator[tuple[bytes, str]]:
        """Yield the digest of each token in a file's text, and what is wrong with it: nothing, as a rule."""
        lines = enumerate(text.splitlines(), start=1)
        tokens = [(number, token) for number, line in lines if (token := line.strip())]
        if not tokens:
            yield b"", "holds no token"
        for number, token in tokens:
            fault = self._fault_of(token, service)
            yield _digest(token), f"line {number} {fault}" if fault else ""

    def _fault_of(self, token: str, service: str) -> str:
        is_weak = fault_of_secret(token, SHORTEST_TOKEN, name=service) if self._is_exposed else ""
        return form_of_token(token) or is_weak


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _files_of_services(paths: Iterable[Path]) -> tuple[list[Path], str]:
    """Return the files of a folder that are named after services, and what is wrong with the others."""
    found, misnamed = list[Path](), list[Path]()
    for path in paths:
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:  # a link to nothing
            continue
        except OSError:
            is_file = True  # as far as anybody can tell: reading it says why not
        if is_file:
            (found if SERVICE_NAME.fullmatch(path.name) else misnamed).append(path)
    # An editor's copy of a file would let in what was revoked, or make its tokens those of two services.
    names = [repr(path.name) if len(path.name) < SHORTEST_TOKEN else "a longer one" for path in misnamed[:_MOST_SHOWN]]
    names += ["…"] if len(misnamed) > _MOST_SHOWN else []
    fault = f"holds files that no service is named like, and that are not read: {', '.join(names)}" if misnamed else ""
    return found, fault


def text_of(path: Path) -> str:
    """Return what a file holds.

    Raises:
        OSError: It cannot be read, or is no file: reading a pipe, all callers would wait for who writes to it.
        UnicodeDecodeError: It is no text.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    return path.read_text("utf-8-sig")


def state_of(path: Path) -> State:
    """Return what changes when a file or a folder does: not even who sets its times back can set st_ctime."""
    try:
        status = os.stat(path)  # noqa: PTH116  # asked for each request: a Path makes its text each time
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def are_settled(states: Iterable[State], now: int) -> bool:
    """Say whether the next change will be seen in these states, which were taken at ``now``, in nanoseconds."""
    return all(state is None or state[2] < now - _SETTLED_AFTER * 10**9 for state in states)
