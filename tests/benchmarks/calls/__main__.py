"""See the package's docstring."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.calls.get import get
from tests.benchmarks.calls.memory import memory
from tests.benchmarks.calls.outage import outage
from tests.benchmarks.calls.service import configure
from tests.benchmarks.figures import Told

CASES = ("get", "outage", "memory")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for and print what they come to; return 1 where a bound is missed."""
    options = _options(arguments)
    configure()
    run = {"get": lambda: get(options.runs, options.calls), "outage": outage, "memory": memory}
    told = Told()
    for case in [case for case in CASES if case in (options.cases or CASES)]:
        told.tell(run[case]())
    return told.end(options.json)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calls")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--runs", type=int, default=24, help="rounds of the case get (24)")
    parser.add_argument("--calls", type=int, default=200, help="of each client in each round (200)")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.runs < 2 or options.calls < 1:
        parser.error("--runs must be 2 or more, --calls 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
