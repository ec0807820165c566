"""What becomes of a request that is sent? And when: events in the order of their time."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from enum import Enum

SKIP = 0.002  # seconds, to see that a caller has hung up


class Outcome(Enum):
    """What a caller meets."""

    ANSWERED = "200"
    REFUSED = "no connection"
    BROKEN = "a connection that breaks off"
    TIMED_OUT = "no answer in time"


class Events:
    """What happens, in the order of its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        """Let it happen so many seconds from now."""
        heapq.heappush(self._coming, (self.now + seconds, next(self._number), happens))

    def run(self, until: float) -> None:
        """Let all happen that comes before then."""
        coming = self._coming
        while coming and coming[0][0] < until:
            self.now, _, happens = heapq.heappop(coming)
            happens()
        self.now = until


class Exchange:
    """One request, and whoever waits for its answer."""

    __slots__ = ("_end",)

    def __init__(self, end: Callable[[Outcome], None]) -> None:
        self._end: Callable[[Outcome], None] | None = end

    @property
    def is_waited_for(self) -> bool:
        """Whether its caller has not hung up."""
        return self._end is not None

    def ends(self, outcome: Outcome) -> bool:
        """Tell the caller, and say whether it was still waiting."""
        if self._end is None:
            return False
        end, self._end = self._end, None
        end(outcome)
        return True


class Server:
    """A queue, and workers."""

    def __init__(
        self, events: Events, chance: random.Random, *, workers: int, busy: float, queue: int, skips: bool
    ) -> None:
        """Start one.

        Args:
            events: What happens.
            chance: Decides how long a request takes.
            workers: How many requests are served at once.
            busy: For how many seconds a worker is, with a request, on average.
            queue: How many requests wait.
            skips: Whether those are not begun whose callers have hung up.
        """
        self._events, self._chance, self._skips = events, chance, skips
        self._free, self._workers, self._busy, self._room = workers, workers, busy, queue
        self._queue: deque[Exchange] = deque()
        self._served: dict[Exchange, None] = {}  # in order: a set's would differ with each run
        self.slowness = 1.0  # times as long as it takes in good times
        self.is_up = True
        self.seen = 0  # requests, those that were refused included
        self.wasted = 0  # answers that nobody waited for

    def take(self, request: Exchange) -> None:
        """Serve it, queue it, refuse it, or be too full to say anything."""
        self.seen += 1
        if not self.is_up:
            request.ends(Outcome.REFUSED)
        elif self._free:
            self._serve(request)
        elif len(self._queue) < self._room:
            self._queue.append(request)

    def fail(self) -> None:
        """Lose what it has begun, and refuse what comes."""
        lost = [*self._served, *self._queue]
        self.is_up, self._free = False, self._workers
        self._served.clear()
        self._queue.clear()
        for request in lost:
            request.ends(Outcome.BROKEN)

    def _serve(self, request: Exchange) -> None:
        self._free -= 1
        self._served[request] = None
        if self._skips and not request.is_waited_for:
            takes = SKIP
        else:
            takes = self._chance.expovariate(1 / (self._busy * self.slowness))
        self._events.after(takes, lambda: self._answer(request))

    def _answer(self, request: Exchange) -> None:
        if request not in self._served:  # it failed meanwhile
            return
        del self._served[request]
        self._free += 1
        self.wasted += not request.ends(Outcome.ANSWERED)
        if self._queue:
            self._serve(self._queue.popleft())
