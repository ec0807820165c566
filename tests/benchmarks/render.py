"""How do the figures read? As a page with a table a case, and as the table in the README."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

type Measured = Mapping[str, Any]  # Any: what JSON holds

PROGRAMS = {
    "soft_deletion": ("Models", "models"),
    "calls": ("Calls", "calls"),
    "logs": ("Logs", "logs"),
    "running": ("Running", "running"),
    "growth": ("Growth", "growth"),
    "storm": ("Storm", "storm"),
}
# Of the README's table: what it is about, what is said of it, and the figures for that, by program and the beginning
# of their name.
README: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = (
    (
        "A tree of 1,101 rows is soft-deleted",
        "{} the time of hand-written SQL, in as many queries; django-safedelete {}, django-soft-delete {}",
        (
            ("soft_deletion", "cascade, 1 + 100 + 1,000: shared_core"),
            ("soft_deletion", "cascade, 1 + 100 + 1,000: django-safedelete"),
            ("soft_deletion", "cascade, 1 + 100 + 1,000: django-soft-delete"),
        ),
    ),
    (
        "A tree of 10 to 1,000,000 rows",
        "the time grows by the power {} of the rows",
        (("growth", "cascade: the power"),),
    ),
    (
        "A GET",
        "{} as many a second as `requests`, {} as `httpx`; {} the CPU of bare `urllib3`",
        (
            ("calls", "requests/s beside requests.Session, 1 thread"),
            ("calls", "requests/s beside httpx.Client, 1 thread"),
            ("calls", "CPU beside urllib3.PoolManager, 1 thread"),
        ),
    ),
    (
        "An outage of 5 minutes, met by a busy caller",
        "the service that is down sees {} the requests that urllib3's `Retry` sends",
        (("growth", "requests under an outage of 5 min beside requests with"),),
    ),
    (
        "A brown-out of 100 servers that 10,000 processes call",
        "all is well {} after it; with naive retries, {}",
        (
            ("storm", "until all is well after a brown-out, ours"),
            ("storm", "until all is well after a brown-out, naive retries"),
        ),
    ),
    (
        "A log record",
        "{} the time of `logging.Formatter` without fields; {} as fast as structlog, {} as python-json-logger",
        (
            ("logs", "time beside logging.Formatter, no fields, to a null stream"),
            ("logs", "faster than structlog, logfmt, to a null stream"),
            ("logs", "faster than python-json-logger, to a null stream"),
        ),
    ),
    (
        "A query through PgBouncer",
        "{} the time with Django's own settings for it",
        (("running", "a query beside Django's own settings"),),
    ),
    (
        "200 clients of a pool of 20",
        "{} the queries a second of Django's own settings",
        (("growth", "queries/s of 200 clients beside Django's own"),),
    ),
)
IN_README = ("growth", "cascade"), ("storm", "one service, load")  # charts
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
            for case in _grouped(told["cases"]):
                lines += ["", *_case(program, case, images)]
    return "\n".join(lines) + "\n"


def in_readme(readme: str, measured: Measured) -> str:
    """Return the README with the table and the charts between the marks.

    Raises:
        ValueError: A figure is missing, or a mark.
    """
    lines = [BEGIN, "", "| | |", "|---|---|"]
    for what, said, names in README:
        figures = [f"**{number(_figure(measured, *name))}**" for name in names]
        lines.append(f"| {what} | {said.format(*figures)} |")
    for program, title in IN_README:
        chart = _chart(measured, program, title)
        lines += ["", _picture(program, chart, "docs/images/")]
    lines += [
        "",
        f"{measured_on(measured)} `make bench` repeats it; [docs/figures.md](docs/figures.md) has all of them.",
        "",
        END,
    ]
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks {BEGIN} or {END}")
    return before + "\n".join(lines) + after


def _figure(measured: Measured, program: str, name: str) -> Mapping[str, Any]:
    figures = [figure for case in measured["programs"][program]["cases"] for figure in case["figures"]]
    found = [figure for figure in figures if figure["what"] == name]  # or what ends with a package's version, say
    found = found or [figure for figure in figures if figure["what"].startswith(name)]
    if not found:
        raise ValueError(f"{program} has no figure {name!r}")
    return found[0]  # type: ignore[no-any-return]


def _chart(measured: Measured, program: str, title: str) -> Mapping[str, Any]:
    for case in measured["programs"][program]["cases"]:
        for chart in case["charts"]:
            if chart["title"] == title:
                return chart  # type: ignore[no-any-return]
    raise ValueError(f"{program} has no chart {title!r}")


def _grouped(cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return them, neighbours of one figure at most as one case without a name."""
    grouped: list[dict[str, Any]] = []
    for case in cases:
        is_small = len(case["figures"]) <= 1 and not case["charts"]
        if is_small and grouped and not grouped[-1]["case"]:
            grouped[-1]["figures"] += case["figures"]
        else:
            grouped.append({**case, "figures": [*case["figures"]], "case": "" if is_small else case["case"]})
    return [case for case in grouped if case["figures"]]


def measured_on(measured: Measured) -> str:
    """Return when it was measured, and on what."""
    dates = sorted({told["date"] for told in measured["programs"].values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Measured on {when}, on {measured['machine']}."


def chart_name(program: str, title: str) -> str:
    """Return the file name of a chart."""
    return f"bench-{program}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"


def digest(chart: Mapping[str, Any]) -> str:
    """Return what says that a chart's file was drawn from these figures; it is written in there."""
    return hashlib.sha256(json.dumps(chart, sort_keys=True).encode()).hexdigest()


def _case(program: str, case: Mapping[str, Any], images: str) -> Iterator[str]:
    if case["case"]:
        yield from (f"### {PROGRAMS[program][0]}: {case['case'].removeprefix(f'{program}, ')}", "")
    rows = [_COLUMNS, *(_cells(figure) for figure in case["figures"])]
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    head, *lines = (f"| {' | '.join(row)} |" for row in zip(*columns, strict=True))
    yield from (head, "|---" * len(columns) + "|", *lines)
    for chart in case["charts"]:
        yield from ("", _picture(program, chart, images))


def _picture(program: str, chart: Mapping[str, Any], images: str) -> str:
    return f"![{chart['title']}: {chart['y']}, by {chart['x']}]({images}{chart_name(program, chart['title'])})"


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    unit = figure["unit"]
    bound = ""
    if "limit" in figure:
        sign = "≥" if figure.get("at_least") else "≤"
        bound = f"{sign} {figure['limit']:.3g}{unit}" + ("" if figure["holds"] else " **missed**")
    return (
        figure["what"],
        number(figure) + (f", {figure['note']}" if "note" in figure else ""),
        f"{figure['low']:.2f} to {figure['high']:.2f}" if "low" in figure else "",
        f"{figure['cpu']:.2f}x" if "cpu" in figure else "",
        figure.get("queries", ""),
        bound + (", the machine was busy" if figure.get("is_unsure") else ""),
    )


def number(figure: Mapping[str, Any]) -> str:
    """Return the figure with its unit."""
    value = figure["figure"]
    is_whole = abs(value) >= 10 or value == int(value)
    digits = f"{value:,.0f}" if is_whole else f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"
    return digits + str(figure["unit"])
