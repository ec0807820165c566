"""What was done to the fleet, how often, and what was seen: tables, a page of them, and all of it as JSON."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

# What is published is no less.
FAULTS = 200
MINUTES = 10


@dataclass(frozen=True)
class Round:
    """One fault, and what was seen while it lasted and until all worked again."""

    fault: str
    calls: int
    acknowledged: int  # writes
    errors: dict[str, int]  # by class
    longest: float  # seconds that a caller waited
    recovered: float  # seconds from its end until all four were ready and a ticket was opened
    settled: float  # seconds from its end until no call failed any more, and all was back where it was
    violations: list[str]


def table(rounds: list[Round]) -> str:
    """Return a Markdown table, a row for each kind of fault."""
    head = (
        "fault",
        "times",
        "calls",
        "writes",
        "what callers were told",
        "not tried",
        "longest call",
        "works again after",
        "no error after",
        "violations",
    )
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|---|--:|--:|--:|--:|--:|"]
    kinds = list(dict.fromkeys(one.fault for one in rounds))
    lines += [_row(kind, [one for one in rounds if one.fault == kind]) for kind in sorted(kinds)]
    return "\n".join([*lines, _row("**all**", rounds)])


def _row(name: str, rounds: list[Round]) -> str:
    errors: Counter[str] = Counter()
    for one in rounds:
        errors.update(one.errors)
    not_tried = errors.pop("CircuitOpen", 0)
    told = ", ".join(f"{count} {error}" for error, count in errors.most_common()) or "nothing"
    cells = [
        name,
        len(rounds),
        sum(one.calls for one in rounds) - not_tried,
        sum(one.acknowledged for one in rounds),
        told,
        not_tried,
        f"{max(one.longest for one in rounds):.2f} s",
        *(
            f"{median(times):.1f} s, at most {max(times):.1f} s"
            for times in ([one.recovered for one in rounds], [one.settled for one in rounds])
        ),
        sum(len(one.violations) for one in rounds),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def write(folder: Path, rounds: list[Round], facts: dict[str, object]) -> None:
    """Write ``faults.md`` and ``faults.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(table(rounds) + "\n")
    content = {**facts, "rounds": [dataclasses.asdict(one) for one in rounds]}
    (folder / "faults.json").write_text(json.dumps(content, indent=1) + "\n")


def soak_table(soaked: dict[str, Any]) -> str:  # Any: JSON
    """Return a Markdown table of what the workers held in each quarter of a soak, and a line above it."""
    samples = soaked["samples"]
    lasted = samples[-1]["second"] - samples[0]["second"]
    rate = (samples[-1]["calls"] - samples[0]["calls"]) / lasted
    quarter = max(len(samples) // 4, 1)
    parts = [[sample["usage"] for sample in samples[at * quarter : (at + 1) * quarter]] for at in range(4)]
    pace = f"{soaked['callers']} callers, {rate:.0f} calls a second for {lasted / 60:.1f} minutes"
    lines = [
        f"{pace}, {samples[-1]['calls']:,} calls.",
        "",
        "| median of the most that a worker has | first quarter | second | third | last |",
        "|---|--:|--:|--:|--:|",
    ]
    for what, unit in (("memory", " MB"), ("files", ""), ("threads", "")):
        for name in samples[0]["usage"]["memory"]:
            cells = [f"{median(usage[what][name] for usage in part):.0f}{unit}" for part in parts]
            lines.append(f"| {name}-service: {what} | {' | '.join(cells)} |")
    for what, title in (("server_connections", "connections of PostgreSQL"), ("half_closed", "half-closed sockets")):
        lines.append(f"| {title} | {' | '.join(f'{median(usage[what] for usage in part):.0f}' for part in parts)} |")
    return "\n".join(lines)


PAGE = """# Faults

Four services, two gunicorn workers each, PostgreSQL and PgBouncer, each way between them through a proxy that can be
cut. Callers open tickets, comment, delete, restore and read; one fault after the other is done to them, to each service
in turn. After each the load rests, and all that callers were told is compared with what is in the databases:

- what was acknowledged is there, once and whole; nobody was notified twice, and at the end everybody once;
- nothing is live under a deleted ticket, and nothing stays deleted under a live one;
- no outage was told as something else: nobody was told "not found", "taken" or "wrong" that was not;
- no caller waited longer than its deadline of {deadline:g} s and a tenth, beyond what the machine itself was late (of
  which a second counts at most);
- within 30 s no call fails any more, and nothing was restarted but what the fault had killed;
- no worker holds more than before the first fault, but for {memory:g} MB, {files} files and sockets, and {threads}
  threads; PostgreSQL has no more connections than the pools.

*Violations* counts where one of these did not hold. All times are from the end of a fault, for one that kills from when
the other is started. *Works again after* is until all four are ready and a ticket was opened, *no error after* until no
call failed for a second, and sockets were back: where calls to a service had failed in a row, the rest of a circuit
breaker, 10 s, is in both. *Not tried* are calls that a breaker refused at once (`CircuitOpen`); callers ask again after
0.1 s.

Measured on {date}, on {machine}. {count} faults, {callers} callers, `--seed {seed}`; {disk}.

To repeat it: `make chaos`, 40 minutes on a machine that does nothing else; `make chaos-publish` writes this page.

{faults}

## Soak

The highest steady load: callers are added until they get no more done. Measured on {soak_date}, for {minutes:g}
minutes; to repeat it: `make soak`. Nothing was lost, late or failed. From the second quarter to the last no worker grew
by more than {soak_memory:g} MB, {soak_files} files or {soak_threads} threads.

{soak}
"""


def page(published: dict[str, Any]) -> str:  # Any: JSON
    """Return docs/faults.md, of what `publish` keeps."""
    faults, soaked = published["faults"], published["soak"]
    rounds = [Round(**one) for one in faults["rounds"]]
    return PAGE.format(
        deadline=faults["deadline"],
        date=faults["date"],
        machine=faults["machine"],
        **faults["allowed"],
        count=len(rounds),
        callers=faults["callers"],
        seed=faults["seed"],
        disk="the log disk is a tmpfs" if faults["disk"] else "file sizes are limited in place of a full log disk",
        faults=table(rounds),
        soak_date=soaked["date"],
        minutes=soaked["minutes"],
        **{f"soak_{what}": allowed for what, allowed in soaked["allowed"].items()},
        soak=soak_table(soaked),
    )


def wrong(published: dict[str, Any]) -> list[str]:  # Any: JSON
    """Return why it is not to be published; nothing where it was a whole run and all held."""
    rounds, soaked = published["faults"]["rounds"], published["soak"]
    said = [f"{one['fault']}: {line}" for one in rounds for line in one["violations"]] + soaked["said"]
    if len(rounds) < FAULTS:
        said.append(f"{len(rounds)} faults are not {FAULTS}: run make chaos")
    if not published["faults"]["disk"]:
        said.append("no disk was filled: run make chaos as root")
    if soaked["minutes"] < MINUTES:
        said.append(f"{soaked['minutes']:g} minutes are not {MINUTES}: run make soak")
    return said
