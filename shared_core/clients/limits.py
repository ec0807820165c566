"""Until when one attempt may wait.

connecting        until  start + connect
sending, reading  until  connected + read, and start + total
each read of a stream    read, anew

and never beyond the deadline of the whole call. A socket's own timeout cannot do this: it starts anew with every byte.
"""

import time
from collections.abc import Callable

from shared_core.clients.arguments import Timeout


class Limit:
    """The moments at which the waits of one attempt end.

    Args:
        timeout: The attempt's own limits.
        seconds: What is left of the whole call.
        clock: Returns seconds. It must not go backwards.
    """

    __slots__ = ("_began", "_clock", "_deadline", "_each", "_ends", "_timeout")

    def __init__(self, timeout: Timeout, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout, self._clock = timeout, clock
        self._began = clock()
        self._deadline = self._began + seconds
        self._each: float | None = None
        self.connecting()

    def connecting(self) -> None:
        """Start the limit of connecting."""
        self._ends = min(self._clock() + self._timeout.connect, self._began + self._timeout.total)

    def extend(self, seconds: float) -> None:
        """Move the attempt's own limits, not the call's, by time that the service did not cause.

        That is the lookup of its name, and the time that the caller takes to make a body.
        """
        self._began += seconds
        self._ends += seconds

    def connected(self) -> None:
        """Start the limit of everything that follows the connecting."""
        self._ends = min(self._clock() + self._timeout.read, self._began + self._timeout.total)

    def streaming(self) -> None:
        """Limit each read by itself from now on. The time that the reader takes between two reads does not count."""
        self._each = self._timeout.read

    def left(self) -> float:
        """Return how many seconds the next wait may last, above 0.

        Raises:
            TimeoutError: No time is left.
        """
        now = self._clock()
        ends = self._ends if self._each is None else now + self._each
        left = min(ends, self._deadline) - now
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    @property
    def ended_by_deadline(self) -> bool:
        """Whether the call's deadline ends the present wait, and not the attempt's own timeout."""
        return (self._each is None and self._deadline < self._ends) or self._clock() >= self._deadline

    def as_pair(self) -> tuple[float, float]:
        """Return what is left as requests' ``(connect, read)``, for a transport that knows no other limit."""
        left = self.left()
        return min(self._timeout.connect, left), min(self._timeout.read, left)
