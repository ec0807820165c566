"""What do deletes, and a purge, cost as they grow?"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from shared_core.models import BaseModel, purge
from tests.benchmarks.figures import Chart, Figure, Result, exponent
from tests.benchmarks.growth import trees
from tests.benchmarks.soft_deletion import by_hand
from tests.benchmarks.soft_deletion.database import analyze, make_tables
from tests.benchmarks.soft_deletion.measure import Code, WrongResultError
from tests.benchmarks.soft_deletion.models import Author, Book, Chapter, Note
from tests.benchmarks.soft_deletion.packages import labels, models_of, plain_models
from tests.benchmarks.turns import order

OURS, FLOOR, DJANGO = "shared_core", "hand-written SQL", "Django's own, for good"
ONE_DELETE, BATCHES = "one DELETE", "batches of 1,000 by hand"
BOOKS = (1, 9, 91, 909, 9_091, 90_909)  # 11 rows each, and the author: 12 to 1,000,000 rows
DEPTHS = range(1, trees.LEVELS + 1)
PURGED = (10_000, 100_000, 1_000_000, 5_000_000)
LARGE, MOST_OF_ONE_BY_ONE = 50_000, 1_500  # rows: those above are measured less often; the most for slow packages
SLOW, ROUNDS_OF_SLOW = 0.25, 3  # what takes longer, in seconds, is not measured more often
IN_PROPORTION = 1.1  # the power of growth
BESIDE = 1.4  # the floor, at the largest size
_COLUMNS = "  {:<28} {}"
_DELETE = "SET is_deleted = true, deleted_at = %s, updated_at = %s"


@dataclass
class Way:
    """One way to delete, and what it took at each size."""

    prepare: Callable[[int], Any]  # a size, and what is deleted
    delete: Callable[[Any], object]
    most: float = float("inf")
    points: list[tuple[float, float]] = field(default_factory=list)  # rows, or levels; seconds


def cascade(most: int) -> Result:
    """Measure the delete of an author with his books and their chapters."""
    plain = plain_models()
    ways = {
        FLOOR: Way(partial(trees.tree, trees.ours), by_hand.delete_tree),
        OURS: Way(partial(trees.tree, trees.ours), Author.delete),
        DJANGO: Way(partial(trees.tree, plain), _delete),
    }
    tables = [*trees.ours.all(), *plain.all()]
    for distribution, label in labels().items():
        if distribution == "django-softdelete-model":  # which leaves the chapters
            continue
        theirs = models_of(distribution)
        tables += theirs.all()
        slow = MOST_OF_ONE_BY_ONE if distribution != "django-safedelete" else 20_000
        ways[label] = Way(partial(_tree_by_orm, theirs), _delete, most=slow)
    make_tables([model for model in tables if model not in trees.ours.all()])
    for books in BOOKS:
        size = 1 + books * (1 + trees.CHAPTERS)
        if size > most:
            break
        _in_turn(ways, books, size, tables, rounds=3 if size > LARGE else 9)
    _check_deleted()
    return _result("cascade", "rows", ways)


def depth(most: int) -> Result:
    """Measure the delete of a root with one to eight levels below it."""
    chains = {OURS: trees.chain("Ours", BaseModel), DJANGO: trees.chain("Plain", trees.models.Model)}
    if "django-safedelete" in labels():
        from safedelete.config import SOFT_DELETE_CASCADE
        from safedelete.models import SafeDeleteModel

        chains[labels()["django-safedelete"]] = trees.chain(
            "Policy", SafeDeleteModel, _safedelete_policy=SOFT_DELETE_CASCADE
        )
    tables = [model for chain in chains.values() for model in chain]
    make_tables(tables)
    ways = {FLOOR: Way(partial(trees.deep, chains[OURS]), partial(_delete_by_hand, chains[OURS]))}
    ways |= {name: Way(partial(trees.deep, chain), _delete) for name, chain in chains.items()}
    for levels in DEPTHS:
        _in_turn(ways, levels, levels, tables, rounds=9)
    return _result("depth", "levels below the root", ways, since=1)


def purged(most: int) -> Result:
    """Measure `purge`, beside batches by hand, and one DELETE, which holds locks and a snapshot as long as it takes."""
    ways = {
        ONE_DELETE: Way(trees.deleted_notes, lambda _: _execute("DELETE FROM soft_deletion_note WHERE is_deleted")),
        BATCHES: Way(trees.deleted_notes, lambda _: _delete_in_batches()),
        OURS: Way(trees.deleted_notes, lambda _: purge(Note, older_than=dt.timedelta(days=90))),
    }
    for size in [size for size in PURGED if size <= most]:
        for way in ways.values():
            taken = Code()
            for _ in range(1 if size > LARGE else 3):
                trees.empty(Note)
                way.prepare(size)
                analyze()
                taken.time(partial(way.delete, None))
                if Note.all_objects.exists():
                    raise WrongResultError("a purge has left rows")
            way.points.append((size, taken.median))
    return _result("purge", "rows", ways, floor=BATCHES, beside=None)


def _in_turn(ways: dict[str, Way], asked: int, size: int, tables: Sequence[Any], *, rounds: int) -> None:
    """Let each way delete what it prepared, and keep the medians."""
    taken = {name: Code() for name, way in ways.items() if size <= way.most}
    trees.empty(*tables)
    for run in range(-1 if size <= LARGE else 0, rounds):
        names = [name for name, one in taken.items() if run < ROUNDS_OF_SLOW or one.median < SLOW]
        # All is there, and known to PostgreSQL, before one begins: it chooses its plans by that.
        prepared = {name: ways[name].prepare(asked) for name in names}
        analyze()
        for name in order(names, max(run, 0)):
            one = Code() if run < 0 else taken[name]  # the round before fills caches
            one.time(partial(ways[name].delete, prepared[name]))
        if size > LARGE:
            trees.empty(*tables)
    for name, one in taken.items():
        ways[name].points.append((size, one.median))


def _result(
    case: str, x: str, ways: dict[str, Way], *, floor: str = FLOOR, beside: float | None = BESIDE, since: int = 1000
) -> Result:
    """Return the chart, and the power that the cost of ours grows by."""
    lines = [f"{case}, seconds by {x}:"]
    for name, way in ways.items():
        lines.append(_COLUMNS.format(name, "  ".join(f"{size:,.0f}: {seconds:.4f}" for size, seconds in way.points)))
    size, seconds = ways[OURS].points[-1]
    figures = [
        Figure(
            what=f"{case}: the power by which the time grows with {x}",
            figure=exponent(_since(ways[OURS].points, since)),
            limit=IN_PROPORTION,
            unit="",
            note=f"{floor}: {exponent(_since(ways[floor].points, since)):.2f}",
        ),
        Figure(
            what=f"{case} of {size:,.0f} {x} beside {floor}", figure=seconds / ways[floor].points[-1][1], limit=beside
        ),
    ]
    chart = Chart(title=case, x=x, y="seconds", lines={name: way.points for name, way in ways.items()})
    return Result(case, lines, figures, [chart])


def _since(points: list[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Return the points from a size on: below it, what is the same for all sizes costs most."""
    found = [point for point in points if point[0] >= least]
    return found if len(found) > 1 else points


