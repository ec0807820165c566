"""Attempts to change rows that a ModelAdmin's own has_..._permission refuses, and to read rows that it hides.

In these tests, a row is the user's own if its name starts with "own"; ``site`` refuses all others, and ``plain`` does
the same with Django's ModelAdmin alone.
"""

import threading
from contextlib import suppress

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, connections, models, transaction
from django.forms.models import BaseInlineFormSet
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import path, reverse

from shared_core.admin import SoftDeleteAdmin, permissions, steps
from shared_core.admin.permissions import missing_permissions
from shared_core.models import SoftDeleteModel, preview
from shared_core.models.statements import rows_of
from tests.admin.fixtures import _of_a_site, admin_of
from tests.library.models import Account, Author, Book, Chapter, City, Item, Loan, Place, Restaurant, Vase
from tests.models.test_purging import a_model, make_tables

__all__ = ["_of_a_site", "admin_of"]
pytestmark = [pytest.mark.slow, pytest.mark.django_db]

site, plain = admin.AdminSite(name="admin"), admin.AdminSite(name="plain")


def is_own(obj):
    return obj is None or str(obj).startswith("own")


class OwnRows:
    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and is_own(obj)


class BookInline(admin.TabularInline):
    model = Book
    fk_name = "author"
    fields = ["title"]
    extra = 0


class AuthorAdmin(OwnRows, SoftDeleteAdmin):
    inlines = [BookInline]


class PlaceInline(admin.TabularInline):
    model = Place
    fields = []
    extra = 0


class ItemInline(PlaceInline):
    model = Item


class CityAdmin(SoftDeleteAdmin):
    inlines = [PlaceInline, ItemInline]


class OwnRowsAdmin(OwnRows, SoftDeleteAdmin):
    pass


class PlainAdmin(OwnRows, admin.ModelAdmin):
    pass


site.register(Author, AuthorAdmin)
site.register([Book, Chapter], OwnRowsAdmin)
site.register(City, CityAdmin)
site.register(Restaurant, OwnRowsAdmin)
site.register([Account, Loan, Vase], SoftDeleteAdmin)
site.register(Item)
plain.register([Author, Book, Chapter], PlainAdmin)
urlpatterns = [path("admin/", site.urls), path("plain/", plain.urls)]

ACTS = ["delete", "restore", "hard_delete"]
PERMISSIONS = [f"{act}_{name}" for act in ("view", "delete", "hard_delete") for name in ("author", "book", "chapter")]


@pytest.fixture(autouse=True)
def _of_own_rows(settings, _of_a_site):
    settings.ROOT_URLCONF = __name__
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # each test makes a user


def permit_hard_deletion(*models):
    for model in models:
        name = f"hard_delete_{model._meta.model_name}"
        Permission.objects.create(codename=name, name="-", content_type=ContentType.objects.get_for_model(model))


@pytest.fixture
def client_of_ann(db, admin_of):
    """Return a client whose user has all model permissions, and so lacks nothing but the rows of others."""
    permit_hard_deletion(Author, Book, Chapter)
    return admin_of(*PERMISSIONS, "change_author")


def url(view, row=None, model="author", site="admin"):
    return reverse(f"{site}:library_{model}_{view}", args=[row.pk] if row else [])


def chain(author="own", book="own", chapter="own"):
    """Return an author; the names are hers, her book's and its chapter's."""
    row = Author.objects.create(name=author)
    Chapter.objects.create(title=chapter, book=Book.objects.create(author=row, title=book))
    return row


def state():
    """Return what is in the tables, deleted or not."""
    return [sorted(rows_of(model, "default").values_list("pk", "is_deleted")) for model in (Author, Book, Chapter)]


def send(client, act, rows, *, way, post=True):
    """Send the form of an act: from the row's page, from the list, or from the list for all its rows."""
    data = {"typed": rows[0].name if len(rows) == 1 else f"{len(rows)} authors"} | ({"post": "yes"} if post else {})
    if way == "page":
        return client.post(url(act, rows[0]), data) if post else client.get(url(act, rows[0]))
    keys = [row.pk for row in rows]
    data |= {"action": f"{act}_selected", "_selected_action": keys[:1] if way == "across" else keys}
    data |= {"select_across": "1"} if way == "across" else {}
    query = "?deleted=" + ("all" if act == "delete" else "yes")
    return client.post(url("changelist") + query, data)


def prepared(act, *rows):
    if act != "delete":
        for row in rows:
            row.delete()
    return list(rows)


each_act = pytest.mark.parametrize("act", ACTS)
each_way = pytest.mark.parametrize("way", ["page", "list", "across"])


@each_way
@each_act
def test_an_act_on_own_rows_is_done(client_of_ann, act, way):
    rows = prepared(act, chain())
    before = state()
    send(client_of_ann, act, rows, way=way)

    assert state() != before  # else the tests below would show nothing


