"""The rows of one soft delete or restore, collected before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared_core.models.relations import Hierarchy, Model, Row


@dataclass(frozen=True)
class Group:
    """Rows that were found by one relation at one level, or the rows of the call itself."""

    model: Model  # by which they were found, and under which they are counted
    hierarchy: Hierarchy
    rows: list[Row]

    @property
    def keys(self) -> list[Any]:  # Any: of whatever type the key has
        """The keys of the rows."""
        return [row[0] for row in self.rows]


@dataclass
class Collector:
    """Collects each row once, in the order in which they are found."""

    rows: dict[Hierarchy, dict[Any, Row]] = field(default_factory=dict)  # {hierarchy: {the owner's key: row}}
    groups: list[Group] = field(default_factory=list)

    def add(self, model: Model, hierarchy: Hierarchy, found: Iterable[Row]) -> list[Row]:
        """Collect rows, and return those that are new."""
        known = self.rows.setdefault(hierarchy, {})
        new = [row for row in found if row[0] not in known]
        known.update((row[0], row) for row in new)
        if new:
            self.groups.append(Group(model, hierarchy, new))
        return new

    def keys(self, hierarchy: Hierarchy) -> list[Any]:
        """Return the keys that were collected of a hierarchy."""
        return list(self.rows.get(hierarchy, ()))
