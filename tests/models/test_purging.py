"""What is purged, what keeps a row, and what happens where others work on the same rows."""

import datetime as dt
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, models, transaction
from django.db.models.signals import post_delete
from django.test.utils import isolate_apps
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_core.models import BaseModel, SoftDeleteModel, purging
from shared_core.models.purging import Batch, purge, purge_batches
from shared_core.models.relations import reachable
from tests.library.models import (
    Author,
    Book,
    Chapter,
    City,
    Item,
    Loan,
    Note,
    Place,
    Restaurant,
    Shelf,
    Stamp,
    Tag,
    Topic,
    Vase,
    Waiter,
)
from tests.models.random_graph import World, build, graphs
from tests.models.test_random_graphs import populate

pytestmark = pytest.mark.slow

QUARTER = dt.timedelta(days=90)
# 2,000 are run before a release; each makes tables of its own.
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))


def expire(*rows, days=100):
    """Let rows be deleted so many days ago, and nothing else."""
    moment = timezone.now() - dt.timedelta(days=days)
    for row in rows:
        models.QuerySet(type(row)).filter(pk=row.pk).update(is_deleted=True, deleted_at=moment)


def is_there(row):
    return models.QuerySet(type(row)).filter(pk=row.pk).exists()


def a_model(name, base=BaseModel, ordering=(), **fields):
    meta = type("Meta", (), {"app_label": "library", "ordering": ordering})
    return type(name, base if isinstance(base, tuple) else (base,), {"__module__": __name__, "Meta": meta, **fields})


def make_tables(*classes):
    with connection.schema_editor() as editor:
        for model in classes:
            editor.create_model(model)


@pytest.fixture
def _registry():
    """Models of a test's own, which no others are to meet."""
    with isolate_apps("tests.library"):
        yield


