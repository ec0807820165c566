"""What becomes of many clients that ask at once, each on a connection of its own to the pooler?"""

import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier


@dataclass
class Crowd:
    """What came of it."""

    ended: Counter[str] = field(default_factory=Counter)  # "finished", or the error's name
    servers: set[int] = field(default_factory=set)  # PostgreSQL's processes that were met
    waited: list[float] = field(default_factory=list)  # seconds, of each query
    seconds: float = 0.0  # of all together

    def __add__(self, other: "Crowd") -> "Crowd":
        return Crowd(
            self.ended + other.ended,
            self.servers | other.servers,
            self.waited + other.waited,
            max(self.seconds, other.seconds),
        )

    @property
    def rate(self) -> float:
        """Queries a second."""
        return len(self.waited) / self.seconds

    @property
    def slow(self) -> float:
        """The 99th percentile of what a query took, in seconds."""
        return statistics.quantiles(self.waited, n=100)[98]


def crowd(
    clients: int, queries: int, *, alias: str = "default", anew: bool = False, others: "Barrier | None" = None
) -> Crowd:
    """Let so many threads ask so often, each time for 2 ms.

    Args:
        clients: How many.
        queries: Of each.
        alias: By which settings.
        anew: Whether each query is of another request, so that connections are closed as the settings say.
        others: Where the crowds of other processes are met, to begin together.
    """
    found, together = Crowd(), threading.Barrier(clients + 1)

    def work() -> None:
        try:
            connection = connections[alias]
            connection.ensure_connection()
            together.wait(120)
            for _ in range(queries):
                started = time.perf_counter()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid(), pg_sleep(0.002)")
                    found.servers.add(cursor.fetchone()[0])
                if anew:
                    connection.close_if_unusable_or_obsolete()
                found.waited.append(time.perf_counter() - started)
            found.ended["finished"] += 1
        except Exception as error:  # noqa: BLE001  # counted
            found.ended[type(error).__name__] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while together.n_waiting < clients and not together.broken:
        time.sleep(0.01)
    if others is not None:
        others.wait(120)
    together.wait(120)
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    found.seconds = time.perf_counter() - started
    return found
