"""The tables that are measured on."""

from django.db import models
from django.db.models import Q

from shared_core.models import BaseModel


class Note(BaseModel):
    """Nobody refers to it."""

    batch = models.IntegerField(default=0, db_index=True)


class Author(BaseModel):
    pass


class Book(BaseModel):
    author = models.ForeignKey(Author, models.CASCADE)


class Chapter(BaseModel):
    book = models.ForeignKey(Book, models.CASCADE)


class Parent(BaseModel):
    batch = models.IntegerField(default=0, db_index=True)


class Child(BaseModel):
    parent = models.ForeignKey(Parent, models.CASCADE)


class BooleanEntry(BaseModel):
    """Has what every BaseModel has: an index on is_deleted."""


class PlainEntry(BaseModel):
    """Has an index of all rows by age beside it."""

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="plain_entry_newest")]


class PartialEntry(BaseModel):
    """Has an index of the active rows by age beside it."""

    class Meta:
        indexes = [models.Index(fields=["-created_at"], condition=Q(is_deleted=False), name="partial_entry_newest")]
