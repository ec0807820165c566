"""What was done to the fleet, how often, and what was seen: a table, and all of it as JSON."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Round:
    """One fault, and what was seen while it lasted and until all worked again."""

    fault: str
    calls: int
    acknowledged: int  # writes
    errors: dict[str, int]  # by class
    longest: float  # seconds that a caller waited
    recovered: float  # seconds from its end until all four were ready and a ticket was opened
    violations: list[str]


def table(rounds: list[Round]) -> str:
    """Return a Markdown table, a row for each kind of fault."""
    head = (
        "fault",
        "times",
        "calls",
        "writes",
        "what callers were told",
        "longest call",
        "works again after",
        "violations",
    )
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|---|--:|--:|--:|"]
    kinds = list(dict.fromkeys(one.fault for one in rounds))
    lines += [_row(kind, [one for one in rounds if one.fault == kind]) for kind in sorted(kinds)]
    return "\n".join([*lines, _row("**all**", rounds)])


def _row(name: str, rounds: list[Round]) -> str:
    errors: Counter[str] = Counter()
    for one in rounds:
        errors.update(one.errors)
    told = ", ".join(f"{count} {error}" for error, count in errors.most_common()) or "nothing"
    times = [one.recovered for one in rounds]
    cells = [
        name,
        len(rounds),
        sum(one.calls for one in rounds),
        sum(one.acknowledged for one in rounds),
        told,
        f"{max(one.longest for one in rounds):.2f} s",
        f"{median(times):.1f} s, at most {max(times):.1f} s",
        sum(len(one.violations) for one in rounds),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def write(folder: Path, rounds: list[Round], facts: dict[str, object]) -> None:
    """Write ``faults.md`` and ``faults.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(table(rounds) + "\n")
    content = {**facts, "rounds": [dataclasses.asdict(one) for one in rounds]}
    (folder / "faults.json").write_text(json.dumps(content, indent=1) + "\n")
