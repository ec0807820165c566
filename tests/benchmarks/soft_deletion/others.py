"""How do other packages, and Django's own delete, compare with the same floor, in the same run?

A ratio says nothing where rows are left: what each leaves active of what it should have deleted is shown beside it.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection

from tests.benchmarks.figures import Figure, Result
from tests.benchmarks.soft_deletion import by_hand, deletes, rows
from tests.benchmarks.soft_deletion.database import analyze, make_tables
from tests.benchmarks.soft_deletion.measure import FRAME, Code
from tests.benchmarks.soft_deletion.models import Author, Note
from tests.benchmarks.soft_deletion.packages import PACKAGES, Models, labels, models_of, plain_models

# Of 10,000, the packages that delete one row at a time would each take the better part of a minute a run.
FLAT = 1_000
SLOW, RUNS_OF_SLOW = 0.25, 3  # what takes longer, in seconds, is not measured more often
COLUMNS = "{:<32} {:<24} {:>10} {:>9}  {}"
_batches = itertools.count(1)


@dataclass
class Subject:
    """One way to delete, and what it took."""

    label: str
    prepare: Callable[[], Any]  # Any: an instance, or the number of a batch
    delete: Callable[[Any], object]
    left: Callable[[Any], int]
    taken: Code = field(default_factory=Code)
    left_active: int = 0
    is_slow: bool = False
    failure: str = ""


def beside(runs: int) -> Iterator[Result]:
    """Yield the lines of a table: for each operation and package, time to the floor's, queries, rows left active."""
    installed = labels()
    subjects = {"Django's own, for good": plain_models()}
    broken = []
    for distribution, label in installed.items():
        try:
            subjects[label] = models_of(distribution)
        except Exception as error:  # noqa: BLE001  # of another time than this Django, say
            broken.append(COLUMNS.format(label, "cannot be imported", "", "", f"{type(error).__name__}: {error}"))
    make_tables(model for models in subjects.values() for model in models.all())
    for models in subjects.values():
        for _ in range(3):
            _tree(models)
        _notes(models)
    analyze()
    yield Result("others", [COLUMNS.format("by", "operation", "ratio", "queries", "left active")], [])
    for operation, ours in _ours().items():
        theirs = [_subject(operation, label, models) for label, models in subjects.items()]
        _measure([*ours, *theirs], runs)
        yield from [_line(one, operation, ours[0].taken) for one in [*ours, *theirs]]
    missing = [COLUMNS.format(name, "not installed", "", "", "") for name in PACKAGES if name not in installed]
    if broken or missing:
        yield Result("others", [*broken, *missing], [])


def _ours() -> dict[str, list[Subject]]:
    """Return ``{operation: [floor, ours]}``."""

    def notes() -> int:
        return rows.notes(FLAT)

    def delete_notes(batch: int) -> None:
        Note.objects.filter(batch=batch).delete()

    floor, ours = "hand-written SQL", "shared_core"
    return {
        "childless": [
            Subject(floor, Note.objects.create, by_hand.delete_note, deletes.active_note),
            Subject(ours, Note.objects.create, Note.delete, deletes.active_note),
        ],
        "cascade, 1 + 100 + 1,000": [
            Subject(floor, rows.tree, by_hand.delete_tree, deletes.active_below),
            Subject(ours, rows.tree, Author.delete, deletes.active_below),
        ],
        f"flat, {FLAT:,}": [
            Subject(floor, notes, by_hand.delete_notes, deletes.active_notes),
            Subject(ours, notes, delete_notes, deletes.active_notes),
        ],
    }


def _subject(operation: str, label: str, models: Models) -> Subject:
    if operation == "childless":
        return Subject(label, models.note.objects.create, _delete, lambda note: _active(models.note, id=note.id))
    if operation.startswith("cascade"):
        return Subject(label, lambda: _tree(models), _delete, lambda author: _active_below(models, author))

    def delete_notes(batch: int) -> None:
        models.note.objects.filter(batch=batch).delete()

    return Subject(label, lambda: _notes(models), delete_notes, lambda batch: _active(models.note, batch=batch))


def _measure(subjects: list[Subject], runs: int) -> None:
    """Measure all in turn; the first time round is not timed, and counts queries."""
    for subject in subjects:
        what, counter = subject.prepare(), _Counter()
        start = time.perf_counter()
        try:
            with connection.execute_wrapper(counter):
                subject.delete(what)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what that package does
            subject.failure = f"{type(error).__name__}: {error}"
            continue
        subject.is_slow = time.perf_counter() - start > SLOW
        subject.taken.queries, subject.left_active = counter.number, subject.left(what)
    for run in range(runs):
        for subject in subjects:
            if not subject.failure and (run < RUNS_OF_SLOW or not subject.is_slow):
                subject.taken.time(partial(subject.delete, subject.prepare()))


class _Counter:
    """Counts statements: Django's own log of them keeps no more than 9,000."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:  # Any: as Django hands them on
        self.number += sql.split(maxsplit=1)[0] not in FRAME
        return execute(sql, *rest)


def _line(subject: Subject, operation: str, floor: Code) -> Result:
    if subject.failure:
        return Result("others", [COLUMNS.format(subject.label, operation, "failed", "", subject.failure)], [])
    # Of medians: what is slow was not measured in every round.
    taken = subject.taken
    cpu = statistics.median(taken.cpu) / statistics.median(floor.cpu)
    figure = Figure(
        what=f"{operation}: {subject.label}",
        figure=taken.median / floor.median,
        low=min(taken.wall) / floor.median,
        high=max(taken.wall) / floor.median,
        cpu=cpu,
        queries=f"{taken.queries:,}",
        note=f"leaves {subject.left_active:,} rows active" if subject.left_active else "",
        raw=taken.wall,
    )
    ratio, queries = f"{figure.figure:,.2f}x", f"{taken.queries:,}"
    line = COLUMNS.format(subject.label, operation, ratio, queries, f"{subject.left_active:,}")
    return Result("others", [line], [figure])


def _tree(models: Models) -> Any:  # Any: an author
    author = models.author.objects.create()
    books = models.book.objects.bulk_create([models.book(parent=author) for _ in range(rows.BOOKS)])
    models.chapter.objects.bulk_create(
        [models.chapter(parent=book) for book in books for _ in range(rows.CHAPTERS_OF_A_BOOK)]
    )
    return author


def _notes(models: Models) -> int:
    batch = next(_batches)
    models.note.objects.bulk_create([models.note(batch=batch) for _ in range(FLAT)])
    return batch


def _delete(instance: Any) -> None:  # Any: of whatever package
    instance.delete()


def _active(model: Any, **conditions: object) -> int:  # Any: as above
    number: int = model.objects.filter(**conditions).count()
    return number


def _active_below(models: Models, author: Any) -> int:  # Any: as above
    # By columns of each table alone: a package may hide the rows of a deleted parent in a join.
    books = list(models.book._base_manager.filter(parent_id=author.id).values_list("id", flat=True))
    return (
        _active(models.author, id=author.id)
        + _active(models.book, id__in=books)
        + _active(models.chapter, parent_id__in=books)
    )
