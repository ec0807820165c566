"""What deletions, restores and inserts do to each other, each on a connection of its own through the pooler."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from shared_core.models import ActiveParentConstraint, ParentDeletedError, pre_soft_delete
from tests.library.models import Author, Book, Chain, City, Note, Place, Reply, Restaurant, Review, Tag, Topic, Waiter

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Other:
    """Code in a thread and a transaction of its own, which goes on when it is told to."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(max_workers=1)

    def start(self, code):
        """Run ``code``; return a future."""

        def run():
            try:
                return code()
            finally:
                connections.close_all()

        return self._pool.submit(run)

    def hold(self, code):
        """Run ``code`` in a transaction, and return what commits it and returns the result of ``code``."""
        done, commit = threading.Event(), threading.Event()

        def run():
            with transaction.atomic():
                try:
                    return code()
                finally:
                    done.set()
                    assert commit.wait(30)

        future = self.start(run)
        assert done.wait(30)

        def finish():
            commit.set()
            return future.result(30)

        return finish


@pytest.fixture
def other():
    return Other()


@pytest.fixture
def third():
    return Other()


def wait_for_a_lock():
    """Return when some backend of this database waits for another one's lock."""
    for _ in range(300):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    pytest.fail("nobody waits for a lock")


@pytest.fixture
def topic():
    topic = Topic.objects.create()
    Reply.objects.bulk_create(Reply(topic=topic) for _ in range(3))
    return topic


class TestConcurrentDeletesAndRestores:
    def test_of_two_concurrent_deletes_of_a_tree_the_second_deletes_nothing(self, topic, other, third):
        commit = other.hold(topic.delete)
        second = third.start(Topic.objects.get().delete)
        wait_for_a_lock()

        assert commit()[0] == 4
        assert second.result(30) == (0, {})
        moments = {*Reply.all_objects.values_list("deleted_at", flat=True), topic.deleted_at}
        assert len(moments) == 1

    def test_of_two_concurrent_restores_of_a_tree_the_second_restores_nothing(self, topic, other, third):
        topic.delete()
        commit = other.hold(topic.restore)
        second = third.start(Topic.all_objects.get().restore)
        wait_for_a_lock()

        assert commit()[0] == 4
        assert second.result(30) == (0, {})
        assert Reply.objects.count() == 3

    def test_a_restore_during_an_uncommitted_delete_changes_nothing_and_vice_versa(self, topic, other, third):
        before = Topic.objects.get()
        commit = other.hold(topic.delete)
        assert third.start(before.restore).result(30) == (0, {})
        commit()
        assert topic.is_deleted

        before = Topic.all_objects.get()
        commit = other.hold(topic.restore)
        assert third.start(before.delete).result(30) == (0, {})
        commit()
        assert Reply.objects.count() == 3

    def test_a_row_is_not_restored_under_a_parent_that_is_being_deleted(self, topic, other, third):
        reply = Reply.objects.first()
        reply.delete()
        commit = other.hold(topic.delete)
        restore = third.start(reply.restore)
        wait_for_a_lock()
        commit()

        with pytest.raises(ParentDeletedError):
            restore.result(30)
        assert not Reply.objects.exists()

    def test_deleting_a_parent_cascades_to_a_row_that_is_being_restored(self, topic, other, third):
        reply = Reply.objects.first()
        reply.delete()
        commit = other.hold(reply.restore)
        delete = third.start(topic.delete)
        wait_for_a_lock()
        commit()

        assert delete.result(30)[0] == 4
        assert not Reply.objects.exists()

    def test_a_restore_waits_for_a_change_of_a_parent_outside_its_tree(self, other, third):
        city, chain = City.objects.create(code="LIS"), Chain.objects.create()
        restaurant = Restaurant.objects.create(city=city, chain=chain)
        waiter = Waiter.objects.create(restaurant=restaurant)
        city.delete()
        commit = other.hold(lambda: Chain.objects.update(is_deleted=False))
        restore = third.start(city.restore)
        wait_for_a_lock()
        with transaction.atomic():  # it holds no lock of its tree while it waits
            list(Place.all_objects.select_for_update(nowait=True))
        commit()

        assert restore.result(30)[0] == 3
        assert Waiter.objects.get() == waiter

    def test_a_parent_outside_the_tree_that_is_being_deleted_refuses_the_restore(self, other, third):
        city, chain = City.objects.create(code="LIS"), Chain.objects.create()
        Restaurant.objects.create(city=city, chain=chain)
        city.delete()
        commit = other.hold(chain.delete)
        restore = third.start(city.restore)
        wait_for_a_lock()
        commit()

        with pytest.raises(ParentDeletedError) as raised:
            restore.result(30)
        assert raised.value.objects == (chain,)
        assert not Place.objects.exists()

    def test_a_row_moved_during_its_restore_comes_back_under_its_new_parent(self, topic, other, third):
        elsewhere = Topic.objects.create()
        reply = Reply.objects.first()
        reply.delete()
        commit = other.hold(lambda: Reply.all_objects.filter(pk=reply.pk).update(topic=elsewhere))
        restore = third.start(Reply.all_objects.get(pk=reply.pk).restore)
        wait_for_a_lock()
        commit()
        elsewhere.refresh_from_db()

        assert restore.result(30) == (1, {"library.Reply": 1})
        assert Reply.objects.get(pk=reply.pk).topic == elsewhere

    def test_a_restore_does_not_undo_a_later_deletion(self, topic, other, third):
        """It has not locked what that took along, and could only do so out of order."""
        topic.delete()

        def again():
            topic.restore()
            Reply.objects.create(topic=topic)
            topic.delete()

        commit = other.hold(again)
        restore = third.start(Topic.all_objects.all().restore)
        wait_for_a_lock()
        commit()

        assert restore.result(30) == (0, {})
        assert {row.deleted_at for row in Reply.all_objects.all()} == {topic.deleted_at}
        assert Topic.objects.all().restore()[0] == 5

    @pytest.mark.parametrize("has_receivers", [False, True])
    def test_a_row_moved_during_the_delete_is_not_deleted_with_its_old_parent(self, other, third, has_receivers):
        city = City.objects.create(code="LIS")
        place, elsewhere = Place.objects.create(city=city), Place.objects.create(city=city)
        moved, kept = Review.objects.create(place=place), Review.objects.create(place=place)

        def change():
            Review.objects.filter(pk=moved.pk).update(place=elsewhere)
            Review.objects.filter(pk=kept.pk).update(place=place)

        def listen(**kwargs):
            pass

        if has_receivers:  # another way to the same end
            pre_soft_delete.connect(listen)
        try:
            commit = other.hold(change)
            delete = third.start(place.delete)
            wait_for_a_lock()
            commit()

            assert delete.result(30)[0] == 2
        finally:
            pre_soft_delete.disconnect(listen)
        assert Review.objects.get() == moved

    def test_a_queryset_delete_rechecks_its_filter_after_waiting_for_a_lock(self, other, third):
        author = Author.objects.create(name="Ursula")
        commit = other.hold(lambda: Author.objects.update(name="Karen"))
        delete = third.start(Author.objects.filter(name="Ursula").delete)
        wait_for_a_lock()
        commit()

        assert delete.result(30) == (0, {})
        assert Author.objects.get() == author


