"""How many clients does a pool of 20 carry?"""

import functools
import multiprocessing
import operator
from typing import TYPE_CHECKING, Any

from django.db import connections

from tests.benchmarks.figures import Chart, Figure, Result
from tests.benchmarks.running.crowd import Crowd, crowd

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

OURS, DJANGO = "shared_core", "Django's own settings"
AT_LEAST = 0.5  # queries/s of 200 clients, beside those of 20: the pooler and 200 threads share what CPU there is
PROCESSES = 4
CLIENTS, QUERIES = (1, 5, 10, 20, 50, 100, 200), 2_000  # queries of all together
DJANGOS_OWN: dict[str, Any] = {
    "DISABLE_SERVER_SIDE_CURSORS": False,
    "CONN_MAX_AGE": 0,
    "CONN_HEALTH_CHECKS": False,
    "OPTIONS": {},
}


def clients(name: str) -> Result:
    """Measure requests of one query each, by more and more clients, which are the threads of four processes.

    Args:
        name: Of the database.
    """
    aliases = {OURS: "default", DJANGO: "djangos own"}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in aliases}
    slow: dict[str, list[tuple[float, float]]] = {name: [] for name in aliases}
    lines = ["clients, queries/s and the 99th percentile:"]
    for number in CLIENTS:
        for who, alias in aliases.items():
            came = _crowd(name, number, max(QUERIES // number, 10), alias)
            if came.ended != {"finished": number}:
                lines.append(f"  {who}, {number} clients: {dict(came.ended)}")
            rates[who].append((number, came.rate))
            slow[who].append((number, came.slow * 1000))
            lines.append(f"  {who:<24} {number:>4} {came.rate:>8,.0f}/s {came.slow * 1000:>8.1f} ms")
    at = dict(rates[OURS])
    figures = [
        Figure(
            what="queries/s of 200 clients beside those of 20, on 20 server connections",
            figure=at[200] / at[20],
            limit=AT_LEAST,
            at_least=True,
        ),
        Figure(what="queries/s of 200 clients beside Django's own settings", figure=at[200] / rates[DJANGO][-1][1]),
    ]
    charts = [
        Chart(title="clients", x="clients of a pool of 20", y="queries/s", lines=rates),
        Chart(title="clients-slow", x="clients of a pool of 20", y="ms, 99th percentile", lines=slow),
    ]
    return Result("clients", lines, figures, charts)


def _crowd(name: str, clients: int, queries: int, alias: str) -> Crowd:
    """Let them ask, spread over processes as the workers of a service are."""
    spawn, processes = multiprocessing.get_context("spawn"), min(PROCESSES, clients)
    shares = [clients // processes + (number < clients % processes) for number in range(processes)]
    together = spawn.Barrier(processes)
    with spawn.Pool(processes, _start, [name, together]) as pool:
        found = pool.starmap(_ask, [(share, queries, alias) for share in shares], chunksize=1)
    return functools.reduce(operator.add, found)


def _start(name: str, together: "Barrier") -> None:
    from tests.benchmarks.soft_deletion.database import configure

    configure(name=name)
    connections.settings["djangos own"] = {**connections.settings["default"], **DJANGOS_OWN}
    _others.append(together)


def _ask(clients: int, queries: int, alias: str) -> Crowd:
    return crowd(clients, queries, alias=alias, anew=True, others=_others[0])


_others: "list[Barrier]" = []  # of this process: those that begin with it
