"""See the package's docstring."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import Told
from tests.benchmarks.running.callers import auth
from tests.benchmarks.running.checking import checks
from tests.benchmarks.running.pooler import clients, query, ready
from tests.benchmarks.running.service import configure

CASES = ("ready", "query", "clients", "auth", "checks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that are asked for and print what they come to; return 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.running")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--rounds", type=int, default=24, help="of each case (24)")
    parser.add_argument("--json", type=Path, metavar="file", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.rounds < 2:
        parser.error("--rounds must be 2 or more")
    configure()
    run = {
        "ready": lambda: ready(options.rounds),
        "query": lambda: query(options.rounds),
        "clients": clients,
        "auth": lambda: auth(options.rounds),
        "checks": lambda: checks(options.rounds),
    }
    told = Told()
    for case in [case for case in CASES if case in (options.cases or CASES)]:
        told.tell(run[case]())
    return told.end(options.json)


if __name__ == "__main__":
    sys.exit(main())
