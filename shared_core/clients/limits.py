"""Until when may an attempt wait?

connecting        until  start + connect
sending, reading  until  connected + read, and start + total
each read of a stream    read, anew

and never beyond the deadline of the whole call. `Limit` says how long that is from now, whatever is waited for;
a socket's own timeout cannot: it starts anew with every byte that drips in.
"""

import time

from shared_core.clients.arguments import Timeout


class Limit:
    """The instants, by `time.monotonic`, at which the waits of one attempt end.

    Args:
        timeout: The attempt's own limits.
        seconds: What is left of the whole call.
    """

    __slots__ = ("_began", "_deadline", "_each", "_ends", "_timeout")

    def __init__(self, timeout: Timeout, seconds: float) -> None:
        self._timeout = timeout
        self._began = time.monotonic()
        self._deadline = self._began + seconds
        self._each: float | None = None
        self.connecting()

    def connecting(self) -> None:
        """Begin to bound the making of a connection."""
        self._ends = min(time.monotonic() + self._timeout.connect, self._began + self._timeout.total)

    def extend(self, seconds: float) -> None:
        """Move the attempt's own limits, not the call's, by what is not the service's doing.

        That is the lookup of its name, and the time that the caller takes to make a body.
        """
        self._began += seconds
        self._ends += seconds

    def connected(self) -> None:
        """Begin to bound all that follows it."""
        self._ends = min(time.monotonic() + self._timeout.read, self._began + self._timeout.total)

    def streaming(self) -> None:
        """Begin to bound each read of its own, the reader's own time between two not counted."""
        self._each = self._timeout.read

    def left(self) -> float:
        """Return for how many seconds the next wait may last, above 0.

        Raises:
            TimeoutError: No time is left.
        """
        now = time.monotonic()
        ends = self._ends if self._each is None else now + self._each
        left = min(ends, self._deadline) - now
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    @property
    def is_cut(self) -> bool:
        """Whether it is the whole call's deadline that ends the present wait, and not the attempt's own timeout."""
        return (self._each is None and self._deadline < self._ends) or time.monotonic() >= self._deadline

    def as_pair(self) -> tuple[float, float]:
        """Return what is left as requests' ``(connect, read)``, for a transport that knows no other limit."""
        left = self.left()
        return min(self._timeout.connect, left), min(self._timeout.read, left)