@pytest.mark.parametrize("foreign", ["author", "book", "chapter"])
@each_way
@each_act
def test_a_row_of_somebody_else_is_refused_at_each_level(client_of_ann, act, way, foreign):
    rows = prepared(act, chain(**{foreign: "other"}))
    before = state()
    asked = send(client_of_ann, act, rows, way=way, post=False)

    # Each page of a row asks its own permission first.
    is_page_refused = way == "page" and foreign == "author" and act != "hard_delete"
    assert asked.status_code == (403 if is_page_refused else 200)
    if asked.status_code == 200:
        named = asked.context["perms_lacking"] if act == "delete" else asked.context["lacking"]
        assert [str(kind) for kind in named] == [foreign]
    assert send(client_of_ann, act, rows, way=way).status_code == 403
    assert state() == before


@each_act
def test_one_row_of_somebody_else_among_own_ones_keeps_all(client_of_ann, act):
    rows = prepared(act, chain(), chain(author="other"), chain())
    before = state()

    assert send(client_of_ann, act, rows, way="list").status_code == 403
    assert send(client_of_ann, act, rows, way="across").status_code == 403
    assert state() == before


@pytest.mark.parametrize("foreign", ["author", "book", "chapter", None])
@pytest.mark.parametrize("way", ["page", "list"])
def test_a_deletion_is_refused_as_by_djangos_own_admin(client_of_ann, foreign, way):
    author = chain(**({foreign: "other"} if foreign else {}))

    def answer(site):
        if way == "page":
            return client_of_ann.get(url("delete", author, site=site))
        data = {"action": "delete_selected", "_selected_action": [author.pk]}
        return client_of_ann.post(url("changelist", site=site), data)

    ours, djangos = answer("admin"), answer("plain")

    assert ours.status_code == djangos.status_code
    if ours.status_code == 200:
        assert ours.context["perms_lacking"] == djangos.context["perms_lacking"]


def test_a_field_to_refer_by_and_a_popup_are_no_way_round(client_of_ann):
    author = chain(book="other")
    before = state()
    for extra in ({"_to_field": "id"}, {"_popup": "1"}):
        assert client_of_ann.post(url("delete", author), {"post": "yes", **extra}).status_code == 403

    assert state() == before


@each_act
def test_an_override_of_what_acts_is_not_reached(client_of_ann, act, monkeypatch):
    def done(*_):
        pytest.fail("It must not be called.")

    for name in (f"{act}_model", f"{act}_queryset"):
        monkeypatch.setattr(AuthorAdmin, name, done, raising=False)
    rows = prepared(act, chain(chapter="other"))

    assert send(client_of_ann, act, rows, way="page").status_code == 403
    assert send(client_of_ann, act, rows, way="list").status_code == 403


def test_a_restore_asks_has_restore_permission_of_each_row(client_of_ann, monkeypatch):
    monkeypatch.setattr(OwnRowsAdmin, "has_delete_permission", SoftDeleteAdmin.has_delete_permission)
    monkeypatch.setattr(OwnRowsAdmin, "has_restore_permission", lambda self, request, obj=None: is_own(obj), False)
    rows = prepared("restore", chain(chapter="other"))

    assert send(client_of_ann, "restore", rows, way="page").status_code == 403


def test_a_permanent_deletion_asks_has_hard_delete_permission_of_each_row(client_of_ann, monkeypatch):
    monkeypatch.setattr(OwnRowsAdmin, "has_delete_permission", SoftDeleteAdmin.has_delete_permission)
    monkeypatch.setattr(OwnRowsAdmin, "has_hard_delete_permission", lambda self, request, obj=None: is_own(obj), False)
    rows = prepared("hard_delete", chain(chapter="other"))

    assert send(client_of_ann, "hard_delete", rows, way="page").status_code == 403


@pytest.mark.parametrize("missing", ["hard_delete_author", "hard_delete_book", "delete_chapter"])
@pytest.mark.parametrize("is_declared", [True, False])
def test_a_permanent_deletion_needs_both_permissions_on_each_model(admin_of, missing, is_declared):
    permit_hard_deletion(Author, Book, Chapter)
    if not is_declared:
        Permission.objects.filter(codename=missing).delete()
    client = admin_of(*(name for name in PERMISSIONS if name != missing))
    rows = prepared("hard_delete", chain())
    before = state()

    assert send(client, "hard_delete", rows, way="page").status_code == 403
    assert state() == before


# Which methods are asked about each row


def mixed_in():
    return type("Mixed", (OwnRows, SoftDeleteAdmin), {})(Author, admin.site)


def inherited():
    return type("Heir", (type("Base", (OwnRows, SoftDeleteAdmin), {}),), {})(Author, admin.site)


def set_on_the_instance():
    shown = SoftDeleteAdmin(Author, admin.site)
    shown.has_delete_permission = lambda request, obj=None: is_own(obj)
    return shown


def djangos_own():
    return type("Plain", (OwnRows, admin.ModelAdmin), {})(Author, admin.site)


