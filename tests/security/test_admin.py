"""What a page of a stranger's makes an administrator's browser send, and what one without the permission sends."""

from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.fixtures import _of_a_site, admin_of
from tests.library.models import Author

__all__ = ["_of_a_site", "admin_of"]
pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def url(view, row=None):
    return reverse(f"admin:library_author_{view}", args=[row.pk] if row else [])


@pytest.fixture
def author(db):
    author = Author.objects.create(name="Ann")
    author.delete()
    return author


def rows():
    return list(Author.all_objects.values_list("name", "is_deleted"))


def is_there(author):
    return Author.all_objects.filter(pk=author.pk, is_deleted=True).exists()


class Act:
    """The form of an act, and a row that it would change: an active one to delete, a deleted one for the others."""

    def __init__(self, name):
        self.author = Author.objects.create(name="Ann")
        if not name.startswith("delete"):
            self.author.delete()
        is_action = name.endswith("_selected")
        self.url = url("changelist") + "?deleted=all" if is_action else url(name, self.author)
        self.data = {"post": "yes", "typed": "Ann"}
        if is_action:
            self.data |= {"action": name, "_selected_action": [self.author.pk]}
        self.before = rows()

    def is_done(self):
        return rows() != self.before


@pytest.fixture
def act(db, request):
    return Act(request.param)


each_act = pytest.mark.parametrize(
    "act",
    ["delete", "restore", "hard_delete", "delete_selected", "restore_selected", "hard_delete_selected"],
    indirect=True,
)


@each_act
def test_a_form_of_the_admins_own_by_one_who_may_does_what_it_says(admin_of, act):
    admin_of(everything=True).post(act.url, act.data)

    assert act.is_done()  # else those below would say nothing


@each_act
def test_a_forged_form_is_refused(admin_of, act):
    user = admin_of(everything=True).user
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    assert client.post(act.url, act.data).status_code == 403
    assert not act.is_done()


@each_act
def test_a_link_changes_nothing(admin_of, act):
    path, _, query = act.url.partition("?")
    admin_of(everything=True).get(f"{path}?{urlencode(act.data, doseq=True)}&{query}")

    assert not act.is_done()


@each_act
def test_who_is_not_logged_in_is_sent_to_log_in(act):
    response = Client().post(act.url, act.data)

    assert (response.status_code, response.url.partition("?")[0]) == (302, reverse("admin:login"))
    assert not act.is_done()


@pytest.mark.parametrize("view", ["delete", "restore", "hard_delete", "change", "changelist"])
def test_who_is_not_logged_in_sees_no_page(author, view):
    response = Client().get(url(view, None if view == "changelist" else author))

    assert (response.status_code, response.url.partition("?")[0]) == (302, reverse("admin:login"))


@each_act
def test_what_one_may_not_is_not_done(admin_of, act):
    admin_of("view_author").post(act.url, act.data)

    assert not act.is_done()


@pytest.mark.parametrize("typed", [None, "", "ann", "An", "Ann\0", "%", str(0)])
def test_what_is_not_the_name_deletes_nothing_for_good(admin_of, author, typed):
    data = {"post": "yes"} | ({} if typed is None else {"typed": typed})

    assert admin_of(everything=True).post(url("hard_delete", author), data).status_code == 200
    assert is_there(author)


@pytest.mark.parametrize("query", ["deleted=' OR 1=1 --", "deleted=yes&deleted=all", "is_deleted__exact=x", "o=99.-1'"])
def test_what_stands_in_an_address_is_no_sql(admin_of, author, query):
    response = admin_of(everything=True).get(f"{url('changelist')}?{query}")

    assert response.status_code in {200, 302}
    assert is_there(author)