def _delete(instance: Any) -> None:  # Any: of whatever package
    instance.delete()


def _delete_by_hand(levels: list[Any], root: Any) -> None:
    now, start = timezone.now(), levels.index(type(root))
    above, keys = "%s", f"SELECT id FROM {root._meta.db_table} WHERE id = %s"
    with transaction.atomic():
        _execute(f"UPDATE {root._meta.db_table} {_DELETE} WHERE id = {above} AND NOT is_deleted", now, now, root.pk)
        for model in levels[start + 1 :]:
            table = model._meta.db_table
            _execute(f"UPDATE {table} {_DELETE} WHERE parent_id IN ({keys}) AND NOT is_deleted", now, now, root.pk)
            keys = f"SELECT id FROM {table} WHERE parent_id IN ({keys})"


def _delete_in_batches() -> None:
    """Delete old rows by key, each batch in a transaction of its own, and follow nothing that refers to them."""
    last = "00000000-0000-0000-0000-000000000000"
    while last:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                WITH batch AS (
                    SELECT id FROM soft_deletion_note
                     WHERE is_deleted AND deleted_at < now() - interval '90 days' AND id > %s
                     ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
                ), gone AS (DELETE FROM soft_deletion_note WHERE id IN (SELECT id FROM batch))
                SELECT max(id::text) FROM batch
                """,
                [last],
            )
            (last,) = cursor.fetchone()


def _tree_by_orm(of: Any, books: int) -> Any:
    author = of.author.objects.create()
    made = of.book.objects.bulk_create([of.book(parent=author) for _ in range(books)])
    of.chapter.objects.bulk_create([of.chapter(parent=book) for book in made for _ in range(trees.CHAPTERS)])
    return author


def _check_deleted() -> None:
    """Make sure that the last size was deleted whole, by both ways.

    Raises:
        WrongResultError: It was not.
    """
    trees.empty(Author, Book, Chapter)
    for delete in (by_hand.delete_tree, Author.delete):
        author = trees.tree(trees.ours, 90)
        delete(author)
        if left := trees.active(trees.ours, author):
            raise WrongResultError(f"{delete.__qualname__} left {left} rows")


def _execute(sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
