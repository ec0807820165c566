"""How long do several take that do it in turn?"""

import time
from collections.abc import Callable, Mapping


def in_turn(works: Mapping[str, Callable[[], object]], *, rounds: int, times: int) -> dict[str, list[float]]:
    """Return ``{name: seconds for one time, of each round}``; each has a turn a round, in an order that changes."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(-1, rounds):  # the one before connects, and fills caches
        first = max(number, 0) % len(names)
        order = names[first:] + names[:first]
        for name in order[::-1] if number % 2 else order:
            work, started = works[name], time.perf_counter()
            for _ in range(times):
                work()
            if number >= 0:
                taken[name].append((time.perf_counter() - started) / times)
    return taken