@pytest.mark.parametrize("act", [permissions.DELETE, permissions.RESTORE, permissions.HARD_DELETE])
@pytest.mark.parametrize("make", [mixed_in, inherited, set_on_the_instance, djangos_own])
def test_an_override_is_found_wherever_it_is(client_of_ann, rf, make, act):
    own_site = admin.AdminSite()
    own_site._registry[Author] = make()
    request = rf.get("/")
    request.user = client_of_ann.user
    rows = Author.objects.filter(pk__in=[Author.objects.create(name=name).pk for name in ("own", "other")])

    assert missing_permissions(request, own_site, iter(preview.of_deletion(rows)), act) == ["author"]
    assert not missing_permissions(request, own_site, iter(preview.of_deletion(rows.filter(name="own"))), act)


@each_act
def test_rows_asked_about_one_by_one_are_read_by_as_many_queries(client_of_ann, act):
    author = chain()
    book = author.books.get()

    def queries(number):
        Chapter.objects.bulk_create(Chapter(book=book, title="own") for _ in range(number))
        prepared(act, author)
        with CaptureQueriesContext(connection) as caught:
            page = client_of_ann.get(url(act, author))
        assert f"{Chapter.all_objects.count()} chapters" in page.content.decode()
        assert "permission" not in page.content.decode()
        author.restore()
        return len(caught)

    queries(preview.FIRST)
    assert queries(10) == queries(1000)


def test_a_plain_admins_permission_to_delete_is_asked_on_a_restore(client_of_ann, monkeypatch):
    monkeypatch.setitem(site._registry, Chapter, PlainAdmin(Chapter, site))
    rows = prepared("restore", chain(chapter="other"))

    assert send(client_of_ann, "restore", rows, way="page").status_code == 403


def test_a_plain_admins_permission_to_delete_is_not_enough_for_a_permanent_deletion(admin_of, monkeypatch):
    permit_hard_deletion(Author, Book)
    monkeypatch.setitem(site._registry, Chapter, PlainAdmin(Chapter, site))
    client = admin_of(*PERMISSIONS)
    rows = prepared("hard_delete", chain())

    assert send(client, "hard_delete", rows, way="page").status_code == 403


@pytest.mark.parametrize(("deleted", "refusing"), [(Place, Restaurant), (Restaurant, Place)])
@each_act
def test_the_same_row_of_another_model_is_asked_about(admin_of, rf, act, deleted, refusing):
    own_site = admin.AdminSite()
    own_site.register(deleted, SoftDeleteAdmin)
    own_site.register(refusing, SoftDeleteAdmin)
    request = rf.get("/")
    request.user = admin_of(everything=True).user
    row = Restaurant.objects.create(city=City.objects.create(code="ber"))
    rows = rows_of(deleted, "default").filter(pk=row.pk)
    if act != "delete":
        row.delete()
    foretell = {"delete": preview.of_deletion, "restore": preview.of_restore, "hard_delete": preview.of_hard_deletion}

    assert not missing_permissions(request, own_site, iter(foretell[act](rows)), act)
    shown = own_site.get_model_admin(refusing)
    shown.has_delete_permission = lambda request, obj=None: obj is None
    assert missing_permissions(request, own_site, iter(foretell[act](rows)), act) == [refusing._meta.verbose_name]


def test_a_row_that_is_no_vase_is_not_asked_about(admin_of, rf):
    own_site = admin.AdminSite()
    own_site.register(Vase, SoftDeleteAdmin)
    request = rf.get("/")
    request.user = admin_of("delete_vase").user
    own_site.register(Item)
    vase = Vase.objects.create(city=City.objects.create(code="ber"))

    tree = preview.of_deletion(Vase.objects.filter(pk=vase.pk))
    assert not missing_permissions(request, own_site, iter(tree), "delete")  # the item stays


# Rows that are added between the question and the answer


def when_logged(monkeypatch, act):
    """Have something done where the admin has asked and has not deleted yet."""
    for name in ("log_deletions", "log_deletion"):  # the second one is Django 5.0's
        monkeypatch.setattr(AuthorAdmin, name, act)


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_row_added_after_the_question_is_not_deleted_with_the_others(client_of_ann, monkeypatch, way):
    author = chain()

    def add(*_):
        Book.objects.create(author=author, title="other")

    when_logged(monkeypatch, add)

    assert send(client_of_ann, "delete", [author], way=way).status_code == 403
    assert Author.objects.filter(pk=author.pk).exists()


@pytest.mark.parametrize("way", ["page", "list"])
def test_an_own_row_added_after_the_question_is_deleted_with_the_others(client_of_ann, monkeypatch, way):
    author = chain()

    def add(*_):
        Book.objects.create(author=author, title="own")

    when_logged(monkeypatch, add)
    send(client_of_ann, "delete", [author], way=way)

    assert Book.all_objects.filter(author=author, is_deleted=True).count() == 2


def test_a_row_that_joins_the_list_after_the_question_is_not_deleted(client_of_ann, monkeypatch):
    own = chain()
    when_logged(monkeypatch, lambda *_: Author.objects.create(name="other"))
    send(client_of_ann, "delete", [own], way="across")

    assert Author.objects.get().name == "other"


