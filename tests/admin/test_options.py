"""What the admin lets whom do to which rows, asked by requests."""

import re
import threading
import time

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.forms import modelform_factory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from shared_core.admin import SoftDeleteAdmin
from tests.library.models import Account, Author, Book, Chapter, Loan, Stamp

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def url(view, row=None, model="author"):
    return reverse(f"admin:library_{model}_{view}", args=[row.pk] if row else [])


def told(response):
    """Return the messages of the page, as text."""
    return " ".join(str(message) for message in response.context["messages"])


def run(client, action, rows, query="?deleted=all", model="author", **data):
    chosen = {"action": action, "_selected_action": [row.pk for row in rows], **data}
    return client.post(url("changelist", model=model) + query, chosen, follow=True)


@pytest.fixture
def root(admin_of):
    return admin_of(everything=True)


@pytest.fixture
def author(db):
    author = Author.objects.create(name="Ann")
    Book.objects.create(author=author, title="Tales")
    return author


def hard_delete_permission(*models):
    for model in models:
        content_type = ContentType.objects.get_for_model(model)
        codename = f"hard_delete_{model._meta.model_name}"
        Permission.objects.create(codename=codename, name="-", content_type=content_type)


@pytest.mark.parametrize("view", ["delete", "restore", "hard_delete"])
def test_a_view_is_403_without_its_permission(admin_of, author, view):
    client = admin_of("view_author", "change_author")
    if view != "delete":
        author.delete()

    assert client.get(url(view, author)).status_code == 403
    assert client.post(url(view, author), {"post": "yes", "typed": "Ann"}).status_code == 403
    assert Author.all_objects.filter(pk=author.pk, is_deleted=view != "delete").exists()


def test_a_page_offers_what_the_user_may_do(admin_of, author):
    author.delete()
    page = admin_of("view_author").get(url("change", author)).content.decode()

    assert "Deleted: " in page
    assert "restore/" not in page
    assert "hard-delete/" not in page


def test_an_action_is_offered_only_with_its_rows_and_its_permission(admin_of, author):
    client = admin_of("view_author", "change_author", "delete_author")
    author.delete()

    def offered(query):
        form = client.get(url("changelist") + query).context["action_form"]
        return [name for name, _ in form.fields["action"].choices if name] if form else []

    assert offered("?deleted=yes") == ["restore_selected"]
    assert offered("?deleted=all") == ["delete_selected", "restore_selected"]
    assert offered("?deleted=yes&_popup=1") == []


def test_a_cascade_without_permission_for_its_rows_is_refused(admin_of, author):
    client = admin_of("view_author", "delete_author")
    asked = client.get(url("delete", author))

    assert "have permission to delete the following types of objects" in asked.content.decode()
    assert client.post(url("delete", author), {"post": "yes"}).status_code == 403

    author.delete()
    asked = client.get(url("restore", author))

    assert "does not have permission to restore: book" in asked.content.decode()
    assert client.post(url("restore", author), {"post": "yes"}).status_code == 403
    assert not Author.objects.exists()


def test_the_hard_delete_permission_is_enough_for_a_hard_delete(admin_of, author):
    hard_delete_permission(Author, Book)
    named = ["hard_delete_author", "hard_delete_book"]
    client = admin_of("view_author", "delete_author", "delete_book", *named)
    author.delete()
    client.post(url("hard_delete", author), {"post": "yes", "typed": " Ann "})

    assert not Author.all_objects.exists()


def test_an_active_row_cannot_be_hard_deleted(root, author):
    response = root.post(url("hard_delete", author), {"post": "yes", "typed": "Ann"}, follow=True)

    assert told(response) == "None of these is deleted."
    assert Author.objects.filter(pk=author.pk).exists()


def test_a_protected_row_cannot_be_hard_deleted(root, author):
    Loan.objects.create(book=author.books.get())
    author.soft_delete(cascade=False)
    response = root.post(url("hard_delete", author), {"post": "yes", "typed": "Ann"})

    assert "refer to it" in response.content.decode()
    assert Author.all_objects.filter(pk=author.pk).exists()


@pytest.mark.parametrize("data", [{}, {"post": "yes", "typed": "1"}])
@pytest.mark.parametrize("way", ["page", "list"])
def test_rows_too_deep_for_djangos_deletion_are_an_error_that_says_so(root, author, way, data):
    rows = [Chapter(book=author.books.get(), title="1")]
    for _ in range(1200):
        rows.append(Chapter(book=rows[0].book, title="1", part_of=rows[-1]))
    Chapter.objects.bulk_create(rows)
    rows[0].delete()
    if way == "list":
        response = run(root, "hard_delete_selected", rows[:1], model="chapter", **data)
    else:
        page = url("hard_delete", rows[0], "chapter")
        response = root.post(page, data, follow=True) if data else root.get(page, follow=True)

    assert "Too many levels of rows refer to each other." in told(response)
    assert Chapter.all_objects.count() == 1201


