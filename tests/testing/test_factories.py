import datetime as dt
import subprocess
import sys

import factory
import pytest
from django.core.management import call_command
from django.db.models import ProtectedError
from django.utils import timezone

from shared_core.testing import BaseModelFactory
from tests.library.models import Author, Book, Loan

pytestmark = pytest.mark.django_db

YEAR = dt.timedelta(days=365)
NEAR = dt.timedelta(minutes=1)
MOMENT = dt.datetime(2020, 2, 3, 4, 5, tzinfo=dt.UTC)


class AuthorFactory(BaseModelFactory[Author]):
    class Meta:
        model = Author

    class Params:
        gone = factory.Trait(deleted=True, old=True)

    name = "Ursula"


class BookFactory(BaseModelFactory[Book]):
    class Meta:
        model = Book

    author = factory.SubFactory(AuthorFactory)
    title = factory.Sequence("Book {}".format)


class WithBookFactory(AuthorFactory):
    book = factory.RelatedFactory(BookFactory, "author")


def test_a_row_is_active_and_new():
    book = BookFactory()

    assert Book.objects.get() == book
    assert abs(timezone.now() - book.created_at) < NEAR
    assert (book.is_deleted, book.deleted_at) == (False, None)


def test_deleted_makes_a_row_that_is_deleted_now():
    book = BookFactory(deleted=True)
    stored = Book.all_objects.get()

    assert Book.objects.count() == 0
    assert book.is_deleted
    assert (stored.is_deleted, stored.deleted_at) == (True, book.deleted_at)
    assert abs(timezone.now() - book.deleted_at) < NEAR
    assert Author.objects.count() == 1


def test_related_rows_are_deleted_and_restored_with_the_row():
    author = WithBookFactory(deleted=True)

    assert Book.all_objects.get().deleted_at == author.deleted_at
    assert author.restore() == (2, {"library.Author": 1, "library.Book": 1})


def test_deleted_sends_the_soft_delete_signals():
    from shared_core.models import post_soft_delete

    heard = []
    post_soft_delete.connect(lambda sender, **_: heard.append(sender), weak=False, dispatch_uid="here", sender=Book)
    try:
        BookFactory(deleted=True)
    finally:
        post_soft_delete.disconnect(dispatch_uid="here", sender=Book)

    assert heard == [Book]


def test_old_sets_created_at_and_updated_at_a_year_ago():
    book = BookFactory(old=True)
    stored = Book.objects.get()

    assert abs(timezone.now() - YEAR - book.created_at) < NEAR
    assert stored.created_at == stored.updated_at == book.created_at == book.updated_at


def test_an_old_deleted_row_was_deleted_the_day_after_and_is_purged():
    book = BookFactory(old=True, deleted=True)
    BookFactory(deleted=True)

    assert book.deleted_at == book.created_at + dt.timedelta(days=1)
    call_command("purge_deleted", older_than="90d", verbosity=0)
    assert book.pk not in {kept.pk for kept in Book.all_objects.all()}
    assert Book.all_objects.count() == 1


def test_each_deleted_row_has_its_own_deleted_at():
    deleted = {book.deleted_at for book in BookFactory.create_batch(20, deleted=True)}

    assert len(deleted) == 20


def test_traits_may_set_deleted_and_old():
    author = AuthorFactory(gone=True)

    assert Author.all_objects.get().deleted_at == author.created_at + dt.timedelta(days=1)


def test_given_timestamps_are_kept():
    BookFactory(created_at=MOMENT, updated_at=MOMENT + YEAR, deleted_at=MOMENT + 2 * YEAR)
    stored = Book.all_objects.get()

    assert stored.created_at == MOMENT
    assert stored.deleted_at == MOMENT + 2 * YEAR
    assert stored.is_deleted


def test_a_save_in_a_post_generation_hook_leaves_an_old_row_old():
    class Renamed(AuthorFactory):
        @factory.post_generation
        def renamed(author, create, extracted):  # noqa: N805  # factory_boy's own way
            author.name = "Renamed"
            author.save()

    author = Renamed(old=True)
    stored = Author.objects.get()

    assert stored.name == "Renamed"
    assert abs(timezone.now() - YEAR - stored.updated_at) < NEAR
    assert stored.updated_at == author.updated_at


def test_is_deleted_without_deleted_at_deletes_now():
    assert abs(timezone.now() - BookFactory(is_deleted=True).deleted_at) < NEAR
    assert BookFactory(is_deleted=False).deleted_at is None
    assert BookFactory(deleted_at=None).is_deleted is False


def test_contradicting_arguments_are_refused():
    with pytest.raises(ValueError, match=r"is_deleted=False, and deleted_at=.*leave one of them out"):
        BookFactory(is_deleted=False, deleted_at=MOMENT)

    assert not Book.all_objects.exists()


def test_a_protected_row_cannot_be_made_deleted():
    class LoanFactory(BaseModelFactory[Loan]):
        class Meta:
            model = Loan

    class LoanedFactory(BookFactory):
        loan = factory.RelatedFactory(LoanFactory, "book")

    with pytest.raises(ProtectedError):
        LoanedFactory(deleted=True)


def test_build_sets_fields_and_saves_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        book = BookFactory.build(deleted=True, old=True)

    assert book.is_deleted
    assert book.deleted_at == book.created_at + dt.timedelta(days=1)


@pytest.mark.django_db(databases=["default", "archive"])
def test_rows_of_another_database_are_made_old_and_deleted_there():
    class Archived(AuthorFactory):
        class Meta:
            database = "archive"

    author = Archived(deleted=True, old=True)

    assert Author.all_objects.using("archive").get().deleted_at == author.deleted_at
    assert not Author.all_objects.using("default").exists()


def test_without_factory_boy_one_line_says_what_to_install():
    program = "import sys; sys.modules['factory'] = None; import shared_core.testing; shared_core.testing.{}"

    def run(name):
        command = [sys.executable, "-c", program.format(name)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert run("FakeService").returncode == 0
    assert run("BaseModelFactory").stderr.splitlines()[-1] == (
        "ImportError: BaseModelFactory needs factory_boy: pip install 'shared-core[test]'"
    )
