"""What a page of a stranger's makes an administrator's browser send, and what one without the permission sends."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.conftest import _of_a_site, admin_of
from tests.library.models import Author

__all__ = ["_of_a_site", "admin_of"]
pytestmark = pytest.mark.django_db


def url(view, row=None):
    return reverse(f"admin:library_author_{view}", args=[row.pk] if row else [])


@pytest.fixture
def author(db):
    author = Author.objects.create(name="Ann")
    author.delete()
    return author


def is_there(author):
    return Author.all_objects.filter(pk=author.pk, is_deleted=True).exists()


@pytest.mark.parametrize("view", ["delete", "restore", "hard_delete", "changelist"])
def test_a_forged_form_is_refused(admin_of, author, view):
    user = admin_of(everything=True).user
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    data = {"post": "yes", "typed": "Ann", "action": "hard_delete_selected", "_selected_action": [author.pk]}

    assert client.post(url(view, None if view == "changelist" else author), data).status_code == 403
    assert is_there(author)


@pytest.mark.parametrize("view", ["delete", "restore", "hard_delete"])
def test_a_link_changes_nothing(admin_of, author, view):
    admin_of(everything=True).get(url(view, author) + "?post=yes&typed=Ann")

    assert is_there(author)


@pytest.mark.parametrize("view", ["delete", "restore", "hard_delete", "change", "changelist"])
def test_who_is_not_logged_in_is_sent_to_log_in(author, view):
    target = url(view, None if view == "changelist" else author)
    response = Client().post(target, {"post": "yes", "typed": "Ann", "action": "hard_delete_selected"})

    assert (response.status_code, response.url.partition("?")[0]) == (302, reverse("admin:login"))
    assert is_there(author)


@pytest.mark.parametrize("typed", [None, "", "ann", "An", "Ann\0", "%", str(0)])
def test_what_is_not_the_name_deletes_nothing_for_good(admin_of, author, typed):
    data = {"post": "yes"} | ({} if typed is None else {"typed": typed})

    assert admin_of(everything=True).post(url("hard_delete", author), data).status_code == 200
    assert is_there(author)


@pytest.mark.parametrize("action", ["restore_selected", "hard_delete_selected", "delete_selected", "no_such_action"])
def test_an_action_that_is_not_offered_is_not_done(admin_of, author, action):
    client = admin_of("view_author")
    data = {"action": action, "_selected_action": [author.pk], "post": "yes", "typed": "Ann"}
    client.post(url("changelist") + "?deleted=all", data)

    assert is_there(author)
    assert Author.objects.count() == 0


@pytest.mark.parametrize("query", ["deleted=' OR 1=1 --", "deleted=yes&deleted=all", "is_deleted__exact=x", "o=99.-1'"])
def test_what_stands_in_an_address_is_no_sql(admin_of, author, query):
    response = admin_of(everything=True).get(f"{url('changelist')}?{query}")

    assert response.status_code in {200, 302}
    assert is_there(author)