@contextmanager
def held(row, lock="UPDATE"):
    """Hold a lock of a row in another connection's transaction."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {row._meta.db_table} WHERE id = %s FOR {lock}", [row.pk])
            yield cursor
        other.rollback()
    finally:
        other.close()


@pytest.mark.django_db
class TestPurgedRows:
    def test_a_row_is_purged_with_its_cascade_and_all_rows_are_counted(self, author, book, chapters):
        Stamp.objects.create(book=book)  # cannot be soft-deleted
        expire(author, book, *chapters)

        assert purge(Author, older_than=QUARTER) == 6
        assert not any(map(is_there, [author, book, *chapters]))
        assert not Stamp.objects.exists()

    def test_a_row_goes_with_a_thousand_levels_below_it(self, book):
        rows = [Chapter(book=book, title="1")]
        for _ in range(1000):
            rows.append(Chapter(book=book, title="1", part_of=rows[-1]))
        Chapter.objects.bulk_create(rows)
        Chapter.objects.update(is_deleted=True, deleted_at=timezone.now() - dt.timedelta(days=100))

        assert purge(Chapter, older_than=QUARTER, batch_size=10) == 1001
        assert not Chapter.all_objects.exists()

    def test_active_rows_and_those_deleted_later_stay(self, db):
        old, young, active = (Note.objects.create(text=text) for text in ("old", "young", "active"))
        expire(old)
        expire(young, days=89)

        assert purge(Note, older_than=QUARTER) == 1
        assert set(Note.all_objects.all()) == {young, active}

    def test_older_than_may_be_a_datetime_and_excludes_it(self, db):
        note = Note.objects.create(text="")
        note.delete()

        assert purge(Note, older_than=note.deleted_at) == 0
        assert purge(Note, older_than=note.deleted_at + dt.timedelta(microseconds=1)) == 1

    def test_a_row_with_deleted_at_but_not_is_deleted_is_active(self, author, book):
        expire(author, book)
        models.QuerySet(Book).update(is_deleted=False)

        assert purge(Author, older_than=QUARTER) == 0

    @pytest.mark.parametrize("days", [None, 10])
    def test_an_active_or_younger_row_at_any_depth_keeps_its_ancestors(self, author, book, chapters, days):
        expire(author, book, *chapters)
        below = Chapter.objects.create(book=book, part_of=chapters[1], title="1.1.1")
        Chapter.objects.filter(pk=below.pk).update(book=Book.objects.create(author=Author.objects.create()))
        if days:
            expire(below, days=days)

        assert purge(Author, older_than=QUARTER) == 0
        assert purge(Book, older_than=QUARTER) == 0
        assert purge(Chapter, older_than=QUARTER) == 1
        assert not is_there(chapters[2])

    def test_a_protecting_row_keeps_its_target_until_it_is_purged(self, author, book):
        loan = Loan.objects.create(book=book)
        expire(author, book, loan)

        assert purge(Author, older_than=QUARTER) == 0
        assert purge(Loan, older_than=QUARTER) == 1
        assert purge(Author, older_than=QUARTER) == 2

    def test_a_restricting_row_keeps_its_target_unless_it_is_purged_with_it(self, author, book):
        shelf = Shelf.objects.create(author=author, book=book)
        expire(author, book, shelf)
        assert purge(Author, older_than=QUARTER) == 3

        author, other = Author.objects.create(), Author.objects.create()
        shelf = Shelf.objects.create(author=author, book=Book.objects.create(author=other))
        expire(author, shelf)
        assert purge(Author, older_than=QUARTER) == 0

    @pytest.mark.parametrize("is_kept", [False, True])
    def test_a_restricting_row_may_be_purged_with_another_row_of_the_batch(self, author, book, is_kept):
        restricted = Author.objects.create()
        shelf = Shelf.objects.create(author=restricted, book=book)
        expire(author, book, shelf, restricted)
        if is_kept:
            Chapter.objects.create(book=book)

        assert purge(Author, older_than=QUARTER) == (0 if is_kept else 4)

    def test_rows_that_restrict_one_another_in_a_chain_are_visited_a_few_times(self, monkeypatch):
        authors = Author.objects.bulk_create(Author() for _ in range(200))
        books = Book.objects.bulk_create(Book(author=author) for author in authors)
        pairs = zip(books, [*authors[1:], authors[0]], strict=True)
        shelves = Shelf.objects.bulk_create(Shelf(book=book, author=following) for book, following in pairs)
        expire(*authors, *books, *shelves)
        Chapter.objects.create(book=books[0])  # keeps the first author, whose shelf then restricts the next, and so on
        visited = []
        monkeypatch.setattr(
            purging, "reachable", lambda *arguments: visited.extend(found := reachable(*arguments)) or found
        )

        assert purge(Author, older_than=QUARTER) == 0
        assert len(visited) < 5 * (len(authors) + len(books) + len(shelves))

    def test_a_set_null_foreign_key_is_set_to_null(self, author, book):
        translator = Author.objects.create()
        Book.objects.update(translator=translator)
        expire(translator)

        assert purge(Author, older_than=QUARTER) == 1
        assert Book.objects.get().translator_id is None

    def test_a_generic_relation_cascades_and_an_active_tag_keeps_its_subject(self):
        topic, kept = Topic.objects.create(), Topic.objects.create()
        tag, active = Tag.objects.create(subject=topic), Tag.objects.create(subject=kept)
        expire(topic, kept, tag)

        assert purge(Topic, older_than=QUARTER) == 2
        assert is_there(active)
        assert is_there(kept)

    def test_an_active_tag_of_another_models_row_with_the_same_key_does_not_matter(self):
        topic = Topic.objects.create()
        Tag.objects.create(subject=City.objects.create(pk=topic.pk, code="LIS"))
        expire(topic)

        assert purge(Topic, older_than=QUARTER) == 1

    def test_multi_table_children_are_purged_with_their_parent_rows(self):
        city = City.objects.create(code="LIS")
        first, second = Restaurant.objects.create(city=city), Restaurant.objects.create(city=city)
        waiter = Waiter.objects.create(restaurant=first)
        expire(Place.objects.get(pk=first.pk), Place.objects.get(pk=second.pk), waiter)

        assert purge(Restaurant, older_than=QUARTER, batch_size=1) == 5
        assert not Place.all_objects.exists()

    def test_an_active_multi_table_child_keeps_the_target_of_its_plain_parent(self):
        city = City.objects.create(code="LIS")
        Item.objects.create(city=city)
        vase = Vase.objects.create(city=city)
        expire(city)
        assert purge(City, older_than=QUARTER) == 0

        expire(vase)
        assert purge(City, older_than=QUARTER) == 4

    def test_rows_that_refer_to_each_other_are_purged_together(self, book, chapters):
        Chapter.objects.filter(pk=chapters[0].pk).update(part_of=chapters[1])
        expire(book, *chapters)

        assert purge(Book, older_than=QUARTER) == 4

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("_registry")
    def test_a_row_restricted_in_its_parents_table_may_be_purged_by_its_own_cascade(self):
        ledger = a_model("Ledger")
        page = a_model("Page", restricts=models.ForeignKey(ledger, models.RESTRICT, related_name="+"))
        heir = a_model("Heir", page, goes=models.ForeignKey(ledger, models.CASCADE, related_name="+"))
        make_tables(ledger, page, heir)
        one = ledger.objects.create()
        along = heir.objects.create(restricts=one, goes=one)
        expire(one, page.objects.get(pk=along.pk))

        assert purge(ledger, older_than=QUARTER) == 3

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("_registry")
    def test_another_multi_table_child_of_the_same_parent_row_keeps_it(self):
        base = a_model("Base", models.Model)
        left_model = a_model("Left", (SoftDeleteModel, base))
        right_model = a_model("Right", (SoftDeleteModel, base))
        make_tables(base, left_model, right_model)
        left = left_model.objects.create()
        right_model(base_ptr_id=left.pk).save_base(raw=True)
        expire(left, right_model.objects.get())

        assert purge(left_model, older_than=QUARTER) == 0

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("_registry")
    def test_do_nothing_keeps_a_row_only_with_a_database_constraint(self):
        ledger = a_model("Ledger")
        entry = a_model("Entry", models.Model, ledger=models.ForeignKey(ledger, models.DO_NOTHING))
        trace = a_model("Trace", models.Model, ledger=models.ForeignKey(ledger, models.DO_NOTHING, db_constraint=False))
        make_tables(ledger, entry, trace)
        kept, gone = ledger.objects.create(), ledger.objects.create()
        entry.objects.create(ledger=kept)
        dangling = trace.objects.create(ledger=gone)
        expire(kept, gone)

        assert purge(ledger, older_than=QUARTER) == 1
        assert is_there(kept)
        assert is_there(dangling)
        trace.objects.all().delete()  # or Django's own check at the end of the test would find it

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("_registry")
    def test_a_custom_on_delete_counts_as_a_cascade_and_set_does_not(self):
        def cascade_some(collector, field, sub_objs, using):
            collector.collect(sub_objs, source=field.remote_field.model, nullable=field.null)

        ledger = a_model("Ledger")
        links = {
            "taken": models.ForeignKey(ledger, cascade_some, null=True, related_name="+"),
            "set": models.ForeignKey(ledger, models.SET(None), null=True, related_name="+"),
            "reset": models.ForeignKey(ledger, models.SET_DEFAULT, default=None, null=True, related_name="+"),
        }
        entry = a_model("Entry", **links)
        make_tables(ledger, entry)
        kept, gone = ledger.objects.create(), ledger.objects.create()
        entry.objects.create(taken=kept, set=gone, reset=gone)
        expire(kept, gone)

        assert purge(ledger, older_than=QUARTER) == 1
        assert entry.objects.filter(taken=kept, set=None, reset=None).exists()

    @pytest.mark.postgresql
    @pytest.mark.usefixtures("_registry")
    def test_ordering_by_a_nullable_foreign_key_does_not_matter(self):
        ledger = a_model("Ledger", ordering=["of__created_at"], of=models.ForeignKey("self", models.CASCADE, null=True))
        make_tables(ledger)
        root = ledger.objects.create()
        expire(root, ledger.objects.create(of=root))

        assert purge(ledger, older_than=QUARTER, batch_size=1) == 2

    @pytest.mark.postgresql
    @pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="came with Django 6.1")
    @pytest.mark.usefixtures("_registry")
    def test_rows_deleted_by_db_cascade_are_checked_and_counted(self):
        ledger = a_model("Ledger")
        entry = a_model("Entry", ledger=models.ForeignKey(ledger, models.DB_CASCADE))
        make_tables(ledger, entry)
        taken, kept = ledger.objects.create(), ledger.objects.create()
        entries = [entry.objects.create(ledger=one) for one in (taken, taken, kept)]
        expire(taken, kept, *entries[:2])

        assert purge(ledger, older_than=QUARTER) == 3
        assert entry.all_objects.get() == entries[2]

    @pytest.mark.postgresql
    @pytest.mark.skipif(not hasattr(models, "CompositePrimaryKey"), reason="came with Django 5.2")
    @pytest.mark.usefixtures("_registry")
    def test_a_row_with_a_composite_primary_key_is_purged(self):
        ledger = a_model("Ledger")
        entry = a_model(
            "Entry",
            models.Model,
            pk=models.CompositePrimaryKey("ledger_id", "number"),
            ledger=models.ForeignKey(ledger, models.CASCADE),
            number=models.IntegerField(),
        )
        make_tables(ledger, entry)
        one = ledger.objects.create()
        entry.objects.bulk_create(entry(ledger=one, number=number) for number in range(3))
        expire(one)

        assert purge(ledger, older_than=QUARTER) == 4


@pytest.mark.django_db
class TestBatches:
    def test_skipped_rows_are_not_tried_again(self, author, book):
        others = [Author.objects.create() for _ in range(4)]
        expire(author, *others)

        assert list(purge_batches(Author, QUARTER, batch_size=2)) == [Batch(2, 1, 1), Batch(2, 0, 2), Batch(1, 0, 1)]
        assert list(purge_batches(Author, QUARTER, batch_size=2)) == [Batch(1, 1, 0)]

    def test_an_interrupted_purge_keeps_its_batches_and_the_next_call_continues(self, db, caplog):
        caplog.set_level(logging.INFO, "shared_core.models")
        expire(*(Note.objects.create(text="") for _ in range(5)))
        batches = purge_batches(Note, QUARTER, batch_size=2)
        next(batches)
        batches.close()

        assert [(record.message, record.rows) for record in caplog.records] == [("Purged library.Note", 2)]
        assert purge(Note, older_than=QUARTER) == 3

    def test_a_purge_writes_one_log_record_unless_nothing_was_purged(self, author, book, caplog):
        caplog.set_level(logging.INFO, "shared_core.models")
        expire(author, book, Author.objects.create())
        moment = timezone.now()
        purge(Author, older_than=moment, batch_size=1)
        purge(Author, older_than=moment)

        (record,) = caplog.records
        assert (record.message, record.rows) == ("Purged library.Author", 3)
        assert record.by_model == {"library.Author": 2, "library.Book": 1}
        assert record.older_than == moment

    @pytest.mark.parametrize("arguments", [(QUARTER,), (QUARTER, 1), (QUARTER, 1, "default")])
    def test_positional_arguments_work_and_warn_with_the_new_spelling(self, arguments, db):
        expire(Note.objects.create(text=""))
        written = r"Write purge\(Note, older_than=…" + ", batch_size=…" * (len(arguments) > 1)

        with pytest.warns(DeprecationWarning, match=written) as warned:
            assert purge(Note, *arguments) == 1
        assert warned[0].filename == __file__

    def test_older_than_is_required_and_may_be_given_once(self, db):
        with pytest.raises(TypeError, match="older_than"):
            purge(model=Note)
        with (
            pytest.warns(DeprecationWarning, match="only the model"),
            pytest.raises(TypeError, match="multiple values for argument"),
        ):
            purge(Note, QUARTER, older_than=QUARTER)
        with (
            pytest.warns(DeprecationWarning, match="only the model"),
            pytest.raises(TypeError, match="at most 4 arguments"),
        ):
            purge(Note, QUARTER, 1, "default", 0)

    def test_djangos_signals_are_sent_for_every_row(self, author, book, chapters):
        gone = []

        def note(instance, **kwargs):
            gone.append(str(instance))

        expire(author, book, *chapters)
        post_delete.connect(note, sender=Author)
        post_delete.connect(note, sender=Chapter)
        try:
            purge(Author, older_than=QUARTER)
        finally:
            post_delete.disconnect(note, sender=Author)
            post_delete.disconnect(note, sender=Chapter)

        assert sorted(gone) == ["1", "1.1", "2", "Ursula"]

    def test_the_number_of_queries_does_not_grow_with_the_rows(self, django_assert_num_queries):
        for number in (2, 30):
            authors = [Author.objects.create() for _ in range(number)]
            books = [Book.objects.create(author=author) for author in authors for _ in range(3)]
            expire(*authors, *books)

            # Begin; lock the authors; find and lock books; find shelves of authors, then chapters, loans, shelves and
            # stamps of books; commit. Django's own, which deletes a hundred rows at a time: authors, books, chapters,
            # loans and shelves collected; shelves, stamps, books and authors deleted, and translators set to null.
            with django_assert_num_queries(20):
                assert purge(Author, older_than=QUARTER) == 4 * number

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((Stamp, QUARTER), TypeError, "derives from SoftDeleteModel, not <class 'tests.library.models.Stamp'>"),
            ((BaseModel, QUARTER), TypeError, "with a table"),
            (("library.Note", QUARTER), TypeError, "not 'library.Note'"),
            ((Note, 90), TypeError, r"timedelta\(days=90\), or an aware datetime: 90"),
            ((Note, dt.date(2026, 1, 1)), TypeError, "aware datetime"),
            ((Note, -QUARTER), ValueError, "must not be negative"),
            ((Note, dt.datetime(2026, 1, 1)), ValueError, "needs a time zone"),  # noqa: DTZ001  # the mistake
            ((Note, QUARTER, 0), ValueError, "batch_size must be a number of rows from 1, not 0"),
            ((Note, QUARTER, "10"), ValueError, "not '10'"),
        ],
    )
    def test_an_argument_that_is_wrong_is_an_error_at_once(self, arguments, error, message):
        with pytest.raises(error, match=message):
            purge_batches(*arguments)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
class TestConcurrentWork:
    def test_inside_a_transaction_nothing_is_purged(self, author):
        expire(author)

        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            purge(Author, older_than=QUARTER)
        assert is_there(author)

    def test_each_batch_is_committed_before_the_next(self, db):
        expire(*(Note.objects.create(text="") for _ in range(4)))
        batches = purge_batches(Note, QUARTER, batch_size=2)
        next(batches)

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(count_notes).result(30) == 2
        batches.close()

    def test_a_row_that_is_locked_is_skipped_and_purged_the_next_time(self, author):
        expire(author, Author.objects.create())

        with held(author):
            assert purge(Author, older_than=QUARTER) == 1
        assert purge(Author, older_than=QUARTER) == 1

    def test_a_locked_child_keeps_its_parent(self, author, book, chapters):
        expire(author, book, *chapters)

        with held(chapters[1]):
            assert purge(Author, older_than=QUARTER) == 0
        assert purge(Author, older_than=QUARTER) == 5

    def test_a_row_that_is_being_referred_to_is_skipped(self, author):
        expire(author)

        with held(author, "KEY SHARE"):  # as the insert of a book holds it
            assert purge(Author, older_than=QUARTER) == 0

    def test_a_purge_does_not_wait_for_a_lock_on_an_active_child(self, author, book):
        expire(author)

        with held(book):
            assert purge(Author, older_than=QUARTER) == 0

    def test_concurrent_workers_purge_each_row_once(self):
        for number in range(60):
            author = Author.objects.create(name=str(number))
            books = Book.objects.bulk_create(Book(author=author, title=str(place)) for place in range(3))
            expire(author, *books)
        kept = Author.objects.create(name="kept")
        expire(kept)
        Book.objects.create(author=kept, title="active")
        gone = []
        start = threading.Barrier(3)

        def work(_):
            start.wait(30)
            try:
                return purge(Author, older_than=QUARTER, batch_size=4)
            finally:
                connections.close_all()

        def note(instance, **kwargs):
            gone.append(instance.pk)

        post_delete.connect(note, sender=Author)
        try:
            with ThreadPoolExecutor(3) as pool:
                counts = list(pool.map(work, range(3)))
        finally:
            post_delete.disconnect(note, sender=Author)

        assert sum(counts) == 240
        assert len(gone) == len(set(gone)) == 60
        assert Author.all_objects.get() == kept


def count_notes():
    try:
        return models.QuerySet(Note).count()
    finally:
        connections.close_all()


def depth(graph, number):
    """Return in how many tables an entity of a model has a row."""
    base = graph.kinds[number].base
    return 1 + depth(graph, base) if isinstance(base, int) else 1


def closure(world, roots):
    """Return what Django's delete of some entities takes along."""
    going = list(roots)
    for entity in going:  # grows
        going += {
            child for link, child in world.referring(entity) if link.on_delete == "CASCADE" and child not in going
        }
    return going


