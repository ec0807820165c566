"""How many lines a second does the reader look through for one request?"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from shared_core import context
from shared_core.logs import JsonFormatter, TextFormatter
from tests.benchmarks.figures import Figure, Result
from tests.benchmarks.logs.records import records
from tests.benchmarks.logs.tables import COLUMNS

RATE = 200_000  # lines a second
LINES, OF_A_REQUEST = 400_000, 40
_ROUNDS_AT_MOST = 5


def reader(runs: int, count: int) -> Result:
    """Time `python -m shared_core.logs FILE --request-id ID`, a process with its start, by its CPU seconds."""
    rounds = min(runs, _ROUNDS_AT_MOST)
    lines = [f"reader, {rounds} rounds of {LINES} lines, {OF_A_REQUEST} of them of the request; a core:"]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, formatter in (("text", TextFormatter(service="ticket")), ("JSON", JsonFormatter(service="ticket"))):
            path = Path(folder, name)
            _write(path, formatter)
            rates = [LINES / _seconds(path) for _ in range(rounds)]
            found = Figure(
                what=f"lines a second, {name}",
                figure=statistics.median(rates),
                limit=RATE,
                at_least=True,
                unit="/s",
                low=min(rates),
                high=max(rates),
                raw=rates,
                is_unsure=min(rates) <= RATE <= max(rates),
            )
            figures.append(found)
            said = f"{found.figure:,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"
            size = path.stat().st_size / LINES
            lines.append(COLUMNS.format(f"{name}, {size:.0f} bytes a line", said, found.said))
    return Result("reader", lines, figures)


def _write(path: Path, formatter: TextFormatter | JsonFormatter) -> None:
    with path.open("w") as file:
        for number, record in enumerate(records(LINES)):
            with context.bind(request_id=f"request-{number // OF_A_REQUEST:08}"):
                file.write(f"{formatter.format(record)}\n")


def _seconds(path: Path) -> float:
    """Return how much CPU time a search takes, once its answer is right."""
    asked = f"request-{LINES // OF_A_REQUEST // 2:08}"
    before = os.times()
    found = subprocess.run(
        [sys.executable, "-m", "shared_core.logs", str(path), "--request-id", asked],
        check=True,
        capture_output=True,
        text=True,
    )
    after = os.times()
    assert found.stdout.count(asked) == found.stdout.count("\n") == OF_A_REQUEST
    return after.children_user + after.children_system - before.children_user - before.children_system
