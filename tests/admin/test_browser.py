"""The admin's pages, as people see them: in a browser, over HTTP, on PostgreSQL through PgBouncer."""

import os
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from selenium.webdriver.common.keys import Keys

from tests.admin import browser as browsers
from tests.library.models import Author, Book, Chapter, Loan

SURE = "Yes, I\N{RIGHT SINGLE QUOTATION MARK}m sure"

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    programs = browsers.programs()
    kept = os.environ.get("SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    browser = browsers.Browser(programs, tmp_path_factory.mktemp("profile"), folder)
    yield browser
    browser.driver.quit()


@pytest.fixture
def server(transactional_db):
    """Serve on the settings of this folder; pytest-django's own server is made before they are in force."""
    server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def browser(window, server):
    """A browser in which a superuser is logged in."""
    User.objects.create_superuser("ann", password="of the tests")
    window.url = server.url
    window.look()
    window.log_in("ann", "of the tests")
    return window


@pytest.fixture
def author():
    """An author of two books with twelve chapters, and a book that she translated."""
    author = Author.objects.create(name="Ursula K. Le Guin")
    for title in ("A Wizard of Earthsea", "The Dispossessed"):
        book = Book.objects.create(author=author, title=title)
        Chapter.objects.bulk_create(Chapter(book=book, title=f"Chapter {number}") for number in range(1, 7))
    other = Author.objects.create(name="Lao Tzu")
    Book.objects.create(author=other, translator=author, title="Tao Te Ching")
    return author


def test_a_row_is_deleted_found_again_and_restored(browser, author):
    browser.open(f"/admin/library/author/{author.pk}/change/")
    browser.press("Delete")
    browser.keep("delete")
    asked = browser.text()

    assert "This can be undone" in asked
    assert "2 books (author): A Wizard of Earthsea, The Dispossessed" in asked
    assert "12 chapters: " in asked
    assert "and 7 more" in asked
    assert "1 book (translator) kept: Tao Te Ching" in asked

    browser.press(SURE)

    assert "was deleted successfully" in browser.text("ul.messagelist")
    assert [link.text for link in browser.all("#result_list tbody th a")] == ["Lao Tzu"]

    browser.press("Deleted")
    browser.keep("deleted-list")

    assert [link.text for link in browser.all("#result_list tbody th a")] == ["Ursula K. Le Guin"]
    assert browser.text("#result_list .soft-deleted")

    browser.press("All")
    browser.keep("all-list")

    assert len(browser.all("#result_list tbody tr")) == 2

    browser.press("Ursula K. Le Guin")
    browser.keep("deleted-row")

    assert "Deleted: " in browser.text(".soft-delete-note")
    assert not browser.all("input[name=name], input[name=_save]")

    browser.press("Restore")
    browser.keep("restore")

    assert "2 books" in browser.text()
    assert "12 chapters" in browser.text()

    browser.press("Restore")
    browser.keep("restored")

    assert "Restored author “Ursula K. Le Guin”, with 2 books and 12 chapters." in browser.text("ul.messagelist")
    assert browser.one("input[name=name]").get_attribute("value") == "Ursula K. Le Guin"
    assert Chapter.objects.count() == 12

    browser.press("History")
    browser.keep("history")

    assert "Restored." in browser.text()
    assert "Deleted; can be restored." in browser.text()


def test_a_protected_row_is_reported_and_cannot_be_deleted(browser, author):
    Loan.objects.create(book=author.books.first())
    browser.open(f"/admin/library/author/{author.pk}/delete/")
    browser.keep("protected")

    assert "cannot be deleted" in browser.text()
    assert "1 loan protected" in browser.text()
    assert not browser.all(f"input[type=submit][value='{SURE}']")


def test_a_row_is_hard_deleted_only_after_its_name_is_typed(browser, author):
    author.delete()
    browser.open(f"/admin/library/author/{author.pk}/change/")
    browser.press("Delete permanently")
    browser.type("typed", "Ursula")
    browser.press("Delete permanently")
    browser.keep("mistyped")

    assert "Nothing was deleted" in browser.text(".errornote")
    assert browser.driver.switch_to.active_element.get_attribute("name") == "typed"
    assert Author.all_objects.filter(pk=author.pk).exists()

    browser.type("typed", "Ursula K. Le Guin")
    browser.press("Delete permanently")

    assert "Deleted author “Ursula K. Le Guin” permanently" in browser.text("ul.messagelist")
    assert not Author.all_objects.filter(pk=author.pk).exists()
    assert LogEntry.objects.latest("pk").change_message == "Deleted permanently."


def test_actions_ask_for_confirmation(browser, author):
    browser.open("/admin/library/book/")
    browser.act("Delete selected books")
    browser.keep("delete-selected")
    browser.press(SURE)
    browser.press("Deleted")
    browser.act("Restore selected books")
    browser.keep("restore-selected")
    browser.press("Restore")

    assert "Restored 3 books, with 12 chapters." in browser.text("ul.messagelist")

    browser.press("Active")
    browser.act("Delete selected books")
    browser.press(SURE)
    browser.press("Deleted")
    browser.act("Delete selected books permanently")
    browser.type("typed", "3 books")
    browser.press("Delete permanently")

    assert "Deleted 3 books permanently, with 12 chapters." in browser.text("ul.messagelist")


def test_a_row_whose_parent_is_deleted_says_what_to_restore_first(browser, author):
    book = author.books.first()
    book.delete()
    author.delete()
    browser.open(f"/admin/library/book/{book.pk}/restore/")
    browser.keep("parent-deleted")

    assert "Restore this first: author “Ursula K. Le Guin”" in browser.text(".errornote")

    browser.press("Ursula K. Le Guin")
    browser.press("Restore")
    browser.press("Restore")
    browser.open(f"/admin/library/book/{book.pk}/restore/")
    browser.press("Restore")

    assert "Restored book" in browser.text("ul.messagelist")


def test_search_finds_deleted_rows_only_if_the_filter_shows_them(browser, author):
    author.delete()
    browser.open("/admin/library/author/?deleted=yes&q=guin")

    assert len(browser.all("#result_list tbody tr")) == 1

    browser.open("/admin/library/author/?q=guin")

    assert not browser.all("#result_list tbody tr")


def test_choices_offer_active_rows(browser, author):
    Author.objects.create(name="Ursula Deleted").delete()
    browser.open("/admin/library/book/add/")
    browser.one(".field-author .select2-selection").click()
    browser.one(".select2-search__field").send_keys("Ursula")
    browser.eventually(".select2-results__option", ["Ursula K. Le Guin"])


def test_a_hard_delete_needs_no_mouse(browser, author):
    author.delete()
    browser.open(f"/admin/library/author/{author.pk}/hard-delete/")
    field = browser.one("#typed")
    assert field.accessible_name == "Type “Ursula K. Le Guin” to confirm:"

    field.send_keys("Ursula K. Le Guin", Keys.TAB)
    button = browser.driver.switch_to.active_element
    assert button.accessible_name == "Delete permanently"

    button.send_keys(Keys.ENTER)
    browser.eventually(
        "ul.messagelist .success", ["Deleted author “Ursula K. Le Guin” permanently, with 2 books and 12 chapters."]
    )

    assert not Author.all_objects.filter(pk=author.pk).exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_themes(browser, author, scheme):
    Loan.objects.create(book=Book.objects.create(author=author, title="Lent"))
    gone = Author.objects.create(name="Gone")
    gone.delete()
    browser.look(scheme=scheme)
    pages = {
        "list": "?deleted=all",
        "delete": f"{author.pk}/delete/",
        "row": f"{gone.pk}/change/",
        "restore": f"{gone.pk}/restore/",
        "hard-delete": f"{gone.pk}/hard-delete/",
    }
    for name, path in pages.items():
        browser.open(f"/admin/library/author/{path}")
        browser.keep(f"{scheme}-{name}")
        ours = browser.all("[class^=soft-delete], .soft-deleted, .soft-delete-step #content :is(p, input, a)")

        assert ours
        assert all(browser.contrast(one) >= 4.5 for one in ours if one.text), path


@pytest.mark.parametrize("language", ["en", "he"])
def test_pages_fit_a_small_screen_in_both_directions(browser, author, language, settings):
    browser.driver.add_cookie({"name": settings.LANGUAGE_COOKIE_NAME, "value": language})
    browser.look(width=360, height=740)
    author.name = "a name that is longer than a small screen is wide, and goes on for a while after that"
    author.save()
    author.books.update(title="a_title_without_a_single_space_in_it_that_is_too_long_for_a_small_screen")
    for page in ["delete", "change", "restore", "hard-delete"]:
        if page == "change":
            author.delete()
        browser.open(f"/admin/library/author/{author.pk}/{page}/")
        browser.keep(f"small-{language}-{page}")

        assert browser.one("html").get_attribute("dir") == ("rtl" if language == "he" else "ltr")
        assert not browser.is_too_wide(), page