@pytest.mark.parametrize("act", ["restore", "hard_delete"])
def test_a_row_that_joins_the_list_after_the_question_is_left_alone(client_of_ann, monkeypatch, act):
    rows, other = prepared(act, chain()), chain(author="other")

    def join(*_):
        other.delete()

    monkeypatch.setattr(steps, "log", join)
    send(client_of_ann, act, rows, way="across")

    assert Author.all_objects.get(pk=other.pk).is_deleted
    assert not Author.all_objects.filter(pk=rows[0].pk, is_deleted=True).exists()


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_row_added_after_the_question_is_not_deleted_permanently(client_of_ann, monkeypatch, way):
    (author,) = prepared("hard_delete", chain())

    def add(*_):
        Book.objects.create(author=author, title="other")

    monkeypatch.setattr(steps, "log", add)
    page = send(client_of_ann, "hard_delete", [author], way=way).content.decode()

    assert "Something else changed meanwhile" in page
    assert Author.all_objects.filter(pk=author.pk).exists()


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_row_of_another_model_does_not_make_room_for_one_added_after_the_question(client_of_ann, monkeypatch, way):
    def swap(*_):
        Chapter.all_objects.all().hard_delete()
        Book.objects.create(author=author, title="other")

    (author,) = prepared("hard_delete", chain())
    monkeypatch.setattr(steps, "log", swap)
    send(client_of_ann, "hard_delete", [author], way=way)

    assert [len(rows) for rows in state()] == [1, 1, 1]


def in_another_transaction(change):
    """Start a change in a transaction of its own; it may have to wait for this one."""

    def run():
        try:
            # The rows that it waited for may be gone.
            with suppress(IntegrityError), transaction.atomic():
                change()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(1)
    return thread


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["page", "list"])
@each_act
def test_a_row_that_takes_the_place_of_another_after_the_question_is_left_alone(client_of_ann, monkeypatch, act, way):
    (author,) = prepared(act, chain())
    elsewhere = Author.objects.create(name="elsewhere")
    own, other = Book.all_objects.get(), Book.objects.create(author=elsewhere, title="other")
    moment = Author.all_objects.get(pk=author.pk).deleted_at
    books = rows_of(Book, "default")
    threads = []

    def swap():
        books.filter(pk=own.pk).update(author=elsewhere)
        books.filter(pk=other.pk).update(author=author, is_deleted=moment is not None, deleted_at=moment)
        rows_of(Chapter, "default").update(book=other)

    def start(*_):
        threads.append(in_another_transaction(swap))

    if act == "delete":
        when_logged(monkeypatch, start)
    else:
        monkeypatch.setattr(steps, "log", start)
    response = send(client_of_ann, act, [author], way=way)
    threads[0].join()

    if act == "hard_delete":  # waited for it
        assert Book.objects.filter(pk=other.pk).exists()
    else:
        assert response.status_code == (403 if act == "delete" else 200)
        assert books.filter(pk=other.pk, is_deleted=act != "delete").exists()
        assert Author.all_objects.get(pk=author.pk).is_deleted == (act != "delete")


def test_a_row_that_an_override_restores_too_is_asked_about(client_of_ann, monkeypatch):
    (author,) = prepared("restore", chain())
    more = Author.objects.create(name="other")
    Book.objects.create(author=more, title="own")
    more.delete()

    def restore(self, request, obj):
        obj.restore()
        more.restore()

    monkeypatch.setattr(AuthorAdmin, "restore_model", restore)
    send(client_of_ann, "restore", [author], way="page")

    assert not Author.objects.exists()

    rows_of(Author, "default").filter(pk=more.pk).update(name="own")
    send(client_of_ann, "restore", [author], way="page")

    assert Author.objects.count() == 2


# Inlines


def inline(author, book):
    prefix = {"books-TOTAL_FORMS": 1, "books-INITIAL_FORMS": 1, "books-0-id": book.pk, "books-0-author": author.pk}
    return {"name": author.name, **prefix, "books-0-title": book.title, "books-0-DELETE": "on"}


def city_form(city, **deleted):
    form = {"code": city.code}
    for name in ("places", "items"):
        number = int(name in deleted)
        form |= {f"{name}-TOTAL_FORMS": number, f"{name}-INITIAL_FORMS": number}
    for name, row in deleted.items():
        held = city.code if name == "places" else city.pk
        form |= {f"{name}-0-id": row.id, f"{name}-0-city": held, f"{name}-0-DELETE": "on"}
    return form


def test_an_inline_deletes_no_row_of_somebody_else_below_its_own(admin_of):
    client = admin_of(*PERMISSIONS, "change_author", "change_book")
    author = chain(chapter="other")
    page = client.post(url("change", author), inline(author, author.books.get())).content.decode()

    assert "your account does not have permission to delete them: chapter" in page
    assert author.books.exists()

    author.books.get().chapters.update(title="own")
    client.post(url("change", author), inline(author, author.books.get()))

    assert not author.books.exists()


