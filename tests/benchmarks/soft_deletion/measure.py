"""How do two pieces of code compare, measured in turn on fresh rows, and does the ratio keep its bound?"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.benchmarks.figures import Figure, Result, quartiles
from tests.benchmarks.soft_deletion.database import analyze
from tests.benchmarks.turns import Taken, timed

# What frames a transaction is no statement to who counts what a method costs.
FRAME = frozenset({"BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"})
# Times a case: rows deleted and statistics that know nothing of them slow the two down unequally.
TIDIED = 6
COLUMNS = "{:<34} {:>9} {:>10}  {:<14} {:>12} {:>12}  {}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table."""

    case: str
    figure: str
    bound: str = ""
    spread: str = ""  # the middle half of the runs
    queries: str = ""  # ours and the floor's
    floor: str = ""  # a hint: absolute times are noise
    misses: Sequence[str] = ()
    is_unsure: bool = False  # the bound lies within the spread
    told: Figure | None = None  # the figure as all benchmarks tell it

    def result(self) -> Result:
        """Return what the case came to."""
        return Result(self.case, [], [self.told] if self.told else [])

    def __str__(self) -> str:
        verdict = "" if not self.bound else "MISSED" if self.misses else "holds"
        verdict += ", by chance?" if self.bound and self.is_unsure else ""
        return COLUMNS.format(
            self.case, self.figure, self.bound, self.spread, self.queries, self.floor, verdict
        ).rstrip()


HEADING = COLUMNS.format("case", "figure", "bound", "middle half", "queries", "floor", "")


@dataclass
class Code(Taken):
    """What one piece of code took."""

    queries: int = 0
    has_transaction: bool = False

    def time(self, code: Callable[[], object]) -> None:
        """Let it run once; as `timeit`, without the garbage that was made before."""
        gc.disable()
        try:
            wall, cpu = timed(code)
        finally:
            gc.enable()
        self.wall.append(wall)
        self.cpu.append(cpu)


class WrongResultError(Exception):
    """What was measured did not do what it is measured for."""


def in_turn[T](
    prepare: Callable[[], T],
    floor: Callable[[T], object],
    ours: Callable[[T], object],
    *,
    left: Callable[[T], int],
    runs: int,
) -> tuple[Code, Code]:
    """Measure floor, ours, floor, ours …, each run on fresh rows.

    Args:
        prepare: Returns what the code works on, and is not measured.
        floor: What the ratio is to.
        ours: What is measured.
        left: Returns how many rows the code should have changed and has not.
        runs: Of each.

    Raises:
        WrongResultError: There are such rows.
    """
    figures = Code(), Code()
    for code, figure in zip((floor, ours), figures, strict=True):
        # Not timed: it fills caches, counts queries, and shows that both do the same.
        rows = prepare()
        with CaptureQueriesContext(connection) as captured:
            code(rows)
        statements = [query["sql"].split()[0].rstrip(";") for query in captured]
        figure.queries = sum(statement not in FRAME for statement in statements)
        figure.has_transaction = len(statements) > figure.queries
        if number := left(rows):
            raise WrongResultError(f"{'floor' if code is floor else 'ours'} left {number} rows as they were")
    for run in range(runs):
        if run % max(runs // TIDIED, 1) == 0:
            analyze()
        for code, figure in zip((floor, ours), figures, strict=True):
            figure.time(partial(code, prepare()))
    return figures


def compared(case: str, floor: Code, ours: Code, *, bound: float, queries: range, may_begin: bool = True) -> Line:
    """Return the line of a case, with what it misses.

    Args:
        case: Its name.
        floor: What was measured of the floor.
        ours: Likewise.
        bound: The median ratio of a run to its neighbour that must not be passed.
        queries: How many ours may take.
        may_begin: Whether ours may open a transaction.
    """
    told = replace(ours.beside(floor, case, bound), queries=f"{ours.queries} ({floor.queries})")
    ratio, misses = told.figure, []
    if ratio > bound:
        misses.append(f"{ratio:.2f}x of the floor, bound {bound}x")
    if ours.queries not in queries:
        misses.append(f"{ours.queries} queries, bound {_either(queries)}")
    if ours.has_transaction and not may_begin:
        misses.append("it opens a transaction")
    return Line(
        case=case,
        figure=f"{ratio:.2f}x",
        bound=f"<= {bound}x",
        spread=spread(told.raw),
        queries=f"{ours.queries} (floor {floor.queries})",
        floor=milliseconds(floor.median),
        misses=misses,
        is_unsure=told.is_unsure,
        told=told,
    )


def spread(ratios: Sequence[float]) -> str:
    """Return the quartiles for people."""
    low, high = quartiles(ratios)
    return f"{low:.2f} to {high:.2f}"


def milliseconds(seconds: float) -> str:
    """Return a time for people."""
    return f"{seconds * 1000:.2f} ms"


def _either(queries: range) -> str:
    return f"{queries[0]}" if len(queries) == 1 else f"{queries[0]} to {queries[-1]}"
