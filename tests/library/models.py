"""Authors, books, chapters, loans: one relation of each kind that a soft delete has to decide about."""

import django
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from shared_core.models import (
    ActiveIndex,
    ActiveParentConstraint,
    BaseModel,
    SoftDeleteManager,
    SoftDeleteMeta,
    SoftDeleteModel,
    SoftDeleteQuerySet,
    UniqueActiveConstraint,
)


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


class Account(BaseModel):
    """Has values that are unique among active rows, in three ways."""

    email = models.EmailField()
    handle = models.CharField(max_length=30, blank=True)
    team = models.CharField(max_length=30, blank=True)
    is_lead = models.BooleanField(default=False)
    invited_by = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="invited")

    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            UniqueActiveConstraint(fields=["email"], name="library_account_email"),
            UniqueActiveConstraint(Lower("handle"), name="library_account_handle", condition=~Q(handle="")),
            UniqueActiveConstraint(fields=["team"], name="library_account_lead", condition=Q(is_lead=True)),
        ]
        indexes = [
            *SoftDeleteMeta.indexes,
            ActiveIndex(fields=["-created_at"], name="library_account_newest"),
        ]

    def __str__(self):
        return self.email


class Topic(BaseModel):
    tags = GenericRelation("Tag")


class Reply(BaseModel):
    """Cannot be put under a topic that is deleted, or is being deleted."""

    topic = models.ForeignKey(Topic, models.CASCADE, null=True, related_name="replies")

    class Meta:
        constraints = [ActiveParentConstraint(fields=["topic"], name="library_reply_topic")]


class Tag(BaseModel):
    """Refers to rows of any model."""

    content_type = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
    object_id = models.CharField(max_length=40)
    subject = GenericForeignKey()


class City(BaseModel):
    code = models.CharField(max_length=3, unique=True)


class Place(BaseModel):
    city = models.ForeignKey(City, models.CASCADE, to_field="code", db_column="city_code", related_name="places")


class Restaurant(Place):
    """Keeps its columns of soft delete in the table of places."""

    chain = models.ForeignKey("Chain", models.CASCADE, null=True, related_name="restaurants")


class Waiter(BaseModel):
    restaurant = models.ForeignKey(Restaurant, models.CASCADE, related_name="waiters")


class Review(BaseModel):
    place = models.ForeignKey(Place, models.CASCADE, related_name="reviews")


class Chain(BaseModel):
    pass


class Item(models.Model):
    """Cannot be soft-deleted, but for those that are vases."""

    city = models.ForeignKey(City, models.CASCADE, related_name="items")

    def __str__(self):
        return f"item {self.pk}"


class Vase(SoftDeleteModel, Item):
    def __str__(self):
        return f"vase {self.pk}"


class Person(BaseModel):
    name = models.CharField(max_length=30)

    def __str__(self):
        return self.name


class Club(BaseModel):
    pass


class Group(BaseModel):
    club = models.ForeignKey(Club, models.CASCADE, null=True, related_name="groups")
    members = models.ManyToManyField(Person, through="Membership", related_name="groups")


class Membership(BaseModel):
    group = models.ForeignKey(Group, models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, models.CASCADE, related_name="memberships")


class Booking(BaseModel):
    """Keeps its group, and so the group's club, from being deleted."""

    group = models.ForeignKey(Group, models.PROTECT, related_name="bookings")


class Seal(models.Model):
    """Cannot be soft-deleted, and keeps a person from being."""

    restricting = models.ForeignKey(Person, models.RESTRICT, null=True, related_name="+")
    protecting = models.ForeignKey(Person, models.PROTECT, null=True, related_name="+")

    def __str__(self):
        return f"seal {self.pk}"


class Slot(BaseModel):
    """Has constraints that a restore must read with care."""

    number = models.IntegerField(null=True)
    label = models.CharField(max_length=10)

    class Meta:
        constraints = [
            # Django 5.0 writes it in an order that PostgreSQL does not understand.
            UniqueActiveConstraint(
                fields=["number"],
                name="library_slot_number",
                nulls_distinct=False if django.VERSION >= (5, 1) else None,
            ),
            models.UniqueConstraint(F("label").desc(), condition=Q(deleted_at__isnull=True), name="library_slot_label"),
            models.UniqueConstraint(fields=["label"], condition=Q(number=0), name="library_slot_zero"),
        ]

    def __str__(self):
        return self.label