def test_an_inline_deletes_no_row_that_refuses_as_a_row_of_another_model(admin_of):
    client = admin_of("view_city", "change_city", "view_place", "change_place", "delete_place", "delete_restaurant")
    city = City.objects.create(code="ber")
    place = Restaurant.objects.create(city=city)
    page = client.post(url("change", city, "city"), city_form(city, places=place)).content.decode()

    assert "your account does not have permission to delete them: restaurant" in page
    assert Restaurant.objects.exists()

    place.hard_delete()
    client.post(url("change", city, "city"), city_form(city, places=Place.objects.create(city=city)))

    assert not Place.objects.exists()


@pytest.mark.parametrize("refusing", ["the admin", "the permission"])
def test_an_inline_of_plain_rows_erases_no_soft_deletable_row(admin_of, monkeypatch, refusing):
    named = ["view_city", "change_city", "view_item", "change_item", "delete_item", "delete_vase"]
    if refusing == "the admin":
        permit_hard_deletion(Vase)
        named.append("hard_delete_vase")
        monkeypatch.setitem(site._registry, Vase, OwnRowsAdmin(Vase, site))
    client = admin_of(*named)
    city = City.objects.create(code="ber")
    vase = Vase.objects.create(city=city)
    page = client.post(url("change", city, "city"), city_form(city, items=vase)).content.decode()

    assert "your account does not have permission to delete them: vase" in page
    assert Vase.objects.exists()


def test_an_inline_of_plain_rows_deletes_what_the_user_may_delete(admin_of):
    permit_hard_deletion(Vase)
    named = ["view_city", "change_city", "view_item", "change_item", "delete_item"]
    client = admin_of(*named, "delete_vase", "hard_delete_vase")
    city = City.objects.create(code="ber")
    for model in (Vase, Item):
        row = model.objects.create(city=city)
        client.post(url("change", city, "city"), city_form(city, items=row))

        assert not Item.objects.exists()


class CleansOnItsOwn(BaseInlineFormSet):
    def clean(self):
        pass


def test_an_inline_checks_deletions_where_its_formset_overrides_clean(admin_of, monkeypatch):
    monkeypatch.setattr(BookInline, "formset", CleansOnItsOwn)
    client = admin_of(*PERMISSIONS, "change_author", "change_book")
    author = chain(chapter="other")
    page = client.post(url("change", author), inline(author, author.books.get())).content.decode()

    assert "your account does not have permission to delete them: chapter" in page
    assert author.books.exists()


@pytest.mark.parametrize("name", ["other", "own"])
@pytest.mark.parametrize("when", ["before", "while"])
def test_a_row_added_below_an_inlines_row_after_the_check_is_checked(admin_of, monkeypatch, when, name):
    client = admin_of(*PERMISSIONS, "change_author", "change_book")
    author = chain()
    book = author.books.get()

    def add(*_):
        Chapter.objects.create(book=book, title=name)

    if when == "before":
        monkeypatch.setattr(AuthorAdmin, "save_model", add)
    else:

        def save(self, request, form, formset, change):
            formset.save(commit=False)
            add()
            for row in formset.deleted_objects:
                row.delete()

        monkeypatch.setattr(AuthorAdmin, "save_formset", save)
    response = client.post(url("change", author), inline(author, book))

    assert response.status_code == (403 if name == "other" else 302)
    assert author.books.exists() == (name == "other")


def test_a_vase_that_an_inlines_item_becomes_after_the_check_is_not_erased(admin_of, monkeypatch):
    client = admin_of("view_city", "change_city", "view_item", "change_item", "delete_item")
    city = City.objects.create(code="ber")
    item = Item.objects.create(city=city)

    def add(*_):
        Vase.objects.create(item_ptr=item, city=city)

    monkeypatch.setattr(CityAdmin, "save_model", add)

    assert client.post(url("change", city, "city"), city_form(city, items=item)).status_code == 403
    assert Item.objects.exists()


def test_what_others_change_each_time_that_it_is_read_is_not_deleted_permanently(root, monkeypatch):
    monkeypatch.setattr(permissions, "_ATTEMPTS", 1)  # as if the second reading differed
    (author,) = prepared("hard_delete", chain())
    city = City.objects.create(code="ber")
    vase = Vase.objects.create(city=city)
    asked = send(root, "hard_delete", [author], way="page")
    page = root.post(url("change", city, "city"), city_form(city, items=vase), follow=True)

    assert "Something else changed meanwhile" in asked.content.decode()
    assert "Something else changed meanwhile" in page.content.decode()
    assert Author.all_objects.exists()
    assert Vase.objects.exists()


def test_a_new_row_of_an_inline_that_is_marked_as_deleted_is_not_added(admin_of):
    client = admin_of(*PERMISSIONS, "change_author", "change_book", "add_book")
    author = chain()
    form = {**inline(author, author.books.get()), "books-INITIAL_FORMS": 0, "books-0-id": ""}

    assert client.post(url("change", author), form).status_code == 302
    assert Book.all_objects.count() == 1


