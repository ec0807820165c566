"""How do the figures read? As a page with a table a case, and as the table in the README."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

type Measured = Mapping[str, Any]  # Any: what JSON holds

PROGRAMS = {
    "soft_deletion": ("Models", "models"),
    "calls": ("Calls", "calls"),
    "logs": ("Logs", "logs"),
    "running": ("Running", "running"),
    "growth": ("Growth", "growth"),
    "storm": ("A storm that does not come", "storm"),
}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_HEAD = """# Figures

{measured_on}

A ratio (x) is ours to the other's, measured in turn in one run, and below 1 where ours takes less;
*Rounds* has the lowest and the highest of it, and *Bound* what the program holds it to.
[figures.json](figures.json) has what each round came to.

To repeat it: `make bench`, an hour on a machine that does nothing else; `make bench-publish` writes this page.

Versions: {versions}."""
_COLUMNS = ("What", "Median", "Rounds", "CPU", "Queries", "Bound")


def page(measured: Measured, *, images: str) -> str:
    """Return the page, in Markdown.

    Args:
        measured: What all programs told.
        images: The folder of the charts, as the page's links have it, with a slash at its end.
    """
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    lines = [_HEAD.format(measured_on=measured_on(measured), versions=versions)]
    for program, (title, name) in PROGRAMS.items():
        if told := measured["programs"].get(program):
            lines += ["", f"## {title}", "", f"`make bench-{name}`, {told['minutes']:g} min."]
            for case in told["cases"]:
                lines += ["", *_case(program, case, images)]
    return "\n".join(lines) + "\n"


def measured_on(measured: Measured) -> str:
    """Return when it was measured, and on what."""
    dates = sorted({told["date"] for told in measured["programs"].values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Measured on {when}, on {measured['machine']}."


def chart_name(program: str, title: str) -> str:
    """Return the file name of a chart."""
    return f"bench-{program}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"


def _case(program: str, case: Mapping[str, Any], images: str) -> Iterator[str]:
    yield f"### {case['case'][:1].upper()}{case['case'][1:]}"
    yield ""
    rows = [_COLUMNS, *(_cells(figure) for figure in case["figures"])]
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    head, *lines = (f"| {' | '.join(row)} |" for row in zip(*columns, strict=True))
    yield from (head, "|---" * len(columns) + "|", *lines)
    for chart in case["charts"]:
        yield ""
        yield f"![{chart['title']}: {chart['y']} against {chart['x']}]({images}{chart_name(program, chart['title'])})"


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    unit = figure.get("unit", "")
    bound = ""
    if "limit" in figure:
        sign = "≥" if figure.get("at_least") else "≤"
        bound = f"{sign} {figure['limit']:.3g}{unit}" + ("" if figure["holds"] else " **missed**")
    return (
        figure["what"],
        number(figure),
        f"{figure['low']:.2f} to {figure['high']:.2f}" if "low" in figure else "",
        f"{figure['cpu']:.2f}x" if "cpu" in figure else "",
        figure.get("queries", ""),
        bound + (", the machine was busy" if figure.get("is_unsure") else ""),
    )


def number(figure: Mapping[str, Any]) -> str:
    """Return the figure with its unit."""
    if "note" in figure:
        return str(figure["note"])
    value = figure["figure"]
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.2f}"
    return digits + str(figure.get("unit", ""))
