"""Names from outside that come near SQL: of fields, settings, locks, models and databases."""

import pytest
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from shared_core.databases import advisory_lock, local_settings
from tests.library.models import Author

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = [
    "name'; DROP TABLE library_author; --",
    'name"; DROP TABLE library_author; --',
    "name) OR 1=1 --",
    "name\0",
    "deleted_at = NULL, is_deleted",
    "name::text",
]


@pytest.fixture(autouse=True)
def author(db):
    """A row that must survive."""
    author = Author.objects.create(name="Ann")
    yield author
    assert list(Author.all_objects.values_list("name", "is_deleted")) == [("Ann", False)]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("manager", ["objects", "all_objects"])
def test_a_field_that_is_none_is_an_error_of_djangos(manager, name):
    rows = getattr(Author, manager)
    for ask in (
        lambda: rows.filter(**{name: 1}),
        lambda: rows.order_by(name).first(),
        lambda: list(rows.values(name)),
        lambda: list(rows.only(name)),
        lambda: rows.update(**{name: 1}),
    ):
        with pytest.raises((FieldError, FieldDoesNotExist, ValueError)):
            ask()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_value_is_no_sql(name, author):
    assert not Author.all_objects.filter(name=name.replace("\0", "")).exists()
    assert Author.objects.filter(name=name.replace("\0", "")).delete() == (0, {})


@pytest.mark.parametrize("name", [*HOSTILE, "statement_timeout = 0; --", "", "a.b.c", "search_path', 'x", "é"])
def test_a_setting_that_is_none_is_refused_before_the_database_is_asked(name):
    with pytest.raises(ValueError, match="is no setting"), local_settings(**{name: 1}):
        pass


@pytest.mark.parametrize("value", ["1; DROP TABLE library_author", "1'; --", "0) --"])
def test_what_a_setting_is_set_to_is_a_value(value):
    with pytest.raises(DatabaseError), local_settings(statement_timeout=value):
        pass


@pytest.mark.parametrize("key", HOSTILE)
def test_a_lock_of_any_name_is_a_lock(key):
    with advisory_lock(key):
        pass


@pytest.mark.parametrize("label", [*HOSTILE, "library.Author; --", "library", ""])
def test_a_model_that_is_none_is_not_purged(label):
    with pytest.raises(CommandError):
        call_command("purge_deleted", "--older-than", "1d", "--model", label)


@pytest.mark.parametrize("moment", ["1d'; --", "1d OR 1=1", "-1d", "9" * 400 + "d", "2026-01-01'"])
def test_a_time_that_is_none_purges_nothing(moment):
    with pytest.raises(CommandError):
        call_command("purge_deleted", "--older-than", moment)
