"""Whatever a chain of queryset methods is made of, it shows the rows that it says, or raises."""

import copy
import os
import pickle

import pytest
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_core.models import active
from tests.library.models import Author, Book, Chapter

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "150"))
ALL = None  # what is shown: False (active), True (deleted), or ALL


class Shown:
    """A queryset, and beside it what it must show: a visibility and a predicate over rows."""

    def __init__(self, rows, visibility, holds=lambda row: True):
        self.rows, self.visibility, self.holds = rows, visibility, holds

    def then(self, rows, holds=None, visibility="same"):
        before = self.holds
        both = before if holds is None else lambda row: before(row) and holds(row)
        return Shown(rows, self.visibility if visibility == "same" else visibility, both)

    def keys(self, library):
        return {row.pk for row in library if self.visibility in (ALL, row.is_deleted) and self.holds(row)}


SEE = {
    "active": lambda s: s.then(s.rows.active(), visibility=False),
    "deleted": lambda s: s.then(s.rows.deleted(), visibility=True),
    "with_deleted": lambda s: s.then(s.rows.with_deleted(), visibility=ALL),
}
STEPS = {
    **SEE,
    "filter": lambda s: s.then(s.rows.filter(pages__gt=2), lambda row: row.pages > 2),
    "filter or": lambda s: s.then(
        s.rows.filter(Q(pages=1) | Q(is_deleted=True)), lambda row: row.pages == 1 or row.is_deleted
    ),
    "own filter": lambda s: s.then(s.rows.filter(is_deleted=False), lambda row: not row.is_deleted),
    "own filter of deleted": lambda s: s.then(s.rows.filter(is_deleted=True), lambda row: row.is_deleted),
    "exclude": lambda s: s.then(s.rows.exclude(pages=3), lambda row: row.pages != 3),
    "exclude deleted": lambda s: s.then(s.rows.exclude(is_deleted=True), lambda row: not row.is_deleted),
    "join": lambda s: s.then(s.rows.filter(author__name="a"), lambda row: row.author.name == "a"),
    "exclude join": lambda s: s.then(s.rows.exclude(author__name="a"), lambda row: row.author.name != "a"),
    "join of many": lambda s: s.then(s.rows.filter(chapters__title="x").distinct(), lambda row: row.has_x),
    "exclude of many": lambda s: s.then(s.rows.exclude(chapters__title="x"), lambda row: not row.has_x),
    "exists": lambda s: s.then(
        s.rows.filter(Exists(Chapter.all_objects.filter(book=OuterRef("pk"), title="x"))), lambda row: row.has_x
    ),
    "subquery": lambda s: s.then(
        s.rows.filter(pk__in=Book.objects.filter(pages__lt=4)), lambda row: row.pages < 4 and not row.is_deleted
    ),
    "order_by": lambda s: s.then(s.rows.order_by("-author__name", "pk")),
    "reverse": lambda s: s.then(s.rows.order_by("pk").reverse()),
    "annotate": lambda s: s.then(s.rows.annotate(double=F("pages") * 2)),
    "alias": lambda s: s.then(s.rows.alias(one=Value(1)).filter(one=1)),
    "aggregate": lambda s: s.then(s.rows.annotate(n=Count("chapters", filter=active("chapters")))),
    "distinct": lambda s: s.then(s.rows.distinct()),
    "select_related": lambda s: s.then(s.rows.select_related("author")),
    "prefetch": lambda s: s.then(s.rows.prefetch_related(Prefetch("chapters", Chapter.objects.with_deleted()))),
    "only": lambda s: s.then(s.rows.only("pages")),
    "defer": lambda s: s.then(s.rows.defer("title")),
    "using": lambda s: s.then(s.rows.using("default")),
    "all": lambda s: s.then(s.rows.all()),
    "read": lambda s: (len(s.rows), s)[1],
    "copy": lambda s: s.then(copy.deepcopy(s.rows)),
    "pickle": lambda s: s.then(unpickled(s.rows)),
}
PAIRS = {
    "&": (lambda a, b: a & b, lambda a, b: lambda row: a(row) and b(row)),
    "|": (lambda a, b: a | b, lambda a, b: lambda row: a(row) or b(row)),
    "^": (lambda a, b: a ^ b, lambda a, b: lambda row: a(row) != b(row)),
}
SIMPLE = [name for name in STEPS if name not in {"distinct", "join of many", "aggregate"}]