def test_both_deletions_and_the_restore_are_in_the_history(root, author):
    root.post(url("delete", author), {"post": "yes"})
    root.post(url("restore", author), {"post": "yes"})
    run(root, "delete_selected", [author], post="yes")
    run(root, "restore_selected", [author], post="yes")
    run(root, "delete_selected", [author], post="yes")
    run(root, "hard_delete_selected", [author], post="yes", typed="Ann")
    entries = LogEntry.objects.order_by("pk").values_list("action_flag", "change_message", "object_id", "user_id")
    deleted = (DELETION, "Deleted; can be restored.")
    restored = (CHANGE, "Restored.")
    done = [deleted, restored, deleted, restored, deleted, (DELETION, "Deleted permanently.")]

    assert list(entries) == [(*one, str(author.pk), root.user.pk) for one in done]


def test_a_refused_restore_changes_nothing_and_is_not_in_the_history(root):
    gone = Account.objects.create(email="ann@example.org")
    gone.delete()
    holder = Account.objects.create(email="ann@example.org")
    for response in (
        root.post(url("restore", gone, "account"), {"post": "yes"}),
        run(root, "restore_selected", [gone], model="account", post="yes"),
    ):
        page = response.content.decode()

        assert "its email is taken by account" in page
        assert url("change", holder, "account") in page
    assert not LogEntry.objects.exists()
    assert Account.all_objects.get(pk=gone.pk).is_deleted


@pytest.mark.django_db(transaction=True)
def test_a_restore_while_another_transaction_takes_its_value_says_so(root):
    account = Account.objects.create(email="a@b.org")
    account.delete()
    is_taken = threading.Event()

    def take():
        try:
            with transaction.atomic():
                Account.objects.create(email="a@b.org")
                is_taken.set()
                time.sleep(0.5)  # the restore waits for it
        finally:
            connections.close_all()

    other = threading.Thread(target=take)
    other.start()
    is_taken.wait()
    page = root.post(url("restore", account, "account"), {"post": "yes"}).content.decode()
    other.join()

    assert "It cannot be restored: its email is taken by" in page
    assert Account.all_objects.get(pk=account.pk).is_deleted


def test_a_deletion_protected_after_the_confirmation_changes_nothing(root, author, monkeypatch):
    asked = SoftDeleteAdmin.get_deleted_objects

    def lend(self, objs, request):
        found = asked(self, objs, request)
        Loan.objects.get_or_create(book=Book.objects.get())
        return found

    monkeypatch.setattr(SoftDeleteAdmin, "get_deleted_objects", lend)
    response = root.post(url("delete", author), {"post": "yes"}, follow=True)

    assert response.redirect_chain == [(url("delete", author), 302)]  # where the question is asked again
    assert Author.objects.filter(pk=author.pk).exists()

    Loan.objects.all().hard_delete()
    response = run(root, "delete_selected", [author], query="", post="yes")

    assert "protected" in told(response)
    assert Author.objects.filter(pk=author.pk).exists()
    assert not LogEntry.objects.exists()


def test_deleting_a_deleted_row_or_restoring_an_active_one_says_so(root, author):
    author.delete()

    assert told(root.post(url("delete", author), {"post": "yes"}, follow=True)) == "It is deleted already."
    assert told(run(root, "restore_selected", [Author.objects.create(name="Bo")])) == "None of these is deleted."


def test_a_deleted_row_cannot_be_saved(root, author):
    author.delete()

    assert root.post(url("change", author), {"name": "Other"}).status_code == 403
    assert Author.all_objects.get(pk=author.pk).name == "Ann"


def test_rows_are_not_edited_in_a_list_of_deleted_ones(root, author):
    author.books.get().delete()

    assert b"form-0-pages" not in root.get(url("changelist", model="book") + "?deleted=yes").content


def test_forms_leave_out_the_soft_delete_columns(root, author):
    page = root.get(url("change", author)).content

    assert b'name="name"' in page
    assert b"is_deleted" not in page
    assert b"deleted_at" not in page


def test_a_link_to_a_deleted_row_survives_saving(root, author):
    translator = Author.objects.create(name="Tom")
    book = Book.objects.create(author=author, title="Poems", translator=translator)
    translator.delete()
    page = root.get(url("change", book, "book")).content.decode()

    assert "Tom (deleted)" in page

    inlines = {"chapters-TOTAL_FORMS": 0, "chapters-INITIAL_FORMS": 0}
    form = {"author": author.pk, "title": "Odes", "pages": 1, "translator": translator.pk, **inlines}
    root.post(url("change", book, "book"), form)
    book.refresh_from_db()

    assert (book.title, book.translator_id) == ("Odes", translator.pk)


def test_a_form_refuses_a_newly_chosen_deleted_row(root, author):
    gone = Author.objects.create(name="Gone")
    gone.delete()
    book = author.books.get()
    inlines = {"chapters-TOTAL_FORMS": 0, "chapters-INITIAL_FORMS": 0}
    form = {"author": author.pk, "title": "Odes", "pages": 1, "translator": gone.pk, **inlines}

    assert "not one of the available choices" in root.post(url("change", book, "book"), form).content.decode()


def inline(author, book):
    return {
        "name": "Ann",
        "books-TOTAL_FORMS": 1,
        "books-INITIAL_FORMS": 1,
        "books-0-id": book.pk,
        "books-0-author": author.pk,
        "books-0-title": book.title,
        "books-0-DELETE": "on",
    }


