"""Checks that a CASCADE runs between models that can both be soft-deleted, or neither."""

from collections.abc import Iterator

from django.core.checks import CheckMessage

from shared_core.checks import catalogue
from shared_core.checks.installed import AppConfigs, is_own, models_of


def check_relations(*, app_configs: AppConfigs = None, **_: object) -> Iterator[CheckMessage]:
    """Yield the relations by which a delete leaves rows active, or deletes them for good.

    A multi-table child's link to its parent is none: they are one row. Nor are the rows of a ManyToManyField without a
    model of its own, which stay, and are found again after a restore.
    """
    from shared_core.models.relations import is_soft_deletable, relations_declared_by  # noqa: PLC0415  # needs the apps

    for model in models_of(app_configs):
        for relation in relations_declared_by(model):
            soft = is_soft_deletable(relation.model)
            if not relation.is_cascade or relation.is_parent_link or soft == is_soft_deletable(relation.child):
                continue
            field = relation.generic or relation.link
            names = {"child": relation.child.__name__, "parent": relation.model.__name__, "field": field.name}
            detail = f"{relation.child._meta.label}, by CASCADE from {relation.model._meta.label}"
            if not soft:
                yield catalogue.CASCADE_FROM_PLAIN.found(detail, obj=field, **names)
            elif is_own(relation.child):  # another's model cannot be changed: the admin's log of a user, for example
                yield catalogue.CASCADE_TO_PLAIN.found(detail, obj=field, **names)
