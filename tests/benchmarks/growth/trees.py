"""What is deleted: trees of three levels, and of nine, on each package's base class, of any size."""

from typing import Any

from django.db import connection, models

from shared_core.models import BaseModel, uuid7
from tests.benchmarks.soft_deletion.models import Author, Book, Chapter, Note
from tests.benchmarks.soft_deletion.packages import Models

LEVELS, WIDTH = 8, 200  # below the root, and rows of each level
CHAPTERS = 10  # of a book
# In the order of time, as `uuid7` makes them: random keys scatter over all pages what is deleted together.
_KEY = """overlay(gen_random_uuid()::text PLACING regexp_replace(
    lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0'), '(.{8})', '\\1-'
) FROM 1 FOR 13)::uuid"""
_OURS = ", created_at, updated_at, is_deleted", ", now(), now(), false"

ours = Models(Note, Author, Book, Chapter)


def chain(prefix: str, base: type[models.Model], **attributes: object) -> list[Any]:  # Any: as the base has it
    """Return models of which each refers to the one before it."""
    found: list[Any] = []
    for level in range(LEVELS + 1):
        name = f"{prefix}Level{level}"
        namespace = {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "soft_deletion", "db_table": name.lower()}),
            "id": models.UUIDField(primary_key=True, default=uuid7),
            **attributes,
        }
        if found:
            namespace["parent"] = models.ForeignKey(found[-1], models.CASCADE, null=True)
        found.append(type(name, (base,), namespace))
    return found


def tree(of: Models, books: int) -> Any:  # Any: an author
    """Insert an author with so many books of ten chapters each, and return him."""
    author = of.author.objects.create()
    parent = "author_id" if of is ours else "parent_id"
    _insert(of.book, parent, "SELECT %s::uuid FROM generate_series(1, %s)", author.pk, books)
    book = of.book._meta.db_table
    chapters = f"SELECT b.id FROM {book} b CROSS JOIN generate_series(1, %s) WHERE b.{parent} = %s"
    _insert(of.chapter, "book_id" if of is ours else "parent_id", chapters, CHAPTERS, author.pk)
    return author


def deep(levels: list[Any], depth: int) -> Any:  # Any: as in `chain`
    """Insert a root with so many levels below it, and return it."""
    root, *below = levels[LEVELS - depth :]
    top = root.objects.create()
    above = [top] * WIDTH
    for model in below:
        above = model.objects.bulk_create([model(parent=one) for one in above])
    return top


def deleted_notes(number: int) -> None:
    """Insert notes that were deleted long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {Note._meta.db_table} (id, created_at, updated_at, is_deleted, deleted_at, batch)
            SELECT {_KEY}, now(), now(), true, now() - i * interval '1 ms' - interval '1 year', 0
              FROM generate_series(1, %s) AS i
            """,
            [number],
        )


def empty(*wanted: Any) -> None:  # Any: models
    """Leave no row, and no trace of any."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in wanted)}")


def active(of: Models, author: Any) -> int:
    """Return how much of a tree of ours is active."""
    return int(
        of.author.objects.filter(pk=author.pk).count()
        + of.book.objects.filter(author=author).count()
        + of.chapter.objects.filter(book__author=author).count()
    )


def _insert(model: Any, parent: str, select: str, *parameters: object) -> None:
    columns, values = _OURS if issubclass(model, BaseModel) else ("", "")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} (id, {parent}{columns}) "
            f"SELECT {_KEY}, parent.*{values} FROM ({select}) AS parent",
            parameters,
        )
