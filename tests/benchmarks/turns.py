"""How long do several take that do the same in turn? What else the machine does meanwhile slows all of them."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.benchmarks.figures import Figure, Ratios

# Prepares one turn, and returns what is measured.
type Work = Callable[[], Callable[[], object]]


@dataclass
class Taken:
    """What one took, in seconds of each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of this process

    @property
    def median(self) -> float:
        """The median, on the wall."""
        return statistics.median(self.wall)

    def beside(self, other: "Taken", what: str, limit: float | None = None) -> Figure:
        """Return what it took beside another, in time and in CPU."""
        cpu = Ratios(self.cpu, other.cpu).median if all(other.cpu) else None
        return Ratios(self.wall, other.wall).figure(what, limit, cpu=cpu)


def in_turn(work: Mapping[str, Work], runs: int) -> dict[str, Taken]:
    """Let each do its work once a round, in an order that changes, and once before, which fills caches and connects.

    Returns:
        ``{name: what it took}``.
    """
    taken = {name: Taken() for name in work}
    for run in range(-1, runs):
        for name in order(list(work), max(run, 0)):
            turn = work[name]()
            gc.collect()
            wall, cpu = timed(turn)
            if run >= 0:
                taken[name].wall.append(wall)
                taken[name].cpu.append(cpu)
    return taken


def timed(turn: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds, and the seconds of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    turn()
    return time.perf_counter() - wall, time.process_time() - cpu


def repeated(work: Callable[[], object], times: int) -> Work:
    """Return what does it so often."""

    def turn() -> None:
        for _ in range(times):
            work()

    return lambda: turn


def order(names: list[str], run: int) -> list[str]:
    """Rotate: each comes at each place as often, and after its neighbour as often as before it."""
    first = run // 2 % len(names)
    rotated = names[first:] + names[:first]
    return rotated[::-1] if run % 2 else rotated
