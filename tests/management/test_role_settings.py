import subprocess
import sys

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection


def printed(capsys, *arguments, **options):
    call_command("role_settings", *arguments, **options)
    return capsys.readouterr().out.splitlines()


def test_role_settings_prints_sql_for_the_services_role_and_database(capsys, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "USER", 'ti"ckets')
    monkeypatch.setitem(connection.settings_dict, "NAME", "tickets")

    assert printed(capsys, "statement_timeout=30s", "app.motto=it's") == [
        """ALTER ROLE "ti""ckets" IN DATABASE "tickets" SET statement_timeout = '30s';""",
        """ALTER ROLE "ti""ckets" IN DATABASE "tickets" SET app.motto = 'it''s';""",
    ]


def test_role_settings_runs_from_a_shell():
    command = [sys.executable, "-m", "django", "role_settings", "statement_timeout=30s", "--settings", "tests.settings"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert done.stdout.endswith("SET statement_timeout = '30s';\n"), done.stderr


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("statement_timeout", "1234ms", "1234ms"),
        ("search_path", 'pg_catalog, "$user",public', 'pg_catalog, "$user", public'),
    ],
)
def test_the_printed_sql_applies_to_the_roles_next_connection(capsys, name, value, shown):
    (statement,) = printed(capsys, f"{name}={value}")
    default, direct = settings.DATABASES["default"], settings.DATABASES["default"]["DIRECT"]
    login = {"user": default["USER"], "password": default["PASSWORD"], "dbname": connection.settings_dict["NAME"]}
    with psycopg.connect(host=direct["HOST"], port=direct["PORT"], **login, autocommit=True) as first:
        first.execute(statement)
        with psycopg.connect(host=direct["HOST"], port=direct["PORT"], **login) as second:
            seen = second.execute(f"SHOW {name}").fetchone()
        first.execute(f"{statement.partition(' SET ')[0]} RESET {name}")

    assert seen == (shown,)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["statement_timeout"], {}, "'statement_timeout' is no setting: write statement_timeout=30s"),
        (["statement_timeout="], {}, "is no setting"),
        (["a; DROP TABLE x=1"], {}, "is no setting"),
        (
            ["statement_timeout=1"],
            {"database": "nowhere"},
            "--database nowhere: settings.DATABASES has default",
        ),
    ],
)
def test_an_invalid_setting_is_an_error_that_says_what_to_write(arguments, options, message):
    with pytest.raises(CommandError, match=message):
        call_command("role_settings", *arguments, **options)
