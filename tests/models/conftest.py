import pytest

from tests.library.models import Author, Book, Chapter
from tests.upgrades.fixtures import before

__all__ = ["author", "before", "book", "chapters"]


@pytest.fixture
def author(db):
    return Author.objects.create(name="Ursula")


@pytest.fixture
def book(author):
    return Book.objects.create(author=author, title="The Dispossessed", pages=341)


@pytest.fixture
def chapters(book):
    first = Chapter.objects.create(book=book, title="1")
    return [
        first,
        Chapter.objects.create(book=book, title="1.1", part_of=first),
        Chapter.objects.create(book=book, title="2"),
    ]
