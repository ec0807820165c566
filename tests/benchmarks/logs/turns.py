"""How long do writers take that write in turn?"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

# Prepares one turn, and returns what is measured.
type Work = Callable[[], Callable[[], None]]

COLUMNS = "  {:<44} {:<26} {}"


def in_turn(work: Mapping[str, Work], runs: int) -> dict[str, list[float]]:
    """Let each do its work once a round, and once before.

    Returns:
        ``{name: seconds of each round}``.
    """
    taken: dict[str, list[float]] = {name: [] for name in work}
    for run in range(-1, runs):
        for name in _order(list(work), max(run, 0)):
            turn = work[name]()
            gc.collect()
            started = time.perf_counter()
            turn()
            if run >= 0:  # the one before fills caches
                taken[name].append(time.perf_counter() - started)
    return taken


def absolute(taken: Mapping[str, list[float]], count: int, what: str) -> list[str]:
    """Return the table of medians."""
    lines = [f"  this machine's medians, a {what}"]
    return lines + [f"    {name:<42} {statistics.median(one) / count * 1e6:8.2f} us" for name, one in taken.items()]


def _order(names: list[str], run: int) -> list[str]:
    first = run // 2 % len(names)
    order = names[first:] + names[:first]
    return order[::-1] if run % 2 else order
