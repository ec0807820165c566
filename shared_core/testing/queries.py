"""How many queries does a block make, and which?

with assert_num_queries(2):
    client.get("/api/v1/tickets")

A failure shows each query with the line of code that made it, and those that are one statement with other values:

    AssertionError: 3 queries, not 2:
      1  apps/tickets/views.py:14 in tickets
         SELECT … FROM "tickets_ticket" WHERE NOT "tickets_ticket"."is_deleted"
      2  apps/tickets/views.py:15 in <genexpr>, 2 times with other values
         SELECT … FROM "tickets_comment" WHERE "tickets_comment"."ticket_id" = '01a2…'::uuid
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import connections

# What begins and ends transactions and savepoints.
_CONTROL = re.compile(r"\s*(SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT)\b", re.IGNORECASE)
_COLUMNS = re.compile(r"(?<=^SELECT )(DISTINCT )?.{60,}?(?= FROM )", re.DOTALL)
_BETWEEN = ("django", "shared_core", "asgiref", "contextlib", "factory", "pytest_django")
_LONGEST = 1000  # characters of a query


@dataclass(frozen=True)
class Query:
    """A query that was made: its text with the values, without them, and ``file:line in function`` of who made it."""

    sql: str
    statement: str
    place: str


@contextmanager
def assert_num_queries(num: int, *, using: str = "default") -> Iterator[list[Query]]:
    """Fail where the block makes more or fewer than ``num`` queries; as a decorator, where the function does.

    What begins or ends a transaction or a savepoint is not counted, so that the number is the same with
    ``django_db(transaction=True)`` and without. Queries that fail are counted; those of other threads are not.

    Args:
        num: How many.
        using: The alias of the database.

    Returns:
        The list that fills with the queries.

    Raises:
        AssertionError: Names the queries. Where the block itself raises, that is passed on.
    """
    with _counted(using) as queries:
        yield queries
    if len(queries) != num:
        raise AssertionError(_told(queries, f"not {num}"))


@contextmanager
def assert_max_num_queries(num: int, *, using: str = "default") -> Iterator[list[Query]]:
    """Fail where the block makes more than ``num`` queries; in all else `assert_num_queries`."""
    with _counted(using) as queries:
        yield queries
    if len(queries) > num:
        raise AssertionError(_told(queries, f"and at most {num}" if num else "and none"))


@contextmanager
def _counted(using: str) -> Iterator[list[Query]]:
    queries: list[Query] = []
    connection = connections[using]

    def note(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if _CONTROL.match(str(sql)):
            return execute(sql, params, many, context)
        place = _place(sys._getframe(1))
        try:
            return execute(sql, params, many, context)
        finally:
            cursor = context["cursor"].cursor
            whole = str(sql) if many else str(connection.ops.last_executed_query(cursor, sql, params))
            queries.append(Query(whole, str(sql), place))

    with connection.execute_wrapper(note):
        yield queries


def _place(frame: FrameType | None) -> str:
    """Return where the nearest code stands that belongs to none of the libraries in between."""
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        return "?"
    path = Path(frame.f_code.co_filename)
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{path}:{frame.f_lineno} in {frame.f_code.co_name}"


def _told(queries: list[Query], but: str) -> str:
    """Return what was done, each statement of one place once."""
    lines = [f"{len(queries)} {'query' if len(queries) == 1 else 'queries'}, {but}{':' if queries else ''}"]
    times: dict[tuple[str, str], int] = {}
    for query in queries:
        key = query.place, query.statement
        times[key] = times.get(key, 0) + 1
    for number, query in enumerate(queries, 1):
        if again := times.pop((query.place, query.statement), 0):
            lines.append(f"{number:>3}  {query.place}{f', {again} times with other values' if again > 1 else ''}")
            lines.append(f"     {_short(query.sql)}")
    return "\n".join(lines)


def _short(sql: str) -> str:
    sql = _COLUMNS.sub(r"\1…", " ".join(sql.split()), count=1)
    return sql if len(sql) <= _LONGEST else f"{sql[:_LONGEST]}…"
