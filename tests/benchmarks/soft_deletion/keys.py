"""What do keys that sort by age save, on a table of the size that a service grows to?

A key of version 7 goes to the end of the index, which stays full and in the cache; one of version 4 goes anywhere, and
splits pages that are full. A server that writes full pages to its log pays for the latter far more than is shown here.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection

from shared_core.models import uuid7
from tests.benchmarks.figures import Figure
from tests.benchmarks.soft_deletion.measure import Line, spread

CHUNK = 50_000
SPEED, SIZE = 1.7, 0.82  # bounds: rows/s at least, size of the index at most
_MAKERS: dict[str, Callable[[], uuid.UUID]] = {"keys_v4": uuid.uuid4, "keys_v7": uuid7}


def keys(rows: int) -> list[Line]:
    """Fill a table with keys of each version, chunk by chunk in turn."""
    seconds: dict[str, list[float]] = {table: [] for table in _MAKERS}
    with connection.cursor() as cursor:
        for table in _MAKERS:
            cursor.execute(f"CREATE TABLE {table} (id uuid PRIMARY KEY, number integer NOT NULL)")
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        for start in range(0, rows, CHUNK):
            for table, make in _MAKERS.items():
                # Made before the clock starts: Python needs longer for a key than PostgreSQL for a row.
                chunk = b"".join(b"%b\t%d\n" % (str(make()).encode(), i) for i in range(min(CHUNK, rows - start)))
                begin = time.perf_counter()
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(chunk)
                seconds[table].append(time.perf_counter() - begin)
        size = {table: _size_of_key(cursor, table) for table in _MAKERS}
        for table in _MAKERS:
            cursor.execute(f"DROP TABLE {table}")
    four, seven = seconds.values()
    # Of the whole, not the median chunk: what version 4 costs grows with the table.
    speed = sum(four) / sum(seven)
    smaller = size["keys_v7"] / size["keys_v4"]
    return [
        Line(
            case=f"uuid7, {rows:,} rows, rows/s",
            figure=f"{speed:.2f}x",
            bound=f">= {SPEED}x",
            spread=spread([one / other for one, other in zip(four, seven, strict=True)]),
            floor=f"{rows / sum(four) / 1000:,.0f}k rows/s",
            misses=[f"{speed:.2f}x the rows/s of version 4, bound {SPEED}x"] if speed < SPEED else [],
            told=Figure(
                what=f"rows/s with uuid7 beside uuid4, {rows:,} rows", figure=speed, limit=SPEED, at_least=True
            ),
        ),
        Line(
            case=f"uuid7, {rows:,} rows, index",
            figure=f"{smaller:.2f}x",
            bound=f"<= {SIZE}x",
            floor=f"{size['keys_v4'] / 2**20:,.0f} MiB",
            misses=[f"{smaller:.2f}x the size with version 4, bound {SIZE}x"] if smaller > SIZE else [],
            told=Figure(what=f"size of the key's index, uuid7 beside uuid4, {rows:,} rows", figure=smaller, limit=SIZE),
        ),
    ]


def _size_of_key(cursor: Any, table: str) -> int:  # Any: a cursor of Django's
    cursor.execute("SELECT pg_relation_size(%s)", [f"{table}_pkey"])
    size: int = cursor.fetchone()[0]
    return size
