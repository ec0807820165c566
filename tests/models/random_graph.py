"""Random models and rows, and what Django's rules say of them in plain Python.

A `Graph` says which models there are; `build` makes them, `World` holds the rows and answers what a deletion or a
restore must do to them, without a database.
"""

from dataclasses import dataclass, field
from typing import Any

from django.apps.registry import Apps
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.deletion import CASCADE, DO_NOTHING, PROTECT, RESTRICT, SET_NULL
from hypothesis import strategies as st

from shared_core.models import BaseModel, SoftDeleteModel

ON_DELETE = {"CASCADE": CASCADE, "PROTECT": PROTECT, "RESTRICT": RESTRICT, "SET_NULL": SET_NULL, "LEAVE": DO_NOTHING}
HARD = {"CASCADE", "PROTECT", "RESTRICT"}


@dataclass(frozen=True)
class Kind:
    """A model: ``uuid`` or ``serial`` (both soft), ``plain``, or the number of the model that it inherits."""

    base: str | int
    proxied: bool = False  # others refer to a proxy of it


@dataclass(frozen=True)
class Link:
    child: int
    parent: int
    on_delete: str
    to_code: bool = False  # holds the parent's `code` and not its key
    generic: bool = False


@dataclass
class Graph:
    kinds: list[Kind]
    links: list[Link]

    def owner(self, number: int) -> int:
        """Return the model whose table has the columns of soft delete."""
        base = self.kinds[number].base
        return self.owner(base) if isinstance(base, int) else number

    def is_soft(self, number: int) -> bool:
        return self.kinds[self.owner(number)].base != "plain"

    def is_a(self, number: int, other: int) -> bool:
        base = self.kinds[number].base
        return number == other or (isinstance(base, int) and self.is_a(base, other))


@st.composite
def graphs(draw) -> Graph:
    kinds = [Kind(draw(st.sampled_from(["uuid", "serial"])), draw(st.booleans()))]
    for number in range(1, draw(st.integers(2, 5))):
        base = draw(st.one_of(st.sampled_from(["uuid", "serial", "uuid", "plain"]), st.integers(0, number - 1)))
        kinds.append(Kind(base, draw(st.booleans())))
    numbers = st.integers(0, len(kinds) - 1)
    kinds_of_link = st.sampled_from(["CASCADE"] * 5 + ["PROTECT", "RESTRICT", "SET_NULL", "LEAVE"])
    links = []
    for _ in range(draw(st.integers(1, 2 * len(kinds)))):
        generic = draw(st.integers(0, 4)) == 0
        on_delete = "CASCADE" if generic else draw(kinds_of_link)
        links.append(Link(draw(numbers), draw(numbers), on_delete, not generic and draw(st.booleans()), generic))
    # A GenericForeignKey is one more column of its own kind: one a model, and never to an heir, which has another type.
    generics: set[int] = set()
    kept = []
    for link in links:
        if link.generic:
            inherits = isinstance(Graph(kinds, []).kinds[link.parent].base, int)
            is_inherited = any(kind.base == link.parent for kind in kinds)
            top = link.child
            while isinstance(kinds[top].base, int):
                top = kinds[top].base
            if top in generics or inherits or is_inherited:
                continue
            generics.add(top)
        kept.append(link)
    return Graph(kinds, kept)


def build(graph: Graph) -> list[type[models.Model]]:
    """Return the models of the graph, in a registry of their own."""
    registry = Apps(["tests.library"])
    registry.all_models["contenttypes"]["contenttype"] = ContentType
    made: list[Any] = []

    def names(number: int) -> dict[str, Any]:
        return {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "library", "apps": registry})}

    def referred(number: int) -> str:
        return f"library.P{number}" if graph.kinds[number].proxied else f"library.M{number}"

    for number, kind in enumerate(graph.kinds):
        attributes = names(number)
        bases: tuple[type, ...] = {"uuid": (BaseModel,), "serial": (SoftDeleteModel,), "plain": (models.Model,)}.get(
            kind.base, ()
        ) or (made[kind.base],)
        if not isinstance(kind.base, int):
            attributes["code"] = models.CharField(max_length=20, unique=True)
            if kind.base != "uuid":
                attributes["id"] = models.BigAutoField(primary_key=True)
        for place, link in enumerate(graph.links):
            if link.child == number and link.generic:
                attributes["content_type"] = models.ForeignKey(
                    ContentType, models.CASCADE, null=True, related_name="+", db_constraint=False
                )
                attributes["object_id"] = models.CharField(max_length=50, null=True)
                attributes["subject"] = GenericForeignKey()
            elif link.child == number:
                attributes[f"link{place}"] = models.ForeignKey(
                    referred(link.parent),
                    ON_DELETE[link.on_delete],
                    null=True,
                    related_name=f"back{place}",
                    to_field="code" if link.to_code and not isinstance(graph.kinds[link.parent].base, int) else None,
                    db_column=f"column_{place}",
                )
            if link.parent == number and link.generic:
                attributes[f"generic{place}"] = GenericRelation(f"library.M{link.child}")
        made.append(type(f"M{number}", bases, attributes))
        if kind.proxied:
            proxy = names(number)
            proxy["Meta"].proxy = True
            type(f"P{number}", (made[number],), proxy)
    return made


@dataclass(eq=False)
class Entity:
    """A row, with the parts that it has in the tables of its parents."""

    number: int  # of its model
    links: dict[int, "Entity"] = field(default_factory=dict)
    deleted: int | None = None  # the step that deleted it
    instance: Any = None


class Refused(Exception):  # noqa: N818  # what the rules say, not a fault
    """The rules forbid a step; the argument is the name of the error that must come."""


@dataclass
class World:
    graph: Graph
    entities: list[Entity]

    def referring(self, parent: Entity) -> list[tuple[Link, Entity]]:
        return [
            (self.graph.links[place], child)
            for child in self.entities
            for place, other in child.links.items()
            if other is parent
        ]

    def delete(self, roots: list[Entity], step: int, *, cascade: bool = True) -> int:
        going = [root for root in roots if root.deleted is None]
        restricted = []
        for entity in going:  # grows
            for link, child in self.referring(entity) if cascade else ():
                is_soft = self.graph.is_soft(child.number)
                if link.on_delete in HARD and is_soft and child.deleted is not None:
                    continue
                if link.on_delete == "PROTECT":
                    raise Refused("ProtectedError")
                if link.on_delete == "RESTRICT":
                    restricted.append(child)
                if link.on_delete == "CASCADE" and is_soft and child not in going:
                    going.append(child)
        if any(child not in going for child in restricted):
            raise Refused("RestrictedError")
        for entity in going:
            entity.deleted = step
        return len(going)

    def restore(self, roots: list[Entity]) -> int:
        coming = [root for root in roots if root.deleted is not None]
        for entity in coming:  # grows
            for link, child in self.referring(entity):
                went_along = child.deleted == entity.deleted and self.graph.is_soft(child.number)
                if link.on_delete == "CASCADE" and went_along and child not in coming:
                    coming.append(child)
        for entity in coming:
            for place, parent in entity.links.items():
                is_hard = self.graph.links[place].on_delete in HARD
                if is_hard and parent.deleted is not None and parent not in coming:
                    raise Refused("ParentDeletedError")
        for entity in coming:
            entity.deleted = None
        return len(coming)
