import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.databases import configuration, get_database_config

VARIABLES = (
    "DATABASE_URL DATABASE_URL_REPORTS DATABASE_URL_REPLICA DB_DIRECT_HOST DB_DIRECT_PORT DB_SSLMODE DB_SSLROOTCERT "
    "DB_SSLCERT DB_SSLKEY DB_POOL_MODE PGBOUNCER_VERSION"
)
BOUNDS = {"connect_timeout": 5, "tcp_user_timeout": 30_000}
PARTS = {"DB_NAME": "tickets", "DB_USER": "ada", "DB_PASSWORD": "p@ss", "DB_HOST": "pooler", "DB_PORT": "6432"}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (*PARTS, *VARIABLES.split()):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_db_variables_make_a_database_for_transaction_pooling(monkeypatch):
    set_all(monkeypatch, PARTS)

    database = get_database_config()["default"]

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("pooler", "6432", "tickets")
    assert (database["USER"], database["PASSWORD"]) == ("ada", "p@ss")
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["OPTIONS"] == {**BOUNDS, "prepare_threshold": None}
    assert "DIRECT" not in database


def test_database_url_is_decoded_and_its_query_becomes_options(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:p%40ss@[::1]:6432/tic%2Fkets?sslmode=require")

    database = get_database_config()["default"]

    assert (database["HOST"], database["PORT"], database["NAME"]) == ("::1", "6432", "tic/kets")
    assert (database["USER"], database["PASSWORD"]) == ("ada", "p@ss")
    assert database["OPTIONS"] == {**BOUNDS, "sslmode": "require", "prepare_threshold": None}


def test_a_url_may_name_a_socket(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///tickets?host=/run/postgresql")

    assert get_database_config()["default"]["HOST"] == "/run/postgresql"


@pytest.mark.parametrize(
    ("url", "user", "password", "host"),
    [
        ("postgres://a%40b:p+%2B@%2Frun%2FPostgreSQL/n", "a@b", "p++", "/run/PostgreSQL"),
        ("postgresql://h:h@h:6432/n", "h", "h", "h"),
        ("postgresql://u:p@[fe80::1]:6432/n", "u", "p", "fe80::1"),
    ],
)
def test_user_password_and_host_of_a_url_are_decoded_once(monkeypatch, url, user, password, host):
    monkeypatch.setenv("DATABASE_URL", f"{url}?application_name=a+b")

    database = get_database_config()["default"]

    assert (database["USER"], database["PASSWORD"], database["HOST"]) == (user, password, host)
    assert database["OPTIONS"]["application_name"] == "a+b"


def test_connection_parts_in_the_query_of_a_url_become_settings(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://?host=/run/p&port=6432&dbname=n&user=u&password=p%26")

    database = get_database_config()["default"]

    found = {part: database[part] for part in ("HOST", "PORT", "NAME", "USER", "PASSWORD")}
    assert found == {"HOST": "/run/p", "PORT": "6432", "NAME": "n", "USER": "u", "PASSWORD": "p&"}
    assert database["OPTIONS"] == {**BOUNDS, "prepare_threshold": None}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:p@h/n?dbname=other&user=v", "has user, dbname both before and in its query"),
        ("postgresql://u:p@h/n?port=abc", "the port of DATABASE_URL='abc' is no port"),
        ("postgresql://u:p@h:0/n", "the port of DATABASE_URL='0' is no port"),
    ],
)
def test_a_duplicate_or_invalid_part_in_the_query_of_a_url_is_named(monkeypatch, url, message):
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ImproperlyConfigured, match=message):
        get_database_config()