# A deletion by hand: a form that holds is_deleted


class BareChapterInline(admin.TabularInline):
    model = Chapter
    extra = 0


class NamingChapterInline(BareChapterInline):
    fields = ["title", ("is_deleted", "deleted_at")]


class ReadOnlyChapterInline(NamingChapterInline):
    readonly_fields = ["is_deleted", "deleted_at"]


class DeclaringForm(forms.ModelForm):
    is_deleted = forms.BooleanField(required=False)

    class Meta:
        fields = ["title", "is_deleted"]


class DeclaringChapterInline(BareChapterInline):
    form = DeclaringForm


def by_hand(book, chapter):
    prefix = {"chapters-TOTAL_FORMS": 1, "chapters-INITIAL_FORMS": 1, "chapters-0-id": chapter.pk}
    moment = {"chapters-0-deleted_at_0": "2026-01-01", "chapters-0-deleted_at_1": "00:00"}
    row = {"chapters-0-book": book.pk, "chapters-0-title": "changed", "chapters-0-is_deleted": "on", **moment}
    return {"author": book.author_id, "title": book.title, "pages": 1, **prefix, **row}


@pytest.mark.parametrize(
    "inlined", [BareChapterInline, NamingChapterInline, ReadOnlyChapterInline, DeclaringChapterInline]
)
def test_no_inline_deletes_a_row_by_its_columns(admin_of, monkeypatch, inlined):
    monkeypatch.setattr(OwnRowsAdmin, "inlines", [inlined])
    monkeypatch.delitem(site._registry, Chapter)
    client = admin_of("view_book", "change_book", "view_chapter", "change_chapter", "view_author")
    chain()
    book, chapter = Book.objects.get(), Chapter.objects.get()
    page = client.get(url("change", book, "book")).content.decode()
    client.post(url("change", book, "book"), by_hand(book, chapter))
    chapter.refresh_from_db()

    assert 'name="chapters-0-title"' in page
    assert 'name="chapters-0-is_deleted' not in page
    assert 'name="chapters-0-deleted_at' not in page
    assert ("field-is_deleted" in page) == (inlined is ReadOnlyChapterInline)
    assert (chapter.title, chapter.is_deleted, chapter.deleted_at) == ("changed", False, None)


@pytest.mark.parametrize("way", ["fields", "fieldsets", "form"])
def test_no_form_deletes_a_row_by_its_columns(admin_of, monkeypatch, way):
    values = {"fields": ["title", "is_deleted"], "fieldsets": [(None, {"fields": ["title", "is_deleted"]})]}
    monkeypatch.setattr(OwnRowsAdmin, way, values.get(way, DeclaringForm))
    client = admin_of("view_book", "change_book")
    chain()
    book = Book.objects.get()
    client.post(url("change", book, "book"), {"title": "changed", "is_deleted": "on"})
    book.refresh_from_db()

    assert (book.title, book.is_deleted) == ("changed", False)


def listed(book, **values):
    prefix = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": book.pk, "_save": "Save"}
    return {**prefix, **{f"form-0-{name}": value for name, value in values.items()}}


def test_no_list_deletes_a_row_by_its_columns(admin_of, monkeypatch):
    monkeypatch.setattr(OwnRowsAdmin, "list_display", ["title", "pages", "is_deleted"])
    monkeypatch.setattr(OwnRowsAdmin, "list_editable", ["pages", "is_deleted"])
    client = admin_of("view_book", "change_book")
    chain()
    book = Book.objects.get()
    page = client.get(url("changelist", model="book")).content.decode()
    client.post(url("changelist", model="book"), listed(book, pages=7, is_deleted="on"))
    book.refresh_from_db()

    assert 'name="form-0-pages"' in page
    assert 'name="form-0-is_deleted"' not in page
    assert (book.pages, book.is_deleted) == (7, False)


# A deleted row


@pytest.mark.parametrize("data", [{}, {"_saveasnew": "1"}, {"_to_field": "id"}])
def test_a_deleted_row_is_not_changed_whatever_has_change_permission_says(root, monkeypatch, data):
    monkeypatch.setattr(AuthorAdmin, "has_change_permission", lambda self, request, obj=None: True)
    monkeypatch.setattr(AuthorAdmin, "save_as", True)
    (author,) = prepared("restore", chain())
    no_books = {"books-TOTAL_FORMS": 0, "books-INITIAL_FORMS": 0}
    page = root.get(url("change", author)).content.decode()

    assert 'name="_save' not in page
    assert root.post(url("change", author), {"name": "changed", **no_books, **data}).status_code == 403
    assert [row.name for row in Author.all_objects.all()] == ["own"]


