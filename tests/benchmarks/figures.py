"""What do the ratios of many rounds come to, and which bounds hold?"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A figure, and what it must not pass."""

    what: str
    figure: float
    limit: float
    at_least: bool = False  # at most, otherwise
    unit: str = "x"
    is_unsure: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    @property
    def rule(self) -> str:
        """The limit, and on which side of it to be."""
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether it holds, for people."""
        return ("holds" if self.holds else "MISSED") + (", by chance?" if self.is_unsure else "")

    def __str__(self) -> str:
        return f"{self.what} {self.figure:.2f}{self.unit} ({self.rule}{', by chance?' if self.is_unsure else ''})"


@dataclass(frozen=True)
class Result:
    """What a case prints, and what it is held to."""

    case: str
    lines: Sequence[str]
    bounds: Sequence[Bound]

    @property
    def holds(self) -> bool:
        """Whether all bounds do."""
        return all(bound.holds for bound in self.bounds)

    def __str__(self) -> str:
        kept = "; ".join(str(bound) for bound in self.bounds if bound.holds)
        missed = "; ".join(str(bound) for bound in self.bounds if not bound.holds)
        parts = ([f"holds: {kept}"] if kept else []) + ([f"MISSED: {missed}"] if missed else [])
        return "\n".join(line.rstrip() for line in [*self.lines, f"{self.case} {'. '.join(parts)}"])


class Ratios:
    """The ratios of one figure to another, a pair a round.

    Of pairs, and not of the medians: what else the machine does meanwhile slows both of a pair.
    """

    def __init__(self, ours: Sequence[float], theirs: Sequence[float]) -> None:
        self._all = [one / other for one, other in zip(ours, theirs, strict=True)]
        self.median = statistics.median(self._all)

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({min(self._all):.2f} to {max(self._all):.2f})"

    def bound(self, what: str, limit: float, *, at_least: bool = False) -> Bound:
        """Return a bound to the median; it is unsure where the middle half of the rounds lies astride."""
        low, _, high = statistics.quantiles(self._all, n=4, method="inclusive")
        is_unsure = low <= limit <= high
        return Bound(what=what, figure=self.median, limit=limit, at_least=at_least, is_unsure=is_unsure)
