import pickle

import pytest
from django.db.models import Count, Exists, OuterRef, Prefetch, Q

from shared_core.models.restore import find_restore_error
from tests.library.models import Author, Book, Note, Reply, Restaurant, Topic

pytestmark = pytest.mark.django_db

TITLES = ("a", "bb", "c", "dd")


@pytest.fixture
def books(author):
    """Two active books and two deleted ones: ``{title: book}``."""
    made = {title: Book.objects.create(author=author, title=title, pages=len(title)) for title in TITLES}
    made["c"].delete()
    made["dd"].delete()
    return made


def titles(rows):
    return sorted(row.title for row in rows)


def _pickled(rows):
    copy = rows.all()
    copy.query = pickle.loads(pickle.dumps(rows.query))
    return copy


CHAINS = {
    "filter": lambda rows: rows.filter(pages__gt=0),
    "exclude": lambda rows: rows.exclude(title="x"),
    "order_by": lambda rows: rows.order_by("-title"),
    "annotate": lambda rows: rows.annotate(number=Count("chapters")),
    "distinct": lambda rows: rows.distinct(),
    "select_related": lambda rows: rows.select_related("author"),
    "join": lambda rows: rows.filter(author__name="Ursula"),
    "nested or": lambda rows: rows.filter(Q(pages=1) | Q(pages=2)),
    "only": lambda rows: rows.only("title"),
    "using": lambda rows: rows.using("default"),
    "pickle": _pickled,
    "and": lambda rows: rows & rows,
    "or": lambda rows: rows | rows.filter(pages=5),
    "xor": lambda rows: rows ^ rows.filter(pages=5),
}


@pytest.mark.parametrize("step", CHAINS.values(), ids=CHAINS)
def test_visibility_can_be_changed_anywhere_in_a_chain(books, step):
    assert titles(step(Book.objects.all())) == ["a", "bb"]
    assert titles(step(Book.objects.all()).with_deleted()) == ["a", "bb", "c", "dd"]
    assert titles(step(Book.objects.all()).deleted()) == ["c", "dd"]
    assert titles(step(Book.objects.deleted()).active()) == ["a", "bb"]
    assert titles(step(step(Book.objects.with_deleted()).deleted()).active()) == ["a", "bb"]
    assert titles(step(Book.all_objects.all())) == ["a", "bb", "c", "dd"]
    assert titles(step(Book.all_objects.all()).active()) == ["a", "bb"]


def test_both_managers_offer_active_deleted_and_with_deleted(books):
    for manager in (Book.objects, Book.all_objects):
        assert titles(manager.active()) == ["a", "bb"]
        assert titles(manager.deleted()) == ["c", "dd"]
        assert titles(manager.with_deleted()) == ["a", "bb", "c", "dd"]


def test_a_filter_on_is_deleted_by_the_caller_is_kept(books):
    assert titles(Book.objects.filter(is_deleted=True)) == []
    assert titles(Book.objects.filter(is_deleted=True).with_deleted()) == ["c", "dd"]
    assert titles(Book.objects.exclude(is_deleted=False).with_deleted()) == ["c", "dd"]


def test_related_managers_and_prefetches_show_active_rows_by_default(author, books):
    (loaded,) = Author.objects.prefetch_related("books", Prefetch("books", Book.objects.deleted(), "gone"))

    assert titles(author.books.all()) == ["a", "bb"]
    assert titles(author.books.with_deleted()) == ["a", "bb", "c", "dd"]
    assert titles(loaded.books.all()) == ["a", "bb"]
    assert titles(loaded.gone) == ["c", "dd"]


def test_values_aggregates_and_subqueries_obey_the_visibility(author, books):
    assert sorted(Book.objects.values_list("title", flat=True).deleted()) == ["c", "dd"]
    assert Book.objects.values("author").annotate(number=Count("pk")).with_deleted().get()["number"] == 4
    assert Book.objects.aggregate(number=Count("pk")) == {"number": 2}
    has_deleted = Exists(Book.objects.deleted().filter(author=OuterRef("pk")))
    assert Author.objects.filter(has_deleted).get() == author


def test_querysets_that_show_different_rows_cannot_be_combined(books):
    for combine in (lambda a, b: a | b, lambda a, b: a & b, lambda a, b: a ^ b):
        with pytest.raises(TypeError, match=r"show different rows .* call with_deleted\(\) on each"):
            combine(Book.objects.all(), Book.objects.deleted())


def test_an_empty_queryset_combines_as_in_django(books):
    assert titles(Book.objects.none() | Book.objects.all()) == ["a", "bb"]
    assert titles(Book.objects.all() | Book.objects.none()) == ["a", "bb"]
    assert titles(Book.objects.none() & Book.objects.all()) == []


def test_visibility_cannot_be_changed_after_a_slice_or_union(books):
    union = Book.objects.all().union(Book.objects.deleted())
    assert titles(union) == ["a", "bb", "c", "dd"]

    with pytest.raises(TypeError, match="once a slice has been taken"):
        Book.objects.all()[:1].with_deleted()
    with pytest.raises(TypeError, match=r"after union\(\)"):
        union.active()


def test_a_queryset_deletes_and_restores_what_it_matches(books):
    assert Book.objects.filter(pages=1).delete() == (1, {"library.Book": 1})
    assert titles(Book.objects.all()) == ["bb"]
    assert Book.objects.filter(pages=1).restore() == (2, {"library.Book": 2})
    assert titles(Book.objects.all()) == ["a", "bb", "c"]
    assert Book.objects.filter(pages=2).hard_delete() == (1, {"library.Book": 1})
    assert titles(Book.all_objects.all()) == ["a", "c", "dd"]


def test_a_queryset_with_joins_order_and_distinct_deletes_what_it_matches(books):
    rows = Book.objects.filter(author__name="Ursula").order_by("title").distinct()

    assert rows.delete() == (2, {"library.Book": 2})
    assert titles(Book.objects.all()) == []


def test_a_queryset_is_evaluated_again_after_its_delete(books):
    rows = Book.objects.all()
    list(rows)
    rows.delete()

    assert list(rows) == []


@pytest.mark.parametrize("verb", ["delete", "soft_delete", "restore"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda: Book.objects.all()[:1], "Cannot use 'limit' or 'offset'"),
        (lambda: Book.objects.distinct("title"), "distinct"),
        (lambda: Book.objects.values("title"), "values"),
    ],
)
def test_a_sliced_distinct_or_values_queryset_cannot_be_deleted_or_restored(verb, rows, message):
    with pytest.raises(TypeError, match=message):
        getattr(rows(), verb)()


def test_an_update_of_is_deleted_also_sets_deleted_at_and_updated_at(books):
    before = books["a"].updated_at
    Book.objects.filter(title="a").update(is_deleted=True)
    gone = Book.all_objects.get(title="a")
    Book.all_objects.filter(title="a").update(is_deleted=False, title="A")
    back = Book.objects.get(title="A")

    assert gone.is_deleted
    assert gone.deleted_at == gone.updated_at > before
    assert (back.deleted_at, back.updated_at > gone.updated_at) == (None, True)


@pytest.mark.parametrize("model", [Note, Topic, Reply, Author, Restaurant])
@pytest.mark.parametrize("rows", ["none", "without keys", "distinct"])
def test_an_empty_queryset_changes_nothing(model, rows):
    everything = model.all_objects.all()
    without = everything.filter(pk__in=[])
    empty = {"none": everything.none(), "without keys": without, "distinct": without.distinct()}[rows]

    assert empty.delete() == (0, {})
    assert empty.restore() == (0, {})
    assert find_restore_error(empty) is None
