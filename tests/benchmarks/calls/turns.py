"""How long do clients take that call in turn?"""

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connections

from shared_core.context import ContextExecutor
from tests.benchmarks.calls.clients import Get
from tests.benchmarks.calls.server import SIZE, Running, Seen
from tests.benchmarks.turns import order

PATH = "/api/v1/users/0198c0de-0000-7000-8000-000000000042"


class WrongResultError(Exception):
    """What was measured did not do what it is measured for."""


@dataclass(frozen=True)
class Turn:
    """What the calls of one client in one round took."""

    wall: float  # seconds, of all the calls
    cpu: float  # seconds, of this process: the server is another


@dataclass
class Taken:
    """What one client took."""

    turns: list[Turn] = field(default_factory=list)  # one a round
    seen: Seen = field(default_factory=Seen)  # by the server, the turn that is not measured included

    @property
    def wall(self) -> list[float]:
        """Seconds, of each turn."""
        return [turn.wall for turn in self.turns]

    @property
    def cpu(self) -> list[float]:
        """Likewise."""
        return [turn.cpu for turn in self.turns]


class Crew:
    """Threads that call at once."""

    def __init__(self, threads: int, executor: Executor) -> None:
        self.threads, self._executor = threads, executor
        self._wall = self._cpu = 0.0

    def turn(self, get: Get, calls: int) -> Turn:
        """Make so many calls in each thread.

        Raises:
            WrongResultError: One did not return the body.
        """
        # Not off as in `timeit`: what a client leaves to be collected is its own cost, but not its neighbour's.
        gc.collect()
        together = threading.Barrier(self.threads, action=self._start)

        def work() -> None:
            connections["default"].ensure_connection()  # as the thread of a service has one
            together.wait()
            for _ in range(calls):
                if len(get(PATH)) != SIZE:
                    raise WrongResultError("a body is not what the server sent")

        for future in [self._executor.submit(work) for _ in range(self.threads)]:
            future.result()
        return Turn(time.perf_counter() - self._wall, time.process_time() - self._cpu)

    def _start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()


@contextmanager
def crew(threads: int) -> Iterator[Crew]:
    """Keep so many threads for the length of the block; they call with what is bound where a turn begins."""
    with ContextExecutor(threads) as executor:
        yield Crew(threads, executor)


def in_turn(server: Running, gets: Mapping[str, Get], crew: Crew, *, calls: int, runs: int) -> dict[str, Taken]:
    """Let each client have one turn a round.

    Args:
        server: Whom they call.
        gets: ``{name: get}``.
        crew: Who calls.
        calls: How often each of its threads does, in a turn.
        runs: The number of rounds.

    Returns:
        ``{name: what it took}``.

    Raises:
        WrongResultError: A client sent a request twice, or does not keep its connections.
    """
    taken = {name: Taken() for name in gets}
    for run in range(-1, runs):
        for name in order(list(gets), max(run, 0)):
            before = server.seen()
            turn = crew.turn(gets[name], calls)
            taken[name].seen += server.seen() - before
            if run >= 0:  # the one before connects, and fills caches
                taken[name].turns.append(turn)
    expected = (runs + 1) * calls * crew.threads
    for name, one in taken.items():
        if one.seen.requests != expected:
            raise WrongResultError(f"{name}: {one.seen.requests} requests in {expected} calls")
        # Some open one too many now and then, where two threads meet.
        if one.seen.connections > crew.threads + max(crew.threads, expected // 100):
            raise WrongResultError(f"{name}: {one.seen.connections} connections in {expected} calls")
    return taken
