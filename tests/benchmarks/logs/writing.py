"""What does a record cost: to format, to write, and not to write?"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from shared_core import context
from shared_core.logs import TextFormatter
from shared_core.logs.extras import renaming_class
from tests.benchmarks.figures import Figure, Ratios, Result
from tests.benchmarks.logs.records import MESSAGE, REQUEST_ID, extras, records
from tests.benchmarks.logs.tables import COLUMNS, absolute
from tests.benchmarks.logs.writers import JSON_LOGGER, OURS, STANDARD, STANDARD_FORMAT, STRUCTLOG, Write, writers
from tests.benchmarks.turns import Taken, Work, in_turn

FORMAT, RECORD, DISABLED = 2.0, 1.3, 1.05
NULL, FILE = "a null stream", "a file"
# How many times as fast as others. To a file, all wait for the same stat and write, which take what the kernel takes.
RATES = {NULL: {STRUCTLOG: 2.0, JSON_LOGGER: 1.3}, FILE: {STRUCTLOG: 1.8, JSON_LOGGER: 1.2}}


def format_(runs: int, count: int) -> Result:
    """Compare `TextFormatter.format` with the standard formatter's, which renders no fields."""
    ours, theirs = TextFormatter(service="ticket"), logging.Formatter(STANDARD_FORMAT)
    with bound():
        taken = in_turn({OURS: _formatting(ours, count), STANDARD: _formatting(theirs, count)}, runs)
    figure = taken[OURS].beside(taken[STANDARD], f"format() beside {STANDARD}", FORMAT)
    lines = [
        f"format, {runs} rounds of {count} records:",
        COLUMNS.format(f"beside {STANDARD}", figure.spread, figure.said),
    ]
    return Result("format", [*lines, *absolute(taken, count, "record")], [figure])


def record(runs: int, count: int) -> Result:
    """Compare whole records, from the call to their destination."""
    missing = [name for name in ("structlog", "pythonjsonlogger") if not find_spec(name)]
    lines = [f"{name} is not installed, and left out: make bench-logs installs it" for name in missing]
    figures: list[Figure] = []
    for to in (NULL, FILE):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if to == FILE else None
            stack.enter_context(bound())
            work = {name: _writing(write, count) for name, write in writers(folder).items()}
            taken = in_turn(work, runs)
        lines += [f"record, to {to}, {runs} rounds of {count} records:"]
        for name in taken:
            if name == OURS:
                continue
            figure = _beside(name, taken[OURS], taken[name], to)
            figures.append(figure)
            lines.append(COLUMNS.format(figure.what.removesuffix(f", to {to}"), figure.spread, figure.said))
        lines += [*absolute(taken, count, "record"), ""]
    return Result("record", lines, figures)


def disabled(runs: int, count: int) -> Result:
    """Compare calls that are below the logger's level."""
    loggers = {OURS: renaming_class(logging.Logger), STANDARD: logging.Logger}  # as in writers.py
    work = {name: _not_writing(kind("apps", logging.INFO), count * 10) for name, kind in loggers.items()}
    taken = in_turn(work, runs)
    figure = taken[OURS].beside(taken[STANDARD], "a disabled level beside logging's", DISABLED)
    lines = [
        f"disabled, {runs} rounds of {count * 10} calls:",
        COLUMNS.format("beside logging", figure.spread, figure.said),
    ]
    return Result("disabled", [*lines, *absolute(taken, count * 10, "call")], [figure])


@contextmanager
def bound() -> Iterator[None]:
    """Bind the request's id, for others too."""
    with ExitStack() as stack:
        stack.enter_context(context.bind(request_id=REQUEST_ID))
        if find_spec("structlog"):
            import structlog  # where it is installed

            stack.enter_context(structlog.contextvars.bound_contextvars(request_id=REQUEST_ID))
        yield


def _formatting(formatter: logging.Formatter, count: int) -> Work:
    def prepare() -> Callable[[], None]:
        made = list(records(count))

        def work() -> None:
            for one in made:
                formatter.format(one)

        return work

    return prepare


def _writing(write: Write, count: int) -> Work:
    def prepare() -> Callable[[], None]:
        made = extras(count)

        def work() -> None:
            for number, extra in enumerate(made):
                write(number, extra)

        return work

    return prepare


def _not_writing(logger: logging.Logger, count: int) -> Work:
    def work() -> None:
        for number in range(count):
            logger.debug(MESSAGE, number)

    return lambda: work


def _beside(name: str, ours: Taken, theirs: Taken, to: str) -> Figure:
    """Return the time of ours beside theirs, or how many times as fast it is, where that is what is bound."""
    if rate := RATES[to].get(name):
        ratio, cpu = Ratios(theirs.wall, ours.wall), Ratios(theirs.cpu, ours.cpu)
        return ratio.figure(f"faster than {name}, to {to}", rate, at_least=True, cpu=cpu.median)
    return ours.beside(theirs, f"time beside {name}, to {to}", RECORD if name == STANDARD else None)
