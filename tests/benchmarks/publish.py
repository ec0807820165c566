"""Write docs/figures.md and what belongs to it from what ``make bench`` left in ``build/bench``."""

import json
import sys
from pathlib import Path

from tests.benchmarks import render
from tests.benchmarks.figures import compact

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "build" / "bench" / "figures.json"


def main() -> int:
    """Publish it; return 1 where it is not of all programs, or quick."""
    if not KEPT.exists():
        print("There is nothing to publish: run make bench.", file=sys.stderr)
        return 1
    measured = json.loads(KEPT.read_text())
    missing = render.PROGRAMS.keys() - measured["programs"].keys()
    if measured["quick"] or missing:
        print(f"{KEPT} is of a quick run, or not of all programs: run make bench.", file=sys.stderr)
        return 1
    from tests.benchmarks import charts  # matplotlib is there for benchmarks only

    docs, readme = ROOT / "docs", ROOT / "README.md"
    text = render.in_readme(readme.read_text(), measured)  # before anything is written: it may lack a figure
    (docs / "figures.json").write_text(compact(measured))
    (docs / "figures.md").write_text(render.page(measured, images="images/"))
    charts.draw(measured, docs / "images")
    readme.write_text(text)
    print("written: docs/figures.md, docs/figures.json, docs/images/bench-*.svg and the README's table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
