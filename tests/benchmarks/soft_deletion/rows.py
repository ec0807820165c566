"""What is deleted: fresh rows for each run, and enough others that PostgreSQL has a reason to use indexes."""

import itertools

from tests.benchmarks.soft_deletion.database import analyze
from tests.benchmarks.soft_deletion.models import Author, Book, Chapter, Child, Note, Parent

BOOKS, CHAPTERS_OF_A_BOOK = 100, 10
PARENTS, CHILDREN_OF_A_PARENT = 1_000, 10

_batches = itertools.count(1)


def fill() -> None:
    """Insert what no case touches."""
    for _ in range(20):
        tree()
    notes(20_000)
    for _ in range(3):
        parents()
    analyze()


def tree() -> Author:
    """Return an author with 100 books of 10 chapters each."""
    author = Author.objects.create()
    books = Book.objects.bulk_create(Book(author=author) for _ in range(BOOKS))
    Chapter.objects.bulk_create(Chapter(book=book) for book in books for _ in range(CHAPTERS_OF_A_BOOK))
    return author


def deleted_tree() -> Author:
    """Return such an author, deleted with what is below."""
    author = tree()
    author.delete()
    return author


def notes(number: int = 10_000) -> int:
    """Insert notes of one batch, and return its number."""
    batch = next(_batches)
    Note.objects.bulk_create((Note(batch=batch) for _ in range(number)), batch_size=5_000)
    return batch


def parents() -> int:
    """Insert 1,000 parents of one batch with 10 children each, and return its number."""
    batch = next(_batches)
    made = Parent.objects.bulk_create(Parent(batch=batch) for _ in range(PARENTS))
    children = (Child(parent=parent) for parent in made for _ in range(CHILDREN_OF_A_PARENT))
    Child.objects.bulk_create(children, batch_size=5_000)
    return batch
