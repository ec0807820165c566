"""See the package's docstring."""

import argparse
import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.benchmarks import figures
from tests.benchmarks.figures import Chart, Figure, Result
from tests.benchmarks.storm.callers import OURS, RULES
from tests.benchmarks.storm.story import (
    BACK,
    BROWN_OUT,
    BUSY,
    CALLS,
    END,
    OUTAGE,
    STEADY,
    WELL_AGAIN,
    WORKERS,
    Shape,
    Told,
    tell,
)

CAPACITY = WORKERS / BUSY / CALLS  # of the load of good times
SOON = 12  # seconds
_HEAD = ("", "load", "answered", "well after", "load", "peak after", "well after")
_LINE = "  {:<22}{:>8}{:>10}{:>16}{:>8}{:>12}{:>16}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rules that are asked for and print what they come to; return 1 where a bound is missed."""
    options = _options(arguments)
    rules = [rule for rule in RULES if rule.name in (options.rules or [rule.name for rule in RULES])]
    shapes = [Shape(options.processes, options.servers, is_one_service) for is_one_service in (True, False)]
    with ProcessPoolExecutor() as pool:
        tellings = list(pool.map(tell, *zip(*itertools.product(rules, shapes), strict=True)))
    kept = figures.Told()
    for shape in shapes:
        kept.tell(_result(shape, [told for told in tellings if told.shape == shape]))
    return kept.end(options.json)


def _result(shape: Shape, tellings: Sequence[Told]) -> Result:
    lines = [
        f"storm, {shape}: {shape.processes:,} processes, {shape.servers} servers that bear a load of {CAPACITY:.2f}",
        _LINE.format("", "", "brown-out", "", "", "outage", ""),
        _LINE.format(*_HEAD),
    ]
    found: list[Figure] = []
    for told in tellings:
        of_it = _figures(told)
        lines.append(_LINE.format(told.rule, *(f"{figure.figure:g}{figure.unit}" for figure in of_it)))
        found += of_it
    return Result(f"storm, {shape}", lines, found, _charts(shape, tellings))


def _figures(told: Told) -> list[Figure]:
    is_bound = told.rule == OURS.name
    soon, most = (SOON, CAPACITY) if is_bound else (None, None)
    return [
        _figure(told, "load in a brown-out", told.load(BROWN_OUT, WELL_AGAIN)),
        _figure(told, "calls answered in a brown-out", told.goodput(BROWN_OUT, WELL_AGAIN)),
        _recovery(told, "a brown-out", WELL_AGAIN, OUTAGE, soon),
        _figure(told, "load in an outage", told.load(OUTAGE, BACK)),
        _figure(
            told, f"highest load of a second, from {STEADY} s after an outage", told.peak(BACK + STEADY, END), most
        ),
        _recovery(told, "an outage", BACK, END, soon),
    ]


def _figure(told: Told, what: str, figure: float, limit: float | None = None) -> Figure:
    return Figure(what=f"{what}, {told.rule}", figure=round(figure, 2), limit=limit, unit="")


def _recovery(told: Told, after: str, back: int, end: int, limit: float | None) -> Figure:
    seconds = told.recovery(back, end)
    return Figure(
        what=f"until all is well after {after}, {told.rule}",
        figure=end - back if seconds is None else seconds,
        limit=limit,
        unit=" s and more" if seconds is None else " s",
    )


def _charts(shape: Shape, tellings: Sequence[Told]) -> list[Chart]:
    def chart(of: str, y: str, figures: dict[str, list[int]]) -> Chart:
        demand = CALLS * shape.servers
        return Chart(
            title=f"{shape}, {of}",
            x="seconds",
            y=y,
            lines={
                rule: [(second, round(figure / demand, 3)) for second, figure in enumerate(seconds)]
                for rule, seconds in figures.items()
            },
            is_logarithmic=False,
            spans={"brown-out": (BROWN_OUT, WELL_AGAIN), "outage": (OUTAGE, BACK)},
        )

    return [
        chart("load", "requests for each call of good times", {told.rule: told.sent for told in tellings}),
        chart("goodput", "calls answered, of those of good times", {told.rule: told.good for told in tellings}),
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [rule.name for rule in RULES]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.storm")
    parser.add_argument("rules", nargs="*", metavar="rule", help=f"of {', '.join(map(repr, names))}; by default all")
    parser.add_argument("--processes", type=int, default=10_000, help="that call (10,000)")
    parser.add_argument("--servers", type=int, default=100, help="that are called (100)")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.rules) - set(names):
        parser.error(f"no such rule: {', '.join(sorted(unknown))}")
    if min(options.processes, options.servers) < 1:
        parser.error("--processes and --servers must be 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
