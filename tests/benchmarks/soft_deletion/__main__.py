"""See the package's docstring."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Told
from tests.benchmarks.soft_deletion.database import configure, database

DELETES = ("childless", "cascade", "flat", "parents", "restore")
CASES = (*DELETES, "latency", "uuid7", "listing")
SECONDS = 5.0  # of the case latency


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for and print the table; return 1 where a bound is missed."""
    options = _options(arguments)
    configure(others=options.others)
    # Modules with models wait until Django is set up.
    from tests.benchmarks.soft_deletion import others
    from tests.benchmarks.soft_deletion.measure import HEADING

    missed, told = [], Told()
    with database() as name:
        print(HEADING)
        for line in _lines(options, name):
            print(line, flush=True)
            missed += [f"MISSED {line.case}: {miss}" for miss in line.misses]
            told.tell(line.result(), said=True)
        if options.others:
            print()
            for result in others.beside(options.runs):
                print(result, flush=True)
                told.tell(result, said=True)
    if missed:
        print("", *missed, sep="\n")
    return told.end(options.json) or (1 if missed else 0)


def _lines(options: argparse.Namespace, name: str) -> Iterator[Any]:  # Any: `Line`, whose module needs Django set up
    from tests.benchmarks.soft_deletion import deletes, rows
    from tests.benchmarks.soft_deletion.keys import keys
    from tests.benchmarks.soft_deletion.latency import latency
    from tests.benchmarks.soft_deletion.listing import listing

    wanted = options.cases or CASES
    if options.others or set(wanted) & {*DELETES, "latency"}:
        rows.fill()
    for case in DELETES:
        if case in wanted:
            yield getattr(deletes, case)(options.runs)
    if "latency" in wanted:
        yield latency(name, SECONDS)
    if "uuid7" in wanted:
        yield from keys(options.rows)
    if "listing" in wanted:
        yield from listing(options.runs)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soft_deletion")
    parser.add_argument("cases", nargs="*", metavar="name", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--runs", type=int, default=25, help="of each piece of code; of one row ten times that (25)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the case uuid7 (2,000,000)")
    parser.add_argument("--others", action="store_true", help="set other packages beside, as far as installed")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.runs < 2 or options.rows < 1:
        parser.error("--runs must be 2 or more, --rows 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
