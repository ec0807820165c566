"""Constraints and indexes for tables that keep deleted rows.

    UniqueActiveConstraint    a value is unique among active rows
    SoftDeleteMeta            is_deleted and deleted_at agree; deleted rows are found by age
    ActiveIndex, DeletedIndex indexes of active, and of deleted rows
    active()                  the same condition, for joins and aggregates

Migrations hold Django's own classes, except for `ActiveParentConstraint`. A column that the condition of an
index names cannot change without touching every index (no HOT updates): keep such indexes few.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar, Self

import django
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, models
from django.db.models import Q
from django.db.models.constraints import BaseConstraint
from django.db.models.expressions import BaseExpression, Combinable

_ACTIVE = Q(is_deleted=False)
_DELETED = Q(is_deleted=True)
_AGREES = Q(is_deleted=False, deleted_at__isnull=True) | Q(is_deleted=True, deleted_at__isnull=False)


def active(*paths: str) -> Q:
    """Return the condition that the rows these relations lead to are active; without relations, the row itself.

    ``Author.objects.annotate(n=Count("books", filter=active("books")))`` counts the books that are active, and
    ``group.members.filter(active("memberships"))``, where ``memberships`` are the rows of the ``through`` model, leaves
    out the members whose membership was deleted.
    """
    return Q(**{f"{path}__is_deleted": False for path in paths}) if paths else _ACTIVE


class UniqueActiveConstraint(models.UniqueConstraint):
    """Values that are unique among active rows: the values of a deleted row can be used again.

    `full_clean` validates it, also through forms that lack ``is_deleted``. Migrations hold Django's `UniqueConstraint`.

    Args:
        condition: Further narrows which rows are compared: ``Q(is_main=True)``.
        expressions, fields, name, options: As `UniqueConstraint` takes them.
    """

    def __init__(
        self, *expressions: Any, fields: Sequence[str] = (), name: str, condition: Q | None = None, **options: Any
    ) -> None:  # Any: as Django's own
        self._own_condition = condition
        whole = _ACTIVE & condition if condition else _ACTIVE
        super().__init__(*expressions, fields=fields, name=name, condition=whole, **options)

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        """Return Django's own class and the whole condition, for migrations."""
        _, arguments, options = super().deconstruct()
        return "django.db.models.UniqueConstraint", arguments, options

    def clone(self) -> Self:
        """Return a copy of this class, as Meta's inheritance makes one."""
        _, arguments, options = super().deconstruct()
        return type(self)(*arguments, **options | {"condition": self._own_condition})

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Collection[str] | None = None,
        using: str = "default",
    ) -> None:
        """Raise ValidationError if an active row has the values; an instance that is deleted is not validated.

        Raises:
            DatabaseError: The query failed. Django's own class would say that the values are taken.
        """
        if getattr(instance, "is_deleted", False):
            return
        with _errors(using) as failed:
            try:
                super().validate(model, instance, exclude=set(exclude or ()) - {"is_deleted"}, using=using)
            except ValidationError as error:
                if failed:  # of which Q.check() says in the log alone
                    raise failed[0] from None
                if self.fields and self._says_nothing_of_its_own():
                    # "User with this Email already exists.", at the field: what a user of `unique=True` knows.
                    raise instance.unique_error_message(model, self.fields) from error
                raise

    def _says_nothing_of_its_own(self) -> bool:
        return self.violation_error_code is None and (
            self.violation_error_message == self.default_violation_error_message
        )


@contextlib.contextmanager
def _errors(using: str) -> Iterator[list[DatabaseError]]:
    """Collect the database's errors in the block, also those that the block catches."""
    connection, failed = connections[using], list[DatabaseError]()

    def keep(execute: Callable[..., Any], *arguments: Any) -> Any:  # Any: as Django's own
        try:
            return execute(*arguments)
        except DatabaseError as error:
            failed.append(error)
            raise

    connection.cursor().close()  # a lost connection is replaced before the block
    with connection.execute_wrapper(keep):
        yield failed


class _DjangosIndex(models.Index):
    """An index under a condition; migrations hold Django's `Index`."""

    _condition: Q

    def __init__(
        self,
        *expressions: BaseExpression | Combinable | str,
        fields: Sequence[str] = (),
        name: str,
        condition: Q | None = None,
        **options: Any,
    ) -> None:  # Any: as Django's own
        self._own_condition = condition
        whole = self._condition & condition if condition else self._condition
        super().__init__(*expressions, fields=fields, name=name, condition=whole, **options)

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        """Return Django's own class and the whole condition, for migrations."""
        _, arguments, options = super().deconstruct()
        return "django.db.models.Index", arguments, options

    def __eq__(self, other: object) -> bool:
        """Compare as migrations do, which hold Django's class: `Index` itself is equal to no other class."""
        return self.deconstruct() == other.deconstruct() if isinstance(other, models.Index) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of Django's own

    def clone(self) -> Self:
        """Return a copy of this class, as Meta's inheritance makes one."""
        _, arguments, options = super().deconstruct()
        return type(self)(*arguments, **options | {"condition": self._own_condition})


class ActiveIndex(_DjangosIndex):
    """An index of active rows only: as small as what the lists of a service show."""

    _condition = _ACTIVE


class DeletedIndex(_DjangosIndex):
    """An index of deleted rows only."""

    _condition = _DELETED


class _ShortName(str):
    """A name with ``%(app_label)s`` and ``%(class)s``, shortened to 30 characters: Django's limit for indexes."""

    __slots__ = ()

    def __mod__(self, names: Any) -> str:  # Any: as str's own
        name = str.__mod__(self, names)
        if len(name) <= models.Index.max_name_length:
            return name
        # By a hash of the whole: the same in every process and version, and another for another model.
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: models.Index.max_name_length - 9]}_{digest}"


class SoftDeleteMeta:
    """Make the database check the columns of soft delete: ``class Meta(SoftDeleteMeta):``.

    It adds a CHECK that ``is_deleted`` and ``deleted_at`` agree, and an index on ``deleted_at`` of deleted rows for
    purges. A Meta with constraints or indexes of its own repeats them: ``indexes = [*SoftDeleteMeta.indexes, …]``.
    """

    constraints: ClassVar[Sequence[BaseConstraint]] = (
        models.CheckConstraint(  # Django renamed the argument in 5.1
            name=_ShortName("%(app_label)s_%(class)s_deleted_ck"),
            **{"condition" if django.VERSION >= (5, 1) else "check": _AGREES},  # type: ignore[arg-type]  # names of two versions
        ),
    )
    indexes: ClassVar[Sequence[models.Index]] = (
        DeletedIndex(fields=["deleted_at"], name=_ShortName("%(app_label)s_%(class)s_deleted_ix")),
    )