def can_go(world, entity, going, before):
    """Say whether an entity can be deleted for good, when these go."""
    if world.graph.is_soft(entity.number) and (entity.deleted is None or entity.deleted >= before):
        return False
    return not any(
        link.on_delete == "PROTECT" or (link.on_delete in {"RESTRICT", "LEAVE"} and child not in going)
        for link, child in world.referring(entity)
    )


def purge_by_the_rules(world, number, before, size):
    """Take from the world what a purge must take, and return the number of rows in all their tables."""
    rows, last = 0, None
    while True:
        batch = [one for one in world.entities if world.graph.is_a(one.number, number)]
        batch = [one for one in batch if one.deleted is not None and one.deleted < before]
        batch = sorted(
            (one for one in batch if last is None or one.instance.pk > last), key=lambda one: one.instance.pk
        )
        if not batch:
            return rows
        roots = batch[:size]
        last = roots[-1].instance.pk
        while True:
            going = closure(world, roots)
            kept = [
                root for root in roots if not all(can_go(world, one, going, before) for one in closure(world, [root]))
            ]
            if not kept:
                break
            roots = [root for root in roots if root not in kept]
        rows += sum(depth(world.graph, one.number) for one in going)
        world.entities = [one for one in world.entities if one not in going]
        for one in world.entities:
            one.links = {place: parent for place, parent in one.links.items() if parent not in going}


@pytest.mark.postgresql
@pytest.mark.django_db
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graph=graphs(), data=st.data())
def test_a_purge_of_random_rows_follows_the_rules(graph, data):
    ContentType.objects.clear_cache()
    savepoint = connection.savepoint()  # and not atomic(), in which nothing can be purged
    try:
        classes = build(graph)
        with connection.schema_editor() as editor:
            for model in classes:
                editor.create_model(model)
        world: World = populate(graph, classes, data)
        for entity in world.entities:
            if graph.is_soft(entity.number):
                entity.deleted = data.draw(st.sampled_from([50, 100, 100, 100, 100, 100, None]))
                if entity.deleted:
                    expire(entity.instance, days=150 - entity.deleted)
        everything = world.entities
        for number in data.draw(st.lists(st.sampled_from(range(len(classes))), min_size=1, max_size=3)):
            if graph.is_soft(number):
                size = data.draw(st.integers(1, 4))
                wanted = purge_by_the_rules(world, number, 75, size)

                assert purge(classes[number], older_than=dt.timedelta(days=75), batch_size=size) == wanted
                assert {one for one in everything if is_there(one.instance)} == set(world.entities)
                connection.check_constraints()
    finally:
        connection.savepoint_rollback(savepoint)
