"""Counts the queries of a block, and shows them where the count is wrong.

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
from collections.abc import Callable
from contextlib import AbstractContextManager
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


def assert_num_queries(num: int, *, using: str = "default") -> AbstractContextManager[list[Query]]:
    """Fail where the block makes more or fewer than ``num`` queries.

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
    return _Counting(using, num, num)


def assert_max_num_queries(num: int, *, using: str = "default") -> AbstractContextManager[list[Query]]:
    """Fail where the block makes more than ``num`` queries; in all else `assert_num_queries`."""
    return _Counting(using, 0, num)


class _Counting:
    def __init__(self, using: str, least: int, most: int) -> None:
        self._connection = connections[using]
        self._least, self._most = least, most
        self._queries: list[Query] = []
        self._wrapped = self._connection.execute_wrapper(self._note)

    def __enter__(self) -> list[Query]:
        self._wrapped.__enter__()
        return self._queries

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        __tracebackhide__ = True  # pytest shows the test's own line
        self._wrapped.__exit__(None, None, None)
        if kind is None and not self._least <= len(self._queries) <= self._most:
            raise AssertionError(_told(self._queries, self._least, self._most))

    def _note(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:  # Any: Django's own, passed on
        if _CONTROL.match(str(sql)):
            return execute(sql, params, many, context)
        place = _place(sys._getframe(1))
        try:
            return execute(sql, params, many, context)
        finally:
            cursor = context["cursor"].cursor
            whole = str(sql) if many else str(self._connection.ops.last_executed_query(cursor, sql, params))
            self._queries.append(Query(whole, str(sql), place))


def _place(frame: FrameType | None) -> str:
    """Return where the nearest code stands that belongs to none of the libraries in between."""
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        return "?"
    path = Path(frame.f_code.co_filename)
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{path}:{frame.f_lineno} in {frame.f_code.co_name}"


def _told(queries: list[Query], least: int, most: int) -> str:
    """Return what was done, each statement of one place once."""
    done = "1 query" if len(queries) == 1 else f"{len(queries)} queries"
    lines = [f"{done}, {'not' if least == most else 'more than'} {most}{':' if queries else ''}"]
    alike: dict[tuple[str, str], list[str]] = {}
    for query in queries:
        alike.setdefault((query.place, query.statement), []).append(query.sql)
    for number, query in enumerate(queries, 1):
        if texts := alike.pop((query.place, query.statement), []):
            times = f", {len(texts)} times" if len(texts) > 1 else ""
            lines.append(f"{number:>3}  {query.place}{times}{' with other values' if len(set(texts)) > 1 else ''}")
            lines.append(f"     {_short(query.sql)}")
    return "\n".join(lines)


def _short(sql: str) -> str:
    sql = _COLUMNS.sub(r"\1…", " ".join(sql.split()), count=1)
    return sql if len(sql) <= _LONGEST else f"{sql[:_LONGEST]}…"