def test_a_row_that_is_deleted_while_its_form_is_sent_is_not_changed(root, monkeypatch):
    author = chain()
    get_form = AuthorAdmin.get_form

    def delete(self, request, obj=None, **kwargs):
        obj.delete()
        return get_form(self, request, obj, **kwargs)

    monkeypatch.setattr(AuthorAdmin, "get_form", delete)
    monkeypatch.setattr(AuthorAdmin, "has_change_permission", lambda self, request, obj=None: True)
    no_books = {"books-TOTAL_FORMS": 0, "books-INITIAL_FORMS": 0}
    page = root.post(url("change", author), {"name": "changed", **no_books}).content.decode()

    assert "It is deleted. Restore it first." in page
    assert Author.all_objects.get().name == "own"


@pytest.mark.parametrize("way", ["add", "change", "change as if unchanged", "inline", "inline of the key"])
@isolate_apps("tests.library")
def test_no_form_changes_a_deleted_row_by_taking_its_key(admin_of, settings, way):
    team = a_model("Team", SoftDeleteModel, code=models.CharField(max_length=9, primary_key=True))
    # With a default that is called, the form itself says what the value was before.
    default = {"default": lambda: 9} if way.startswith("change") else {}
    number, title = models.IntegerField(primary_key=True, **default), models.CharField(max_length=9)
    link = models.ForeignKey(team, models.CASCADE, null=True, blank=True)
    player = a_model("Player", SoftDeleteModel, number=number, title=title, team=link)
    key = models.OneToOneField(team, models.CASCADE, primary_key=True)
    captain = a_model("Captain", SoftDeleteModel, team=key, title=models.CharField(max_length=9))
    make_tables(team, player, captain)
    own_site = admin.AdminSite(name="admin")
    inlines = [type("Inline", (admin.TabularInline,), {"model": model}) for model in (player, captain)]
    own_site.register(team, SoftDeleteAdmin, inlines=inlines)
    own_site.register(player, SoftDeleteAdmin)
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", own_site.urls)]})
    red = team.objects.create(code="red")
    captain.objects.create(team=red, title="deleted").delete()
    player.objects.create(number=7, title="deleted").delete()
    player.objects.create(number=8, title="active")
    taken = {"number": 7, "initial-number": 8, "title": "changed"}
    inlined = {f"player_set-0-{name}": value for name, value in {**taken, "team": "red"}.items()}
    counts = {"player_set-TOTAL_FORMS": 0, "player_set-INITIAL_FORMS": 0, "captain-INITIAL_FORMS": 0}
    counts |= {"code": "red", "captain-TOTAL_FORMS": 1}
    page, form = {
        "add": ("player/add/", taken),
        "change": ("player/8/change/", taken),
        "change as if unchanged": ("player/8/change/", {**taken, "initial-number": 7}),
        "inline": ("team/red/change/", {**counts, **inlined, "player_set-TOTAL_FORMS": 1}),
        "inline of the key": ("team/red/change/", {**counts, "captain-0-title": "changed"}),
    }[way]
    answer = admin_of(everything=True).post(f"/admin/library/{page}", form)

    rows = list(player.all_objects.order_by("number").values_list("number", "title", "team"))
    assert rows == [(7, "deleted", None), (8, "active", None)]
    assert captain.all_objects.get().title == "deleted"
    assert "A deleted row has this key. Restore it, or choose another key." in answer.content.decode()


@pytest.mark.parametrize("base", [SoftDeleteModel, models.Model])
@isolate_apps("tests.library")
def test_an_inline_deletes_no_row_that_it_does_not_show(admin_of, settings, base):
    team = a_model("Team", SoftDeleteModel, code=models.CharField(max_length=9, primary_key=True))
    link = models.ForeignKey(team, models.CASCADE)
    player = a_model("Player", base, number=models.IntegerField(primary_key=True), team=link)
    make_tables(team, player)
    own_site = admin.AdminSite(name="admin")
    own_site.register(team, SoftDeleteAdmin, inlines=[type("Inline", (admin.TabularInline,), {"model": player})])
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", own_site.urls)]})
    team.objects.create(code="red")
    player.objects.create(number=7, team=team.objects.create(code="blue"))
    form = {"code": "red", "player_set-TOTAL_FORMS": 1, "player_set-INITIAL_FORMS": 1}
    form |= {"player_set-0-number": 7, "player_set-0-team": "red", "player_set-0-DELETE": "on"}
    own_site.get_model_admin(team).log_change = lambda *arguments: None  # the team has no content type
    admin_of(everything=True).post("/admin/library/team/red/change/", form)

    assert player.objects.get().team_id == "blue"


def test_an_inline_that_shows_deleted_rows_changes_none(root, monkeypatch):
    monkeypatch.setattr(BookInline, "get_queryset", lambda self, request: Book.all_objects.all(), raising=False)
    monkeypatch.setattr(Book._meta, "default_manager_name", "all_objects")
    monkeypatch.delitem(Book._meta.__dict__, "default_manager", raising=False)
    author = chain()
    book = author.books.get()
    book.delete()
    form = {name: value for name, value in inline(author, book).items() if name != "books-0-DELETE"}
    try:
        changed = root.post(url("change", author), {**form, "books-0-title": "changed"})
        unchanged = root.post(url("change", author), {**form, "name": "own: other name"})
    finally:
        monkeypatch.undo()
        Book._meta.__dict__.pop("default_manager", None)

    assert "It is deleted. Restore it first." in changed.content.decode()
    assert unchanged.status_code == 302
    assert Book.all_objects.get().title == "own"
    assert Author.objects.get().name == "own: other name"


