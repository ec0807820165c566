"""How long does one soft delete take, of many that several clients ask for at the same time?"""

import multiprocessing
import statistics
import time

from tests.benchmarks.figures import Figure
from tests.benchmarks.soft_deletion.measure import Line, milliseconds

CLIENTS = 8
BOUND = 0.050  # seconds, at the 99th percentile


def latency(name: str, seconds: float) -> Line:
    """Let processes insert and delete notes for some seconds.

    Processes, as the workers of a service are: threads would wait for each other in Python, and not for the database.

    Args:
        name: Of the database.
        seconds: How long each works.
    """
    with multiprocessing.get_context("spawn").Pool(CLIENTS, _start, [name]) as pool:
        taken = sorted(one for client in pool.map(_work, [seconds] * CLIENTS, chunksize=1) for one in client)
    percentiles = statistics.quantiles(taken, n=100)
    p50, p99 = percentiles[49], percentiles[98]
    return Line(
        case=f"latency, {CLIENTS} clients, p99",
        figure=milliseconds(p99),
        bound=f"< {BOUND * 1000:.0f} ms",
        spread=f"p50 {milliseconds(p50)}",
        queries=f"of {len(taken):,}",
        told=Figure(
            what=f"99th percentile of one delete, {CLIENTS} processes at once",
            figure=p99 * 1000,
            limit=BOUND * 1000,
            unit=" ms",
            note=f"median {milliseconds(p50)}",
        ),
        misses=[f"p99 of {milliseconds(p99)}, bound {BOUND * 1000:.0f} ms"] if p99 >= BOUND else [],
    )


def _start(name: str) -> None:
    from tests.benchmarks.soft_deletion.database import configure

    configure(name=name)


def _work(seconds: float) -> list[float]:
    """Insert notes and delete them, one at a time; return how long each delete took, in seconds."""
    from tests.benchmarks.soft_deletion.models import Note

    Note.objects.create().delete()  # connects, and compiles what is compiled once
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        note = Note.objects.create()
        start = time.perf_counter()
        note.delete()
        taken.append(time.perf_counter() - start)
    return taken
