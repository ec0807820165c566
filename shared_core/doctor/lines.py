"""A line of the report: ``ok``, ``warn`` or ``FAIL``, the topic, what was found, and what to do."""

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import names_beginning_with, read
from shared_core.logs.redaction import MASK, is_secret_key, mask_text
from shared_core.timing import Deadline

_COLOURS = {"ok": 32, "warn": 33, "FAIL": 31}  # SGR: green, yellow, red
_MAX_LENGTH = 600  # characters of a text from elsewhere
# A shorter one is a word, which stands in texts for itself.
_MIN_SECRET_LENGTH = 8


@dataclass(frozen=True)
class Line:
    """One line of the page."""

    mark: Literal["ok", "warn", "FAIL"]
    topic: str
    text: str
    hint: str = ""  # what to do

    def as_text(self, *, colour: bool = False) -> str:
        """Return it as it is printed, without an end."""
        mark = f"\x1b[{_COLOURS[self.mark]}m{self.mark}\x1b[0m" if colour else self.mark
        end = "" if self.text.endswith("?") else "."
        said = f"{self.text}{end} {self.hint}" if self.hint else self.text
        return f"{mark}{' ' * (6 - len(self.mark))}{self.topic:<11} {single_line(said)}"


def single_line(text: str) -> str:
    """Return ``text`` on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def sanitize(text: object) -> str:
    """Return what somebody else has said, as an error or a check, without the secrets of the environment."""
    return without_secrets(mask_text(single_line(str(text))))[:_MAX_LENGTH].rstrip(". ")


def without_secrets(text: str) -> str:
    """Return ``text``, a hint that may name a secret's variable and show how it is written, without those in use."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def describe_error(error: BaseException) -> str:
    """Return what ``error`` says; of configuration's own errors without their type."""
    text = sanitize(error)
    return text if isinstance(error, ImproperlyConfigured) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def environment_values() -> dict[str, str]:
    """Return what is set in the environment, and in the .env where that can be read."""
    try:
        return {name: read(name) for name in names_beginning_with("")}
    except (OSError, ValueError):
        return dict(os.environ)


def _secrets() -> Iterator[str]:
    """Yield the secrets of the environment, the .env and the settings."""
    if settings.configured:
        found = [str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()]
        with suppress(ImproperlyConfigured):  # it is not set
            found.append(str(settings.SECRET_KEY))
        yield from (secret for secret in found if len(secret) >= _MIN_SECRET_LENGTH)
    for name, value in environment_values().items():
        # A variable may hold several.
        found = [value, *re.split(r"[,=\s]+", value)] if is_secret_key(name) else []
        if "://" in value:
            # Not as a parser sees it: a password that was not quoted ends for that at its first of these, and its error
            # tells the part before.
            password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
            found += [password, unquote(password), *re.split("[:/?#@]", password)]
        yield from (secret for secret in found if len(secret) >= _MIN_SECRET_LENGTH)


class TimedCheck:
    """A check that may hang, run in a thread of its own."""

    def __init__(self, topic: str, ask: Callable[[], Iterable[Line]], *, timeout: float) -> None:
        """Start the check, which may take ``timeout`` seconds."""
        self._topic, self._run_check, self._timeout = topic, ask, timeout
        self._deadline = Deadline(timeout)
        self._found: list[Line] = []
        # A daemon: what hangs does not keep the program.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.extend(self._run_check())
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is a line of the page
            self._found.append(Line("FAIL", self._topic, describe_error(error)))

    def lines(self) -> list[Line]:
        """Return the lines once the check has ended, or what it found within the timeout."""
        self._thread.join(self._deadline.left())
        if not self._thread.is_alive():
            return self._found
        return [*self._found, Line("FAIL", self._topic, f"no answer within {self._timeout:.1f} s")]