# Rows that a ModelAdmin hides


class HidesRows(SoftDeleteAdmin):
    hidden = ()

    def get_queryset(self, request):
        return super().get_queryset(request).exclude(pk__in=self.hidden)


class ViewsSomeRows(SoftDeleteAdmin):
    hidden = ()

    def has_view_permission(self, request, obj=None):
        return obj is None or obj.pk not in self.hidden


@pytest.fixture(params=["get_queryset", "has_view_permission", "not registered"])
def hide(request, monkeypatch):
    """Return what hides a row: its ModelAdmin's queryset or permission to view, or that the model is not registered."""

    def hide(row):
        shown = {"get_queryset": HidesRows, "has_view_permission": ViewsSomeRows}.get(request.param)
        if shown is None:
            monkeypatch.delitem(site._registry, type(row))
        else:
            monkeypatch.setitem(site._registry, type(row), shown(type(row), site))
            site._registry[type(row)].hidden = (row.pk,)

    return hide


@pytest.fixture
def root(admin_of):
    return admin_of(everything=True)


def is_named(row, page):
    return str(row) in page or str(row.pk) in page


@each_act
def test_a_hidden_row_is_not_named_in_a_tree_or_afterwards(root, hide, act):
    rows = prepared(act, chain(chapter="own secret"))
    chapter = Chapter.all_objects.get()

    assert is_named(chapter, root.get(url(act, rows[0])).content.decode())

    hide(chapter)
    page = root.get(url(act, rows[0])).content.decode()

    assert "1 chapter" in page.lower()
    assert not is_named(chapter, page)

    send(root, act, rows, way="page")
    pages = [root.get(url("changelist") + "?deleted=all"), root.get(reverse("admin:index"))]
    if act != "hard_delete":
        pages.append(root.get(url("history", rows[0])))
    for page in pages:
        assert not is_named(chapter, page.content.decode())


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_hidden_row_that_forbids_a_deletion_is_not_named(root, hide, way):
    author = chain()
    loan = Loan.objects.create(book=Book.objects.get())
    hide(loan)
    asked = send(root, "delete", [author], way=way, post=False)

    assert asked.context["protected"] == ["1 loan that you may not see"]
    assert "1 loan" in asked.content.decode().lower()
    assert not is_named(loan, asked.content.decode())

    assert not is_named(loan, send(root, "delete", [author], way=way).content.decode())


def test_a_hidden_row_that_forbids_an_inlines_deletion_is_not_named(root, hide):
    author = chain()
    loan = Loan.objects.create(book=Book.objects.get())
    hide(loan)
    page = root.post(url("change", author), inline(author, author.books.get())).content.decode()

    assert "protected related objects: 1 loan that you may not see" in page
    assert not is_named(loan, page)


def test_a_hidden_row_that_has_a_unique_value_is_not_named(root, hide):
    (account,) = prepared("restore", Account.objects.create(email="own@example.org", handle="ann"))
    holder = Account.objects.create(email="secret@example.org", handle="ann")

    assert is_named(holder, root.get(url("restore", account, "account")).content.decode())

    hide(holder)
    page = root.get(url("restore", account, "account")).content.decode()

    assert "is taken by 1 account that you may not see" in page
    assert not is_named(holder, page)


def test_a_hidden_parent_is_not_named(root, hide):
    chain(book="secret")
    book, chapter = Book.objects.get(), Chapter.objects.get()
    chapter.delete()
    book.delete()
    hide(book)
    page = root.get(url("restore", chapter, "chapter")).content.decode()

    assert "Restore this first: 1 book that you may not see" in page
    assert not is_named(book, page)


def test_a_row_that_may_be_deleted_but_not_viewed_is_not_named_by_an_action(root, monkeypatch):
    rows = prepared("hard_delete", chain(author="secret"))
    monkeypatch.setitem(site._registry, Author, ViewsSomeRows(Author, site))
    site._registry[Author].hidden = (rows[0].pk,)
    page = send(root, "hard_delete", rows, way="list", post=False).content.decode()

    assert "Type “1 author” to confirm" in page
    assert "secret" not in page


def test_what_is_hidden_is_known_by_one_query_per_model(root, monkeypatch):
    author = Author.objects.create(name="own")

    def queries():
        book = Book.objects.create(author=author, title="own")
        Chapter.objects.bulk_create(Chapter(book=book, title="own") for _ in range(3))
        with CaptureQueriesContext(connection) as caught:
            root.get(url("delete", author))
        return len(caught)

    monkeypatch.setitem(site._registry, Chapter, SoftDeleteAdmin(Chapter, site))
    queries()
    before = queries()
    monkeypatch.setitem(site._registry, Chapter, HidesRows(Chapter, site))

    assert queries() == queries() == before + 1
