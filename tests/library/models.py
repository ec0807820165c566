"""Authors, books, chapters, loans: one relation of each kind that a soft delete has to decide about."""

from django.db import models

from shared_core.models import BaseModel, SoftDeleteManager, SoftDeleteModel, SoftDeleteQuerySet


class BookQuerySet(SoftDeleteQuerySet["Book"]):
    def long(self):
        return self.filter(pages__gt=500)


class Author(BaseModel):
    name = models.CharField(max_length=100)

    def __str__(self):
        return self.name


class Book(BaseModel):
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    translator = models.ForeignKey(Author, models.SET_NULL, null=True, blank=True, related_name="translations")
    title = models.CharField(max_length=100)
    pages = models.PositiveIntegerField(default=100)

    objects = SoftDeleteManager.from_queryset(BookQuerySet)()

    def __str__(self):
        return self.title


class Chapter(BaseModel):
    book = models.ForeignKey(Book, models.CASCADE, related_name="chapters")
    part_of = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="parts")
    title = models.CharField(max_length=100)

    def __str__(self):
        return self.title


class Loan(BaseModel):
    """Keeps its book from being deleted."""

    book = models.ForeignKey(Book, models.PROTECT, related_name="loans")


class Shelf(BaseModel):
    """Keeps its author from being deleted, but for what goes along by another way."""

    author = models.ForeignKey(Author, models.RESTRICT, related_name="shelves")
    book = models.ForeignKey(Book, models.CASCADE, related_name="shelves")


class Stamp(models.Model):
    """Cannot be soft-deleted."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="stamps")

    def __str__(self):
        return f"stamp in {self.book_id}"


class Note(SoftDeleteModel):
    """Soft delete alone, on a key and without timestamps of the service's own."""

    text = models.CharField(max_length=100)

    def __str__(self):
        return self.text
