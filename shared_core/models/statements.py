"""SQL that Django does not write: an UPDATE that locks in order, and returns which rows it changed.

    UPDATE book SET is_deleted = true, deleted_at = …
     WHERE id = ANY(ARRAY(SELECT id FROM book WHERE author_id = ANY(…) AND NOT is_deleted
                          ORDER BY id FOR NO KEY UPDATE))
    RETURNING id

The inner SELECT locks in the order of the keys. An UPDATE alone locks as it scans, so two of them over the same rows
could deadlock. Its rows are not looked up by ``ctid``, because a row that was changed meanwhile has another one.
FOR NO KEY UPDATE lets rows that refer to these be inserted (PostgreSQL 16, section 13.3.2).

If a key or a timestamp selects the rows, no condition on ``is_deleted`` stands where an index could answer it: with
old statistics PostgreSQL believes that hardly any row is deleted, and reads all that are.
"""

import datetime as dt
import itertools
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import Lookup

# Any: rows of whatever model, and values of whatever types its columns have.
type Rows = models.QuerySet[Any]
type Values = dict[str, Any]

_TOGETHER = 500  # updates in one statement: PostgreSQL returns at most 1,664 columns


@dataclass(frozen=True)
class ArrayParameter:
    """Any number of values of a field, as one parameter of a statement."""

    field: Any  # Any: a field of whatever type

    def bind(self, values: Sequence[Any], connection: Any) -> Any:  # Any: as the database takes it
        """Return the parameter with these values."""
        prepared = [self.field.get_db_prep_value(value, connection) for value in values]
        if connection.vendor == "sqlite":
            return json.dumps(prepared, default=str)  # decimals and the like are stored as their text
        if all(isinstance(value, int | uuid.UUID) for value in prepared):
            # As the text of an array: a driver takes several times as long for a list of 10,000.
            return "{" + ",".join(map(str, prepared)) + "}"
        return prepared


class AnyOf(Lookup):
    """``column = ANY(values)``; without values, the compiled statement has a place for them."""

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # Any: Django's own
        """Return the condition as PostgreSQL and SQLite understand it."""
        column, parameters = self.process_lhs(compiler, connection)
        parameter = ArrayParameter(self.lhs.output_field)
        values = parameter if self.rhs is None else parameter.bind(self.rhs, connection)
        if connection.vendor == "sqlite":
            return f"{column} IN (SELECT value FROM json_each(%s))", (*parameters, values)  # noqa: S608  # no input
        return f"{column} = ANY(%s::{parameter.field.db_type(connection)}[])", (*parameters, values)


class AnyFrom(Lookup):
    """``column = ANY(ARRAY(SELECT …))``: the rows of a query of one column, which is executed once.

    For ``IN (SELECT …)`` PostgreSQL chooses by its statistics, and with old ones reads one table for each row of the
    other.
    """

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # Any: Django's own
        """Return the condition as PostgreSQL and SQLite understand it."""
        column, parameters = self.process_lhs(compiler, connection)
        query, inner = compiler.compile(self.rhs)
        condition = f"IN {query}" if connection.vendor == "sqlite" else f"= ANY(ARRAY{query})"
        return f"{column} {condition}", (*parameters, *inner)


def columns(owner: type[models.Model], at: dt.datetime, *, deleted: bool) -> Values:
    """Return what an UPDATE sets on ``owner``'s rows to delete or restore them."""
    values: Values = {"is_deleted": deleted, "deleted_at": at if deleted else None}
    if any(getattr(field, "auto_now", False) and field.name == "updated_at" for field in owner._meta.local_fields):
        values["updated_at"] = at
    return values


