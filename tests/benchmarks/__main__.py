"""See the package's docstring."""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import render
from tests.benchmarks.figures import compact
from tests.benchmarks.machine import machine

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build" / "bench"
PROGRAMS: Mapping[str, Sequence[str]] = {  # with what makes each quick
    "soft_deletion": ["--runs", "4", "--rows", "100000"],
    "calls": ["--runs", "4"],
    "logs": ["--runs", "6"],
    "running": ["--rounds", "4"],
    "growth": ["--most", "100000"],
    "storm": ["--processes", "300", "--servers", "3"],
}
ALWAYS = {"soft_deletion": ["--others"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the programs that are asked for and write what they come to; return 1 where a bound is missed."""
    options = _options(arguments)
    BUILD.mkdir(parents=True, exist_ok=True)
    kept = BUILD / "figures.json"
    measured = _begun(kept, options)
    failed = []
    for program in options.programs or PROGRAMS:
        print(f"== {program}\n", flush=True)
        started = dt.datetime.now(dt.UTC)
        cases, status = _run(program, PROGRAMS[program] if options.quick else [])
        failed += [program] if status else []
        seconds = (dt.datetime.now(dt.UTC) - started).total_seconds()
        measured["programs"][program] = {
            "date": f"{started:%Y-%m-%d}",
            "minutes": round(seconds / 60, 1),
            "cases": cases,
        }
        kept.write_text(compact(measured))
    from tests.benchmarks import charts  # matplotlib is there for benchmarks only

    (BUILD / "figures.md").write_text(render.page(measured, images=""))
    charts.draw(measured, BUILD)
    print(f"written: {BUILD / 'figures.md'}")
    if failed:
        print(f"missed bounds: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _begun(kept: Path, options: argparse.Namespace) -> dict[str, Any]:  # Any: JSON
    """Return what other programs were measured at, where only some are to run again."""
    begun: dict[str, Any] = {"quick": options.quick, **machine(), "programs": {}}
    if not options.programs or not kept.exists():
        return begun
    there = json.loads(kept.read_text())
    if any(there[name] != begun[name] for name in ("quick", "machine", "versions")):
        raise SystemExit(f"{kept} is of another machine, of other versions, or quick: run all programs, or remove it")
    return there  # type: ignore[no-any-return]


def _run(program: str, quick: Sequence[str]) -> tuple[Any, int]:  # Any: JSON
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        command = [sys.executable, "-m", f"tests.benchmarks.{program}", "--json", str(told)]
        status = subprocess.run([*command, *ALWAYS.get(program, []), *quick], cwd=ROOT, check=False).returncode
        if not told.exists():
            raise SystemExit(f"{program} ended with status {status} and told nothing: see above")
        return json.loads(told.read_text()), status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("programs", nargs="*", metavar="program", help=f"of {', '.join(PROGRAMS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes")
    options = parser.parse_args(arguments)
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
