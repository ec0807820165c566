#!/usr/bin/env python3
"""Run the suite on each Python with each Django that it is for, at the lowest and the newest versions of the rest.

    make matrix ONLY="3.12-5.0 3.13-5.2" ARGS="tests/models -n 2"

Interpreters are found on PATH, and where pyenv and uv have theirs; a pair whose Python is not found is told, and is a
failure where CI is set. A table in Markdown ends it. Exit status: 0 where all that ran passed, 1 where something did
not, 2 for a mistake in the command line.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "matrix"
# https://docs.djangoproject.com/en/dev/faq/install/#what-python-version-can-i-use-with-django
PAIRS = [("3.12", "5.0"), *((python, django) for django in ("5.2", "6.1") for python in ("3.12", "3.13", "3.14"))]
BOUNDS = ("lowest", "newest")
# Lower bounds that are wheels for one Python only: on later ones they are not the lowest that can be had.
COMPILED = ("psycopg", "psycopg-binary", "google-re2", "cryptography", "cffi")


@dataclass(frozen=True)
class Outcome:
    """What became of a pair."""

    python: str
    django: str
    bound: str
    said: str
    has_failed: bool

    @property
    def row(self) -> str:
        """A line of the table."""
        return f"| {self.python} | {self.django} | {self.bound} | {self.said} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pairs that are asked for, print the table, and return the status."""
    names = [f"{python}-{django}" for python, django in PAIRS]
    parser = argparse.ArgumentParser(
        prog="matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PAIRS", help=f"of {', '.join(names)}; by default all")
    parser.add_argument("--bound", choices=BOUNDS, help="by default both")
    parser.add_argument("pytest", nargs="*", help="what pytest is given, after --")
    options = parser.parse_args(arguments)
    only = options.only.split()
    if unknown := sorted(set(only) - set(names)):
        parser.error(f"no such pair: {', '.join(unknown)} (there are {', '.join(names)})")
    outcomes = [
        _run(python, django, bound, options.pytest)
        for (python, django), name in zip(PAIRS, names, strict=True)
        for bound in BOUNDS
        if name in (only or names) and bound in (options.bound or BOUNDS)
    ]
    print("\n| Python | Django | the rest | |\n|---|---|---|---|", *(outcome.row for outcome in outcomes), sep="\n")
    return 1 if any(outcome.has_failed for outcome in outcomes) else 0


def _run(python: str, django: str, bound: str, arguments: Sequence[str]) -> Outcome:
    print(f"\n== Python {python}, Django {django}, {bound}", flush=True)
    interpreter = next(_interpreters(python), None)
    if interpreter is None:
        said = f"not run: no Python {python} that runs was found"
        return Outcome(python, django, bound, said, has_failed=bool(os.environ.get("CI")))
    BUILD.mkdir(parents=True, exist_ok=True)
    constraints = BUILD / f"{python}-{django}-{bound}.txt"
    constraints.write_text("\n".join(_constraints(python, django, bound)) + "\n")
    folder = f".venv-matrix/{constraints.stem}"
    environment = {
        **os.environ,
        "VENV": folder,
        "PYTHON": interpreter,
        "CONSTRAINTS": str(constraints.relative_to(ROOT)),
    }
    if status := subprocess.run([".ci/venv"], cwd=ROOT, env=environment, check=False).returncode:
        return Outcome(python, django, bound, f"cannot be installed (status {status})", has_failed=True)
    status, last = _pytest(f"{folder}/bin/python", arguments)
    return Outcome(python, django, bound, last if status == 0 else f"FAILED (status {status}): {last}", status != 0)


def _pytest(python: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Return the status, and the last line."""
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip(" =\n") or last
    return process.returncode, re.sub(r"\x1b\[[\d;]*m", "", last)


def _constraints(python: str, django: str, bound: str) -> Iterator[str]:
    """Yield what pip is held to; of Django it is the newest patch, as only that is supported."""
    yield f"Django~={django}.0"
    if bound == "newest":
        return
    is_first = python == PAIRS[0][0]
    for line in (ROOT / ".ci" / "lowest.txt").read_text().splitlines():
        name = re.split(r"[=<>~\[ #]", line, maxsplit=1)[0]
        if name and name.lower() != "django" and (is_first or name.lower() not in COMPILED):
            yield line


def _interpreters(version: str) -> Iterator[str]:
    """Yield those that run: a name on PATH may be a shim that fails."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    candidates = [f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python"))), "python3", "python"]
    if shutil.which("uv"):
        found = subprocess.run(["uv", "python", "find", version], capture_output=True, text=True, check=False)
        candidates.append(found.stdout.strip() or "python")
    code = f"import ensurepip, sys, venv; sys.exit('{version}' != '%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        path = shutil.which(candidate)
        if path and subprocess.run([path, "-c", code], capture_output=True, check=False).returncode == 0:
            yield path


if __name__ == "__main__":
    sys.exit(main())