def unpickled(rows):
    """Return a queryset that has been to a cache and back, as Django's docs say how."""
    again = rows.all()
    again.query = pickle.loads(pickle.dumps(rows.query))
    return again


def start(data):
    source = data.draw(st.sampled_from(["objects", "all_objects", "related"]))
    if source == "related":
        author = Author.objects.order_by("name").first()
        return Shown(author.books.all(), False, lambda row: row.author_id == author.pk)
    return Shown(getattr(Book, source).all(), False if source == "objects" else ALL)


def chain(data, shown, names, size):
    # A field cannot be deferred and traversed, nor a prefetch be said twice: Django's errors, and not the matter here.
    once = data.draw(st.sampled_from(["prefetch", "only", "select_related"]))
    names = [name for name in names if name == once or name not in {"prefetch", "only", "select_related"}]
    drawn = data.draw(st.lists(st.sampled_from(names), max_size=size))
    for place, name in enumerate(drawn):
        if name != "prefetch" or name not in drawn[:place]:
            shown = STEPS[name](shown)
    return shown


@pytest.fixture
def library(db):
    """Return all books, as they are: of two authors, half of them deleted, some with a chapter named x."""
    authors = [Author.objects.create(name=name) for name in "ab"]
    for pages in range(1, 7):
        for author in authors:
            book = Book.objects.create(author=author, title=f"{author}{pages}", pages=pages)
            if pages % 3:
                Chapter.objects.create(book=book, title="x")
                Chapter.objects.create(book=book, title="x")
            if pages % 2:
                book.delete()
    books = list(Book.all_objects.select_related("author"))
    for book in books:
        book.has_x = Chapter.all_objects.filter(book=book).exists()
    return books


ANY_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=EXAMPLES, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
def test_a_random_chain_shows_the_expected_rows(library, data):
    shown = chain(data, start(data), list(STEPS), 7)

    keys = shown.keys(library)
    assert {row.pk for row in shown.rows} == keys
    assert set(shown.rows.values_list("pk", flat=True)) == keys
    assert shown.rows.exists() is bool(keys)
    assert shown.rows.distinct().count() == len(keys)


@settings(max_examples=EXAMPLES, suppress_health_check=ANY_FIXTURE)
@given(data=st.data(), sign=st.sampled_from(list(PAIRS)))
def test_two_random_chains_combine_to_the_expected_rows_or_raise(library, data, sign):
    first, second = (chain(data, start(data), SIMPLE, 3) for _ in range(2))
    combine, holds = PAIRS[sign]
    if first.visibility is not second.visibility:
        with pytest.raises(TypeError, match="cannot be combined"):
            combine(first.rows, second.rows)
        return
    both = Shown(combine(first.rows, second.rows), first.visibility, holds(first.holds, second.holds))
    both = chain(data, both, list(SEE), 2)

    assert {row.pk for row in both.rows} == both.keys(library)


@settings(max_examples=EXAMPLES, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
def test_a_random_chain_changes_the_expected_rows(library, data):
    shown = chain(data, start(data), [name for name in STEPS if name != "prefetch"], 5)
    verb = data.draw(st.sampled_from(["delete", "restore", "update"]))
    before = {row.pk: row.is_deleted for row in library}
    shows, matches = shown.keys(library), shown.then(None, visibility=ALL).keys(library)
    if verb == "update":
        shown.rows.update(title="touched")
        assert set(Book.all_objects.filter(title="touched").values_list("pk", flat=True)) == shows
        Book.all_objects.update(title="again")
        return
    getattr(shown.rows, verb)()
    after = dict(Book.all_objects.values_list("pk", "is_deleted"))
    # Back, for the next example.
    Book.all_objects.filter(pk__in=[pk for pk in before if before[pk]]).update(is_deleted=True)
    Book.all_objects.filter(pk__in=[pk for pk in before if not before[pk]]).update(is_deleted=False)

    if verb == "delete":
        assert after == {pk: was or pk in shows for pk, was in before.items()}
    else:
        assert after == {pk: was and pk not in matches for pk, was in before.items()}
