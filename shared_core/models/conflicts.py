"""Find the rows that hold a unique value that a restored row would need.

Only a constraint with a condition can refuse a restore: a value that is unique among all rows is held by the deleted
row itself. So each `UniqueConstraint` with a condition is checked, as its condition will read once the rows are active.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connections, models
from django.db.models import Exists, F, Func, OuterRef, Q, Value
from django.db.models.expressions import BaseExpression
from django.db.models.lookups import IsNull

from shared_core.models.relations import Hierarchy, Model
from shared_core.models.statements import AnyOf, Rows, rows_of

_ACTIVE = {"is_deleted": False, "is_deleted__exact": False, "deleted_at": None, "deleted_at__exact": None}
_ALWAYS, _NEVER = Q(pk__isnull=False), Q(pk__isnull=True)


def conditional_constraints(hierarchy: Hierarchy) -> Iterator[tuple[Model, models.UniqueConstraint, Q]]:
    """Yield what makes values unique among active rows only: a model, its constraint and the condition."""
    for model in hierarchy.members:
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint) and constraint.condition is not None:
                yield model, constraint, constraint.condition


def find_conflict(
    keys: Mapping[Hierarchy, Sequence[Any]], using: str
) -> tuple[models.UniqueConstraint, list[Any]] | None:
    """Return the first constraint that would be broken, and the rows that hold what the rows with these keys need.

    Those rows are active, or come back too: then two of the restored rows need the same value.
    """
    checks = [check for hierarchy, some in keys.items() if some for check in _checks(hierarchy, some, using)]
    if not checks:
        return None
    # One query for all constraints returns the places of those that would be broken.
    first, *others = [
        rows.order_by().annotate(_place=Value(place, models.IntegerField())).values_list("_place", flat=True).distinct()
        for place, (_, rows) in enumerate(checks)
    ]
    broken = list(first.union(*others) if others else first)
    if not broken:
        return None
    constraint, rows = checks[min(broken)]
    return constraint, list(rows.order_by("pk"))


def _checks(hierarchy: Hierarchy, keys: Sequence[Any], using: str) -> Iterator[tuple[models.UniqueConstraint, Rows]]:
    """Yield each constraint with the rows that would break it."""
    key = hierarchy.key.name
    for model, constraint, condition in conditional_constraints(hierarchy):
        if not issubclass(model, hierarchy.owner):
            continue
        comes_back = AnyOf(F(key), keys) & _once_active(condition)
        holds = Q(condition) | Q(comes_back)
        values = _values(constraint, using)
        rows = rows_of(model, using).annotate(**values)
        same = Q(**{name: OuterRef(name) for name in values})
        needing = rows.filter(comes_back).filter(same).exclude(**{key: OuterRef(key)})
        yield constraint, rows.filter(holds).filter(Exists(needing))


def _values(constraint: models.UniqueConstraint, using: str) -> dict[str, Any]:
    expressions = getattr(constraint, "expressions", ())
    values = [_plain(value) for value in expressions or map(F, constraint.fields)]
    # Django leaves such a constraint out where the database has none.
    if constraint.nulls_distinct is False and connections[using].features.supports_nulls_distinct_unique_constraints:
        values = [each for value in values for each in (_InArray(value), IsNull(value, True))]
    return {f"_unique_{number}": value for number, value in enumerate(values)}


class _InArray(Func):
    """A value in a form in which NULL equals NULL, and which PostgreSQL can hash, unlike IS NOT DISTINCT FROM.

    An array of no array is empty, as is one of an empty array: that the value is NULL is to be compared too.
    """

    template = "ARRAY[%(expressions)s]"
    output_field = models.Field()


def _plain(expression: Any) -> Any:
    """Return an index's expression without what says only how the index is built: ordering, operator class."""
    while isinstance(expression, BaseExpression) and type(expression).__name__ in {"OrderBy", "OpClass"}:
        expression = expression.get_source_expressions()[0]
    return expression


def _once_active(condition: Q) -> Q:
    """Return the condition as it reads for a row that has been restored."""
    done = Q(_connector=condition.connector, _negated=condition.negated)
    for child in condition.children:
        if isinstance(child, Q):
            done.children.append(_once_active(child))
        elif isinstance(child, tuple) and child[0] in _ACTIVE:
            done.children.append(_ALWAYS if child[1] == _ACTIVE[child[0]] else _NEVER)
        elif isinstance(child, tuple) and child[0] == "deleted_at__isnull":
            done.children.append(_ALWAYS if child[1] else _NEVER)
        else:
            done.children.append(child)
    return done
