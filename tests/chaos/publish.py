"""Write docs/faults.md from what ``make chaos`` and ``make soak`` left in ``build/chaos``."""

import json
import sys
from pathlib import Path

from tests.benchmarks.figures import compact
from tests.chaos import report

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "build" / "chaos"


def main() -> int:
    """Publish it; return 1 where something is missing, or did not hold."""
    try:
        faults, soak = (json.loads((KEPT / f"{name}.json").read_text()) for name in ("faults", "soak"))
    except FileNotFoundError as error:
        print(f"There is no {error.filename}: run make chaos and make soak.", file=sys.stderr)
        return 1
    published = {"faults": faults, "soak": soak}
    if said := report.wrong(published):
        print("\n".join(said[:20]), file=sys.stderr)
        return 1
    (ROOT / "docs" / "faults.json").write_text(compact(published))
    (ROOT / "docs" / "faults.md").write_text(report.page(json.loads(compact(published))))
    print("written: docs/faults.md, docs/faults.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