class TestConcurrentInserts:
    def test_without_the_constraint_a_row_inserted_during_a_delete_stays_active(self, other):
        """What the docs say of it; the guard below is for who cannot have that."""
        author = Author.objects.create(name="Ursula")
        commit = other.hold(Author.objects.get().delete)
        Book.objects.create(author=author, title="late")
        commit()

        assert Book.objects.get().author.is_deleted

    def test_with_the_constraint_an_insert_waits_for_the_delete_and_is_refused(self, topic, other, third):
        commit = other.hold(topic.delete)
        insert = third.start(lambda: Reply.objects.create(topic_id=topic.pk))
        wait_for_a_lock()
        commit()

        with pytest.raises(IntegrityError, match="library_topic has no active row"):
            insert.result(30)
        assert not Reply.objects.exists()

    def test_with_the_constraint_an_insert_committed_after_the_delete_is_refused(self, topic, other):
        commit = other.hold(lambda: Reply.objects.create(topic=topic))
        topic.delete()

        with pytest.raises(IntegrityError, match="library_topic has no active row"):
            commit()
        assert Reply.all_objects.count() == 3

    def test_with_the_constraint_a_row_committed_before_the_delete_is_deleted(self, topic, other, third):
        def insert():
            with transaction.atomic():
                Reply.objects.create(topic=topic)
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        commit = other.hold(insert)
        delete = third.start(Topic.objects.get().delete)
        wait_for_a_lock()
        commit()

        assert delete.result(30)[0] == 5

    def test_the_constraint_refuses_updates_that_move_or_restore_a_row(self, topic):
        gone = Topic.objects.create()
        reply = Reply.objects.create(topic=gone)
        gone.delete()

        with pytest.raises(IntegrityError):
            Reply.all_objects.filter(pk=reply.pk).update(is_deleted=False)
        with pytest.raises(IntegrityError):
            Reply.objects.update(topic=gone)
        Reply.objects.update(topic=None)
        assert Reply.objects.count() == 3

    def test_the_constraint_is_checked_at_commit(self, topic):
        with transaction.atomic():
            reply = Reply.objects.create(topic=topic)
            topic.delete()
        assert Reply.all_objects.get(pk=reply.pk).deleted_at == topic.deleted_at

        with transaction.atomic():
            reply = Reply.objects.create(topic=topic)
            reply.delete()
        topic.restore()
        topic.delete()
        topic.restore()

    def test_full_clean_checks_the_active_parent_constraint(self, topic):
        Reply(topic=topic).full_clean()
        Reply(topic=None).full_clean(exclude=["topic"])
        topic.delete()

        with pytest.raises(ValidationError) as raised:
            Reply(topic=topic).full_clean()
        assert raised.value.message_dict == {"topic": ["This refers to a row that is deleted."]}
        Reply(topic=topic, is_deleted=True).full_clean()

    def test_the_constraint_has_a_stable_path_and_is_reversible_in_migrations(self, topic):
        constraint = Reply._meta.constraints[0]
        path, arguments, options = constraint.deconstruct()

        assert path == "shared_core.models.ActiveParentConstraint"
        assert ActiveParentConstraint(*arguments, **options) == constraint == constraint.clone()
        with connection.schema_editor() as editor:
            editor.remove_constraint(Reply, constraint)
        topic.delete()
        late = Reply.objects.create(topic=topic)
        late.hard_delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Reply, constraint)
        with pytest.raises(IntegrityError):
            Reply.objects.create(topic=topic)

    def test_an_invalid_field_of_the_constraint_is_named(self):
        with pytest.raises(ImproperlyConfigured, match=r"library.Book.title must be a foreign key between models"):
            ActiveParentConstraint(fields=["title"], name="x").validate(Book, Book(title="x"))
        with pytest.raises(ValueError, match=r"fields=\['ticket'\]"):
            ActiveParentConstraint(fields="topic", name="x")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_backend_killed_during_a_delete_rolls_it_back(topic, step, third):
    Tag.objects.create(subject=topic)
    updates = []

    def kill(execute, sql, parameters, many, context):
        if sql.startswith("UPDATE"):
            updates.append(sql)
            if len(updates) == step:
                pid = execute("SELECT pg_backend_pid()", (), False, context) and context["cursor"].fetchone()[0]
                third.start(lambda: terminate(pid)).result(30)
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(kill), pytest.raises(OperationalError):
        topic.delete()
    connection.close()

    assert len(updates) == step
    assert (Topic.objects.count(), Reply.objects.count(), Tag.objects.count()) == (1, 3, 1)
    assert not Topic.objects.get().is_deleted
    assert topic.is_deleted is False


