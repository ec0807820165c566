"""Does a CASCADE run between models of which only one can be soft-deleted?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage

from shared_core.checks import catalogue
from shared_core.checks.installed import AppConfigs, Model, is_own, models_of


@dataclass(frozen=True)
class _Link:
    """A foreign key with CASCADE, or a GenericRelation, which is one."""

    field: Any  # Any: Django's fields
    child: Model
    parent: Model


def check_relations(*, app_configs: AppConfigs = None, **_: object) -> Iterator[CheckMessage]:
    """Yield the relations by which a delete leaves rows behind, or deletes them for good."""
    from shared_core.models.graph import is_soft_deletable  # noqa: PLC0415  # needs the apps

    for model in models_of(app_configs):
        for link in _links(model):
            child, parent, soft = link.child._meta.label, link.parent._meta.label, is_soft_deletable(link.parent)
            if soft == is_soft_deletable(link.child):
                continue
            names = {"child": link.child.__name__, "parent": link.parent.__name__, "field": link.field.name}
            detail = f"{child}, by CASCADE from {parent}"
            if not soft:
                yield catalogue.CASCADE_FROM_PLAIN.found(detail, obj=link.field, **names)
            elif is_own(link.child):  # another's model cannot be changed: the admin's log of a user, say
                yield catalogue.CASCADE_TO_PLAIN.found(detail, obj=link.field, **names)


def _links(model: Model) -> Iterator[_Link]:
    """Yield the links that the model's own class declares or inherits from abstract ones.

    A multi-table child's link to its parent is none: they are one row. Nor are the rows of a ManyToManyField without a
    model of its own, which are left, and found again after a restore.
    """
    from shared_core.models.graph import CASCADES  # noqa: PLC0415  # needs the apps

    for field in model._meta.local_fields:
        relation: Any = field.remote_field  # Any: the stubs know no on_delete
        if relation is None or relation.parent_link or isinstance(relation.model, str):  # which is fields.E300
            continue
        if relation.on_delete in CASCADES:
            yield _Link(field, child=model, parent=relation.model)
    for private in model._meta.private_fields:
        if hasattr(private, "bulk_related_objects"):  # as Django's own deletion knows a GenericRelation
            yield _Link(private, child=private.related_model, parent=model)