@dataclass(frozen=True)
class Update:
    """One UPDATE, not yet executed."""

    owner: type[models.Model]
    using: str
    values: Values
    where: str
    parameters: list[Any]  # Any: as the database takes them, or `ArrayParameter`

    @classmethod
    def of_one(cls, owner: type[models.Model], using: str, values: Values, conditions: Values) -> Self:
        """Return the UPDATE of the row that meets the conditions."""
        connection = connections[using]
        where = " AND ".join(f"{_column(owner, name, connection)} = %s" for name in conditions)
        return cls(owner, using, values, where, _parameters(owner, conditions, connection))

    @classmethod
    def of_rows(cls, rows: Rows, values: Values) -> Self:
        """Return the UPDATE of the owner's rows, which locks them in the order of their keys."""
        owner, connection = rows.model, connections[rows.db]
        try:
            sql, parameters = lock(rows).values("pk").query.get_compiler(rows.db).as_sql()
        except EmptyResultSet:  # none(), or pk__in=[]
            return cls(owner, rows.db, values, "1 = 0", [])
        key = _column(owner, "pk", connection)
        where = f"{key} IN ({sql})" if connection.vendor == "sqlite" else f"{key} = ANY(ARRAY({sql}))"
        return cls(owner, rows.db, values, where, list(parameters))

    @classmethod
    def of_unlocked(cls, rows: Rows, values: Values) -> Self:
        """Return the UPDATE of the owner's rows, which locks them as it scans."""
        compiler = rows.query.get_compiler(rows.db)
        compiler.setup_query()
        where, parameters = compiler.compile(rows.query.where)
        return cls(rows.model, rows.db, values, where, list(parameters))

    @classmethod
    def of_keys(cls, owner: type[models.Model], using: str, values: Values, keys: list[Any]) -> Self:
        """Return the UPDATE of rows that are locked already; it leaves those that have the new ``is_deleted``."""
        connection = connections[using]
        field: Any = owner._meta.pk  # Any: a field of whatever type
        condition = AnyOf(field.get_col(owner._meta.db_table), keys)
        where, parameters = condition.as_sql(rows_of(owner, using).query.get_compiler(using), connection)
        where += f" AND {_column(owner, 'is_deleted', connection)} <> %s"
        new = {"is_deleted": values["is_deleted"]}
        return cls(owner, using, values, where, [*parameters, *_parameters(owner, new, connection)])

    def bind(self, values: Sequence[Any], also: Values | None = None) -> "Update":
        """Return the statement with these values bound, and with further conditions."""
        connection = connections[self.using]
        where = [self.where, *(f"{_column(self.owner, name, connection)} = %s" for name in also or {})]
        parameters = [
            one.bind(values, connection) if isinstance(one, ArrayParameter) else one for one in self.parameters
        ]
        parameters += _parameters(self.owner, also or {}, connection)
        return replace(self, where=" AND ".join(where), parameters=parameters)

    def count(self) -> int:
        """Execute it, and return the number of rows."""
        with self._execute() as cursor:
            return int(cursor.rowcount)

    def rows(self, fields: Sequence[Any]) -> list[tuple[Any, ...]]:  # Any: fields, and what they hold
        """Execute it, and return these fields of each row."""
        with self._execute(fields) as cursor:
            return _converted(
                cursor.fetchall(), [field.get_col(self.owner._meta.db_table) for field in fields], self.using
            )

    def sql(self, returning: str = "") -> tuple[str, list[Any]]:  # Any: as the database takes them
        """Return the statement and its parameters."""
        connection = connections[self.using]
        changes = ", ".join(f"{_column(self.owner, name, connection)} = %s" for name in self.values)
        table = connection.ops.quote_name(self.owner._meta.db_table)
        sql = f"UPDATE {table} SET {changes} WHERE {self.where}{returning}"  # noqa: S608  # names are Django's
        return sql, [*_parameters(self.owner, self.values, connection), *self.parameters]

    def _execute(self, fields: Sequence[Any] = ()) -> Any:  # Any: a cursor of Django's
        connection = connections[self.using]
        names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
        cursor = connection.cursor()
        cursor.execute(*self.sql(f" RETURNING {names}" if names else ""))
        return cursor


