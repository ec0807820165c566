import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.databases import get_database_config

PARTS = {"DB_NAME": "tickets", "DB_USER": "ada", "DB_PASSWORD": "p@ss", "DB_HOST": "pooler", "DB_PORT": "6432"}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (*PARTS, "DATABASE_URL", "DB_DIRECT_HOST", "DB_DIRECT_PORT"):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_the_parts_become_a_database_fit_for_transaction_pooling(monkeypatch):
    set_all(monkeypatch, PARTS)

    database = get_database_config()["default"]

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("pooler", "6432", "tickets")
    assert (database["USER"], database["PASSWORD"]) == ("ada", "p@ss")
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["OPTIONS"] == {"prepare_threshold": None}
    assert "DIRECT" not in database


def test_a_url_says_the_same_with_its_percent_signs_decoded_and_its_query_as_options(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:p%40ss@[::1]:6432/tic%2Fkets?sslmode=require")

    database = get_database_config()["default"]

    assert (database["HOST"], database["PORT"], database["NAME"]) == ("::1", "6432", "tic/kets")
    assert (database["USER"], database["PASSWORD"]) == ("ada", "p@ss")
    assert database["OPTIONS"] == {"sslmode": "require", "prepare_threshold": None}


def test_a_url_may_name_a_socket(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///tickets?host=/run/postgresql")

    assert get_database_config()["default"]["HOST"] == "/run/postgresql"


def test_the_way_round_the_pooler_is_kept_beside_it(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_DIRECT_HOST": "postgres", "DB_DIRECT_PORT": "5433"})

    assert get_database_config()["default"]["DIRECT"] == {"HOST": "postgres", "PORT": "5433"}


def test_a_password_may_be_empty_but_not_forgotten(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_PASSWORD": ""})
    assert get_database_config()["default"]["PASSWORD"] == ""

    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(ImproperlyConfigured, match="needs DB_PASSWORD"):
        get_database_config()


def test_a_socket_needs_no_password(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_HOST": "/run/postgresql"})
    monkeypatch.delenv("DB_PASSWORD")

    assert get_database_config()["default"]["HOST"] == "/run/postgresql"


def test_every_missing_part_is_named(monkeypatch):
    with pytest.raises(ImproperlyConfigured, match=r"needs DB_NAME, DB_USER, DB_HOST, DB_PASSWORD \(or DATABASE_URL"):
        get_database_config()


def test_both_ways_at_once_are_an_error_that_names_them(monkeypatch):
    set_all(monkeypatch, {"DATABASE_URL": "postgresql://h/n", "DB_NAME": "tickets", "DB_PORT": "6432"})

    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL and DB_NAME, DB_PORT are both set"):
        get_database_config()


@pytest.mark.parametrize("port", ["0", "65536", "6432x", "-1", "٦"])
def test_a_port_that_is_none_is_named(monkeypatch, port):
    set_all(monkeypatch, PARTS | {"DB_PORT": port})

    with pytest.raises(ImproperlyConfigured, match=r"DB_PORT=.* is no port"):
        get_database_config()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:hunter2@h/n",
        "postgresql://ada:hunter2@/n",
        "postgresql://ada:hunter2@h",
        "postgresql://ada:hunter2@h:x/n",
    ],
)
def test_a_url_that_is_wrong_is_an_error_without_its_password(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ImproperlyConfigured, match="postgresql://user:password@host:6432/name") as raised:
        get_database_config()

    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
