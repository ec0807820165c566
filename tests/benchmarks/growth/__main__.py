"""See the package's docstring."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.figures import Result, Told
from tests.benchmarks.soft_deletion.database import configure, database

FEWEST = 100_000  # rows, of --most
CASES = ("cascade", "depth", "purge", "clients", "fields", "outage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for and print what they come to; return 1 where a bound is missed."""
    options = _options(arguments)
    configure(others=True)
    logging.getLogger("shared_core.http").setLevel(logging.CRITICAL)  # an outage is told of, a thousand times
    # Modules with models wait until Django is set up.
    from tests.benchmarks.growth import crowds, deletes, outages, records

    told = Told()
    with database() as name:
        run: dict[str, Callable[[], Result]] = {
            "cascade": lambda: deletes.cascade(options.most),
            "depth": lambda: deletes.depth(options.most),
            "purge": lambda: deletes.purged(options.most),
            "clients": lambda: crowds.clients(name),
            "fields": records.fields,
            "outage": outages.outage,
        }
        for case in [case for case in CASES if case in (options.cases or CASES)]:
            told.tell(run[case]())
    return told.end(options.json)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--most", type=int, default=5_000_000, help="rows of a size (5,000,000)")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.most < FEWEST:
        parser.error(f"--most must be {FEWEST:,} or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