@dataclass(frozen=True)
class Select:
    """One SELECT, compiled once: Django needs half a millisecond and more to compile it."""

    using: str
    sql: str
    parameters: Sequence[Any]  # Any: as the database takes them, or `ArrayParameter`
    columns: list[Any]  # Any: Django's expressions

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Return the SELECT of rows that `values_list` was called on; `AnyOf` without values leaves them to `rows`."""
        compiler = rows.query.get_compiler(rows.db)
        try:
            sql, parameters = compiler.as_sql()
        except EmptyResultSet:  # none(), or pk__in=[]
            return cls(rows.db, "", (), [])
        return cls(rows.db, sql, parameters, [column for column, _, _ in compiler.select])

    def rows(self, *arrays: Sequence[Any]) -> list[tuple[Any, ...]]:  # Any: of whatever types the columns have
        """Execute it with these values bound in turn, and return what it selects."""
        if not self.sql:
            return []
        connection = connections[self.using]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, _bound(self.parameters, arrays, connection))
            return _converted(cursor.fetchall(), self.columns, self.using)


def execute_each(updates: Iterable[Update]) -> list[int]:
    """Execute the updates one by one, and return the number of rows of each."""
    return [update.count() for update in updates]


def execute_together(updates: Sequence[Update]) -> list[int]:
    """Execute the updates, which must change different rows, in as few statements as the database can.

    WITH u0 AS (UPDATE … RETURNING 1), u1 AS (…) SELECT (SELECT count(*) FROM u0), (SELECT count(*) FROM u1)
    """
    if len(updates) < 2 or connections[updates[0].using].vendor == "sqlite":
        return execute_each(updates)
    return [number for some in itertools.batched(updates, _TOGETHER) for number in _execute_in_one(some)]


def _execute_in_one(updates: Sequence[Update]) -> list[int]:
    statements = [update.sql(" RETURNING 1") for update in updates]
    parts = ", ".join(f"u{place} AS ({sql})" for place, (sql, _) in enumerate(statements))
    numbers = ", ".join(f"(SELECT count(*) FROM u{place})" for place in range(len(updates)))  # noqa: S608  # no input
    with connections[updates[0].using].cursor() as cursor:
        cursor.execute(f"WITH {parts} SELECT {numbers}", [one for _, parameters in statements for one in parameters])
        return list(cursor.fetchone())


def rows_of(model: type[models.Model], using: str) -> Rows:
    """Return all rows of a model, whatever its managers hide."""
    return models.QuerySet(model, using=using)


def lock(rows: Rows, *, skip_locked: bool = False) -> Rows:
    """Return the same rows, locked in the order of their keys when they are read."""
    no_key = connections[rows.db].features.has_select_for_no_key_update
    return rows.order_by("pk").select_for_update(no_key=no_key, skip_locked=skip_locked)


def is_lockable(rows: Rows) -> bool:
    """Return whether the rows can be locked by their own conditions, which are checked again after a wait.

    FOR UPDATE is not allowed with DISTINCT, GROUP BY, windows or the nullable side of an outer join.
    """
    query = rows.query.chain()
    query.get_initial_alias()
    is_plain = not (query.distinct or query.group_by or query.annotations or query.extra)
    return is_plain and query.count_active_tables() == 1


def _bound(parameters: Iterable[Any], arrays: Iterable[Sequence[Any]], connection: Any) -> list[Any]:
    values = itertools.cycle(arrays)
    return [one.bind(next(values), connection) if isinstance(one, ArrayParameter) else one for one in parameters]


def _converted(rows: list[tuple[Any, ...]], columns: list[Any], using: str) -> list[tuple[Any, ...]]:
    """Return the rows with values as models have them: SQLite, for example, keeps a UUID as text."""
    compiler: Any = connections[using].ops.compiler("SQLCompiler")  # Any: a class of the backend's
    compiler = compiler(None, connections[using], using)
    converters = compiler.get_converters(columns)
    return list(map(tuple, compiler.apply_converters(rows, converters))) if converters else rows


def _column(owner: type[models.Model], name: str, connection: Any) -> str:
    field = owner._meta.pk if name == "pk" else owner._meta.get_field(name)
    return str(connection.ops.quote_name(field.column))  # type: ignore[union-attr]  # columns are concrete fields


def _parameters(owner: type[models.Model], values: Values, connection: Any) -> list[Any]:
    fields = [owner._meta.pk if name == "pk" else owner._meta.get_field(name) for name in values]
    return [
        field.get_db_prep_save(value, connection)  # type: ignore[union-attr]  # as above
        for field, value in zip(fields, values.values(), strict=True)
    ]