def test_spaces_around_a_variable_are_stripped(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_HOST": " pooler ", "DB_PORT": "6432 "})

    assert [get_database_config()["default"][part] for part in ("HOST", "PORT")] == ["pooler", "6432"]


def test_db_direct_variables_become_the_direct_settings(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_DIRECT_HOST": "postgres", "DB_DIRECT_PORT": "5433"})

    assert get_database_config()["default"]["DIRECT"] == {"HOST": "postgres", "PORT": "5433"}


def test_an_empty_password_is_accepted_and_a_missing_one_is_not(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_PASSWORD": ""})
    assert get_database_config()["default"]["PASSWORD"] == ""

    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(ImproperlyConfigured, match="needs DB_PASSWORD"):
        get_database_config()


def test_a_socket_needs_no_password(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_HOST": "/run/postgresql"})
    monkeypatch.delenv("DB_PASSWORD")

    assert get_database_config()["default"]["HOST"] == "/run/postgresql"


def test_every_missing_db_variable_is_named(monkeypatch):
    with pytest.raises(ImproperlyConfigured, match=r"needs DB_NAME, DB_USER, DB_HOST, DB_PASSWORD \(or DATABASE_URL"):
        get_database_config()


def test_database_url_with_db_variables_is_an_error(monkeypatch):
    set_all(monkeypatch, {"DATABASE_URL": "postgresql://h/n", "DB_NAME": "tickets", "DB_PORT": "6432"})

    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL and DB_NAME, DB_PORT are both set"):
        get_database_config()


@pytest.mark.parametrize("port", ["0", "65536", "6432x", "-1", "٦"])
def test_an_invalid_port_is_named(monkeypatch, port):
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
def test_an_invalid_url_is_an_error_without_its_password(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ImproperlyConfigured, match="postgresql://user:password@host:6432/name") as raised:
        get_database_config()

    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_tls_options_come_from_variables_or_the_query_of_the_url(monkeypatch):
    ssl = {"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "/ca.pem", "DB_SSLCERT": "/c.pem", "DB_SSLKEY": "/c.key"}
    set_all(monkeypatch, PARTS | ssl)
    query = "sslmode=verify-full&sslrootcert=%2Fca.pem&sslcert=/c.pem&sslkey=/c.key"
    monkeypatch.setenv("DATABASE_URL_REPORTS", f"postgresql://h/n?{query}")

    databases = get_database_config()

    expected = {"sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/c.pem", "sslkey": "/c.key"}
    assert databases["default"]["OPTIONS"] == {**BOUNDS, **expected, "prepare_threshold": None}
    assert databases["reports"]["OPTIONS"] == databases["default"]["OPTIONS"]


def test_database_url_variables_with_a_suffix_add_databases(monkeypatch, tmp_path):
    set_all(monkeypatch, PARTS | {"DATABASE_URL_REPORTS": "postgresql://ada:x@pooler:6432/reports?connect_timeout=2"})
    (tmp_path / ".env").write_text("DATABASE_URL_REPLICA_EU=postgresql://ada:x@standby:6432/tickets\n")

    databases = get_database_config()

    assert list(databases) == ["default", "replica_eu", "reports"]
    assert databases["reports"]["NAME"] == "reports"
    assert databases["reports"]["OPTIONS"]["connect_timeout"] == "2"
    assert "TEST" not in databases["reports"]
    assert databases["replica_eu"]["HOST"] == "standby"
    assert databases["replica_eu"]["TEST"] == {"MIRROR": "default"}


def test_without_a_pooler_cursors_and_prepared_statements_stay_on(monkeypatch):
    set_all(monkeypatch, PARTS | {"DB_POOL_MODE": "none"})

    database = get_database_config()["default"]

    assert "DISABLE_SERVER_SIDE_CURSORS" not in database
    assert database["OPTIONS"] == {**BOUNDS, "prepare_threshold": 5}
    assert database["CONN_HEALTH_CHECKS"] is True


@pytest.mark.parametrize(
    ("version", "prepares"), [("1.18", False), ("1.20.1", False), ("1.21", True), ("1.24.0", True), ("2.0", True)]
)
def test_statements_are_prepared_from_pgbouncer_1_21(monkeypatch, version, prepares):
    set_all(monkeypatch, PARTS | {"PGBOUNCER_VERSION": version})

    options = get_database_config()["default"]["OPTIONS"]

    assert options["prepare_threshold"] == (5 if prepares else None)
    assert "server_side_binding" not in options


@pytest.mark.parametrize(("text", "options"), [("true", {"server_side_binding": True}), ("False", {}), ("", {})])
def test_db_server_side_binding_sets_djangos_option(monkeypatch, text, options):
    set_all(monkeypatch, PARTS | {"DB_SERVER_SIDE_BINDING": text})

    assert get_database_config()["default"]["OPTIONS"] == {**BOUNDS, "prepare_threshold": None, **options}


def test_psycopg2_gets_only_options_that_it_knows(monkeypatch):
    monkeypatch.setattr(configuration, "find_spec", lambda name: name == "psycopg2" or None)
    set_all(monkeypatch, PARTS)

    assert get_database_config()["default"]["OPTIONS"] == BOUNDS


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DB_SSLMODE": "on"}, "DB_SSLMODE: sslmode='on' is none of disable, allow"),
        ({"DB_POOL_MODE": "session"}, "DB_POOL_MODE='session' is none of transaction, none"),
        ({"DB_SERVER_SIDE_BINDING": "on"}, "DB_SERVER_SIDE_BINDING='on' must be true or false"),
        ({"PGBOUNCER_VERSION": "latest"}, "PGBOUNCER_VERSION='latest' is no version: write one like 1.24"),
        ({"DB_DIRECT_PORT": "5432"}, "DB_DIRECT_PORT is set without DB_DIRECT_HOST"),
        ({"DB_DIRECT_HOST": "h", "DB_DIRECT_PORT": "x"}, "DB_DIRECT_PORT='x' is no port"),
        ({"DATABASE_URL_DEFAULT": "postgresql://h/n"}, "DATABASE_URL_DEFAULT names no further database"),
        ({"DATABASE_URL_REPORTS": "postgresql://u:hunter2@h"}, "DATABASE_URL_REPORTS must name scheme, host"),
        ({"DATABASE_URL_REPORTS": "postgresql://h/n?sslmode=on"}, "DATABASE_URL_REPORTS: sslmode='on' is none of"),
        ({"DATABASE_URL_REPORTS": "postgresql://h/n?sslmod=x&b=y"}, "parameters that libpq does not know: b, sslmod"),
        (
            {"DATABASE_URL_REPORTS": "postgresql://h/n?sslmode"},
            "DATABASE_URL_REPORTS is no URL, .* or its query is none",
        ),
        ({"DATABASE_URL_REPORTS": "postgresql://h:0/n"}, "the port of DATABASE_URL_REPORTS='0' is no port"),
        (
            {"DATABASE_URL_REPORTS": "postgresql://h/n?options=-c%20x%3D1"},
            "options, which PgBouncer refuses at connect",
        ),
    ],
)
def test_an_invalid_variable_is_named_without_a_password(monkeypatch, variables, message):
    set_all(monkeypatch, PARTS | variables)

    with pytest.raises(ImproperlyConfigured, match=message) as raised:
        get_database_config()

    assert "hunter2" not in str(raised.value)


def test_database_url_with_db_sslmode_is_an_error(monkeypatch):
    set_all(monkeypatch, {"DATABASE_URL": "postgresql://h/n", "DB_SSLMODE": "require"})

    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL and DB_SSLMODE are both set"):
        get_database_config()
