"""How many clients does a pool of 20 carry?"""

from typing import Any

from django.db import connections

from tests.benchmarks.figures import Chart, Figure, Result
from tests.benchmarks.running.crowd import crowd

OURS, DJANGO = "shared_core", "Django's own settings"
AT_LEAST = 0.8  # queries/s of 200 clients, beside those of 20
CLIENTS, QUERIES = (1, 5, 10, 20, 50, 100, 200), 2_000  # queries of all together
DJANGOS_OWN: dict[str, Any] = {
    "DISABLE_SERVER_SIDE_CURSORS": False,
    "CONN_MAX_AGE": 0,
    "CONN_HEALTH_CHECKS": False,
    "OPTIONS": {},
}


def clients() -> Result:
    """Measure requests of one query each, by more and more clients."""
    connections.settings["djangos own"] = {**connections.settings["default"], **DJANGOS_OWN}
    aliases = {OURS: "default", DJANGO: "djangos own"}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in aliases}
    slow: dict[str, list[tuple[float, float]]] = {name: [] for name in aliases}
    lines = ["clients, queries/s and the 99th percentile:"]
    for number in CLIENTS:
        for name, alias in aliases.items():
            came = crowd(number, max(QUERIES // number, 10), alias=alias, anew=True)
            if came.ended != {"finished": number}:
                lines.append(f"  {name}, {number} clients: {dict(came.ended)}")
            rates[name].append((number, came.rate))
            slow[name].append((number, came.slow * 1000))
            lines.append(f"  {name:<24} {number:>4} {came.rate:>8,.0f}/s {came.slow * 1000:>8.1f} ms")
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
