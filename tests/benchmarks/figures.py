"""What do the ratios of many rounds come to, and which bounds hold? All benchmarks tell it in the same way."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

_LINES = 6  # levels that have lines of their own


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure, and what it must not pass, where it is bound."""

    what: str
    figure: float
    limit: float | None = None
    at_least: bool = False  # at most, otherwise
    unit: str = "x"
    low: float | None = None  # of the rounds
    high: float | None = None
    is_unsure: bool = False
    cpu: float | None = None  # the ratio of CPU time, where ``figure`` is one of time on the wall
    queries: str = ""
    note: str = ""
    raw: Sequence[float] = ()  # what the rounds took, or came to

    @property
    def holds(self) -> bool:
        """Whether the bound does."""
        if self.limit is None:
            return True
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    @property
    def rule(self) -> str:
        """The limit, and on which side of it to be."""
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether it holds, for people."""
        if self.limit is None:
            return ""
        return ("holds" if self.holds else "MISSED") + (", by chance?" if self.is_unsure else "")

    @property
    def said(self) -> str:
        """The bound, and whether it holds."""
        return f"{self.rule} {self.verdict}".strip()

    @property
    def spread(self) -> str:
        """The figure, with the lowest and the highest."""
        return f"{self.figure:.2f}{self.unit} ({self.low:.2f} to {self.high:.2f})"

    def __str__(self) -> str:
        return f"{self.what} {self.figure:.2f}{self.unit} ({self.rule}{', by chance?' if self.is_unsure else ''})"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn: lines of ``(x, y)``, and what was the matter from one x to another."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    is_logarithmic: bool = True
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a case prints, and what it is held to."""

    case: str
    lines: Sequence[str]
    figures: Sequence[Figure]
    charts: Sequence[Chart] = ()

    @property
    def holds(self) -> bool:
        """Whether all bounds do."""
        return all(figure.holds for figure in self.figures)

    def __str__(self) -> str:
        bound = [figure for figure in self.figures if figure.limit is not None]
        kept = "; ".join(str(figure) for figure in bound if figure.holds)
        missed = "; ".join(str(figure) for figure in bound if not figure.holds)
        parts = ([f"holds: {kept}"] if kept else []) + ([f"MISSED: {missed}"] if missed else [])
        said = [f"{self.case} {'. '.join(parts)}"] if parts else []
        return "\n".join(line.rstrip() for line in [*self.lines, *said])

    def as_json(self) -> dict[str, Any]:  # Any: what JSON can hold
        """Return it without the lines, and without what figures leave at its default."""
        return {
            "case": self.case,
            "figures": [
                {part.name: said for part in fields(figure) if (said := getattr(figure, part.name)) != part.default}
                | {"unit": figure.unit, "holds": figure.holds}
                for figure in self.figures
            ],
            "charts": [vars(chart) for chart in self.charts],
        }


@dataclass
class Told:
    """What a program came to."""

    results: list[Result] = field(default_factory=list)

    def tell(self, result: Result, *, said: bool = False) -> None:
        """Print what a case came to, unless that was done already, and keep it."""
        if not said:
            print(result, end="\n\n", flush=True)
        self.results.append(result)

    def end(self, to: Path | None) -> int:
        """Write JSON, where it is asked for, and return the status: 1 where a bound is missed."""
        if to is not None:
            to.write_text(json.dumps([result.as_json() for result in self.results]))
        return 0 if all(result.holds for result in self.results) else 1


class Ratios:
    """The ratios of one figure to another, a pair a round.

    Of pairs, and not of the medians: what else the machine does meanwhile slows both of a pair.
    """

    def __init__(self, ours: Sequence[float], theirs: Sequence[float]) -> None:
        self.all = [one / other for one, other in zip(ours, theirs, strict=True)]
        self.median = statistics.median(self.all)

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({min(self.all):.2f} to {max(self.all):.2f})"

    def figure(self, what: str, limit: float | None = None, *, at_least: bool = False, **more: Any) -> Figure:
        """Return the median; its bound is unsure where the middle half of the rounds lies astride.

        Args:
            what: Its name.
            limit: The bound, if it has one.
            at_least: Whether that is a least.
            more: What else a `Figure` has.
        """
        low, high = quartiles(self.all)
        return Figure(
            what=what,
            figure=self.median,
            limit=limit,
            at_least=at_least,
            low=min(self.all),
            high=max(self.all),
            is_unsure=limit is not None and low <= limit <= high,
            raw=self.all,
            **more,
        )


def compact(measured: Any) -> str:  # Any: JSON
    """Return it as JSON, with six digits of each number, and a line for each figure and chart."""
    return (
        _spread_out(json.loads(json.dumps(measured), parse_float=lambda digits: float(f"{float(digits):.6g}"))) + "\n"
    )


def _spread_out(value: Any, depth: int = 0) -> str:  # Any: JSON
    if depth < _LINES and value and isinstance(value, dict | list):
        items = (
            [f"{json.dumps(name)}: {_spread_out(item, depth + 1)}" for name, item in value.items()]
            if isinstance(value, dict)
            else [_spread_out(item, depth + 1) for item in value]
        )
        begin, end = "{}" if isinstance(value, dict) else "[]"
        return f"{begin}\n{',\n'.join(items)}\n{end}"
    return json.dumps(value, ensure_ascii=False)


def quartiles(figures: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third: where a bound lies between them, the machine is too busy for a verdict."""
    low, _, high = statistics.quantiles([*figures] * 2, n=4, method="inclusive")  # one run has no quantiles
    return low, high


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """Return the power of x that y grows by: 1 is in proportion; the slope of the logarithms."""
    logarithms = [(math.log(x), math.log(y)) for x, y in points]
    return statistics.linear_regression(*zip(*logarithms, strict=True)).slope
