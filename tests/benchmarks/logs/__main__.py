"""See the package's docstring."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import Told
from tests.benchmarks.logs.reading import reader
from tests.benchmarks.logs.serving import middleware
from tests.benchmarks.logs.writing import disabled, format_, record

CASES = {"format": format_, "record": record, "disabled": disabled, "middleware": middleware, "reader": reader}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for and print what they come to; return 1 where a bound is missed."""
    options = _options(arguments)
    told = Told()
    for case in [case for case in CASES if case in (options.cases or CASES)]:
        told.tell(CASES[case](options.runs, options.records))
    return told.end(options.json)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.logs")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--runs", type=int, default=40, help="rounds (40)")
    parser.add_argument("--records", type=int, default=2000, help="in each round (2000)")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.runs < 2 or options.records < 1:
        parser.error("--runs must be 2 or more, --records 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