def terminate(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_deletes_and_restores_of_overlapping_trees_never_deadlock():
    """Cities and chains share restaurants, in acyclic relations: one order of locks is enough."""
    cities = [City.objects.create(code=str(number)) for number in range(3)]
    chains = [Chain.objects.create() for _ in range(3)]
    dice = random.Random(4)
    for _ in range(40):
        restaurant = Restaurant.objects.create(city=dice.choice(cities), chain=dice.choice(chains))
        Waiter.objects.create(restaurant=restaurant)
        Review.objects.create(place=restaurant)
    restaurants = list(Restaurant.objects.all())
    failures, done = [], []

    def work(seed):
        mine = random.Random(seed)
        try:
            for _ in range(120):
                row = mine.choice([mine.choice(cities), mine.choice(chains), mine.choice(restaurants)])
                row = type(row).all_objects.get(pk=row.pk)
                verb = mine.choice(["delete", "restore", "some", "back"])
                try:
                    if verb in {"delete", "restore"}:
                        getattr(row, verb)()
                    else:
                        some = Restaurant.all_objects.filter(pk__in=[one.pk for one in mine.sample(restaurants, 8)])
                        some.delete() if verb == "some" else some.restore()
                except ParentDeletedError:
                    pass
                done.append(verb)
        except Exception as error:  # noqa: BLE001  # to be shown by the test
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert failures == []
    assert len(done) == 6 * 120
    for row in Restaurant.objects.select_related("city", "chain"):
        assert not row.city.is_deleted
        assert not row.chain.is_deleted
    for row in Place.objects.deleted():
        assert row.deleted_at is not None
    assert not Waiter.objects.filter(restaurant__is_deleted=True).exists()
    assert not Review.objects.filter(place__is_deleted=True).exists()


def test_a_single_row_is_deleted_without_a_transaction():
    note = Note.objects.create(text="a")
    statements = []

    def note_down(execute, sql, *rest):
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note_down):
        note.delete()
        note.restore()
        Note.objects.filter(text="a").delete()
        Note.objects.filter(text="a").restore()

    assert [sql.split()[0] for sql in statements] == ["UPDATE"] * 4
    assert Note.objects.count() == 1
