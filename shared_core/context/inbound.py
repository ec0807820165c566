"""What the request being served brought along for the calls that are made for it, and that no log line shows."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared_core.context.bindings import Bindings, set_bindings

# X-Request-Deadline: the seconds that the caller will still wait, decimal. Not a time of day: clocks differ.
_SECONDS_LEFT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class Inbound:
    """What the request being served brought along for the calls that are made for it, and that no log line tells.

    Args:
        deadline: Its X-Request-Deadline; counts from here. What is no decimal number of seconds is ignored.
        authorization: Its Authorization.
    """

    def __init__(self, deadline: str | None = None, authorization: str | None = None) -> None:
        match = _SECONDS_LEFT.fullmatch(deadline or "")
        self._ends = time.monotonic() + float(match[0]) if match else None
        self._authorization = authorization or None

    def end(self) -> None:
        """Forget it all, also for threads and tasks that outlive the request: nobody waits for them any more."""
        self._ends = None
        if self._authorization:
            self._authorization = ""  # not None: what is called for it now is called for that person, or not at all

    def forget_authorization(self, authorization: str | None) -> None:
        """Forget ``authorization``, where that is what came with the request: it is no person's."""
        if authorization == self._authorization:
            self._authorization = None

    def seconds_left(self, now: float | None = None) -> float | None:
        """Return how long the caller still waits, 0 and below if it has gone; None if it did not say.

        Args:
            now: The time by the clock of a call, which a test may move on; by default `time.monotonic`.
        """
        return None if self._ends is None else self._ends - (time.monotonic() if now is None else now)

    @property
    def authorization(self) -> str | None:
        """The caller's own Authorization header, empty once the request has ended; None if there is none."""
        return self._authorization


_inbound: ContextVar[Inbound | None] = ContextVar("shared_core.inbound", default=None)

# What the request being served brought along, or None outside of one.
current_inbound = _inbound.get


@contextmanager
def serving_request(inbound: Inbound, bindings: Bindings) -> Iterator[None]:
    """Make ``inbound`` the request being served, and ``bindings`` what is bound, for the length of the block."""
    token = _inbound.set(inbound)
    try:
        with set_bindings(bindings):
            yield
    finally:
        _inbound.reset(token)