def test_an_inline_deletes_a_row_so_that_it_can_be_restored(root, author):
    book = author.books.get()
    Loan.objects.create(book=book).delete()  # it forbids nothing any more
    root.post(url("change", author), inline(author, book))

    assert Book.all_objects.get(pk=book.pk).is_deleted
    assert b"Tales" not in root.get(url("change", author)).content


def test_an_inline_says_what_forbids_a_deletion(root, author):
    book = author.books.get()
    loan = Loan.objects.create(book=book)
    page = root.post(url("change", author), inline(author, book)).content.decode()

    assert f"would require deleting the following protected related objects: loan {loan}" in page
    assert Book.objects.filter(pk=book.pk).exists()


def test_select_across_sends_one_field_for_all_rows(root, settings):
    Author.objects.bulk_create(Author(name=f"author {number:04}") for number in range(1200))
    first = Author.objects.first()
    page = run(root, "delete_selected", [first], query="", select_across="1")

    assert page.content.count(b'name="_selected_action"') == 1
    assert b"1200 authors" in page.content

    run(root, "delete_selected", [first], query="", select_across="1", post="yes")
    asked = run(root, "restore_selected", [first], query="?deleted=yes", select_across="1")

    assert asked.content.count(b'name="_selected_action"') == 1
    assert not Author.objects.exists()

    run(root, "restore_selected", [first], query="?deleted=yes", select_across="1", post="yes")

    assert Author.objects.count() == 1200


@pytest.mark.parametrize(("view", "rows"), [("delete", 100_000), ("restore", 10_000), ("hard_delete", 10_000)])
def test_confirming_a_hundred_thousand_rows_takes_as_many_queries_as_ten(root, author, view, rows):
    book = author.books.get()

    def queries(number):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO library_chapter (id, is_deleted, created_at, updated_at, book_id, title) SELECT "
                "gen_random_uuid(), false, now(), now(), %s, n::text FROM generate_series(1, %s) n",
                [book.pk, number],
            )
        if view != "delete":
            author.delete()
        with CaptureQueriesContext(
            connection,
        ) as caught:
            page = root.get(url(view, author)).content.decode()
        author.restore()
        return len(caught), page

    few, _ = queries(10)
    many, page = queries(rows)

    assert f"{rows + 10} chapters" in page
    assert len(re.findall(r"/chapter/[0-9a-f-]{36}/", page)) == 5
    assert few == many
    # Session and user; the row (and again, to tell a deleted one); its tree: first rows, keys and count of authors,
    # books, and what refers to them by SET_NULL, PROTECT, RESTRICT; counts of chapters.
    assert many <= 26


def test_the_deletion_filter_shows_facet_counts(root, author):
    Author.objects.create(name="Gone").delete()
    choices = root.get(url("changelist") + "?_facets=True").context["cl"].filter_specs[0]
    page = root.get(url("changelist") + "?_facets=True&q=gone").content.decode()

    assert choices.title == "deletion"
    assert [text in page for text in ("Active (0)", "Deleted (1)", "All (1)")] == [True] * 3


def test_every_page_escapes_names_from_users(root):
    author = Author.objects.create(name="<script>alert(1)</script>")
    Book.objects.create(author=author, title="<b>bold</b>")
    pages = [root.get(url("delete", author)), root.post(url("delete", author), {"post": "yes"}, follow=True)]
    pages += [root.get(url(view, author)) for view in ("change", "restore", "hard_delete")]
    pages += [run(root, "restore_selected", [author]), run(root, "restore_selected", [author], post="yes")]
    for page in pages:
        assert "<script>alert" not in page.content.decode()
        assert "<b>bold" not in page.content.decode()


def test_a_list_display_that_has_deleted_at_is_kept(rf, admin_of):
    class Own(SoftDeleteAdmin):
        list_display = ["name", "deleted_at"]

    request = rf.get("/", {"deleted": "yes"})

    assert Own(Author, admin.site).get_list_display(request) == ["name", "deleted_at"]
    assert SoftDeleteAdmin(Author, admin.site).get_list_display(request) == ["__str__", "when_deleted"]


def test_a_model_that_is_not_soft_deletable_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match=r"library\.Stamp is not soft-deletable: derive the model from"):
        SoftDeleteAdmin(Stamp, admin.site)


def test_soft_delete_admin_passes_djangos_checks():
    assert SoftDeleteAdmin(Author, admin.site).check() == []


def test_a_base_that_takes_change_by_keyword_only_works(root, rf, author):
    class AuthorAdmin(SoftDeleteAdmin, UserAdmin):
        form = add_form = modelform_factory(Author, fields=["name"])
        fieldsets = add_fieldsets = [(None, {"fields": ["name"]})]
        filter_horizontal = list_display = list_filter = ordering = search_fields = ()

    request = rf.get("/")
    request.user = root.user
    for change, obj in ((False, None), (True, author)):
        form = AuthorAdmin(Author, admin.site).get_form(request, obj, change=change)
        assert list(form.base_fields) == ["name"]
