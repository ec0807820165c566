"""The doctor's page, of a service that is well and of one that is not."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared_core.doctor.lines import Line, sanitize
from shared_core.doctor.surroundings import VARIABLES, display_value
from tests.services.generated import Generated, database, other_service, shared_core
from tests.stack.servers import free_port
from tests.terminal import on_a_terminal

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with database() as name, other_service() as users:
        service = Generated.make(tmp_path_factory.mktemp("made"), "ticket", name, USER_SERVICE_URL=users)
        service.manage("migrate", "--verbosity", "0")
        yield service


@pytest.fixture
def silence():
    """A port where connections are accepted and nobody ever answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield str(server.getsockname()[1])


def doctor(folder, environment, **changes):
    """Return the status and the lines of the page, which took no longer than it may."""
    began = time.monotonic()
    done = shared_core("doctor", cwd=folder, env={**environment, **changes})

    assert time.monotonic() - began < 12
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok|warn|FAIL) +[a-z:]+ +\S", line) for line in lines)
    return done.returncode, lines


def of(lines, mark, topic):
    return [line for line in lines if line.startswith(f"{mark:<6}{topic}")]


def fails(page, topic, *words):
    """Whether the page has just one line that fails, apart from its last, and it says these words."""
    status, lines = page
    failed = of(lines, "FAIL", "")
    assert status == 1
    assert [line[6:].split()[0] for line in failed] == [topic, "doctor"]
    assert failed[-1].endswith("failures: 1")
    return all(word in failed[0] for word in words)


class TestHealthyService:
    def test_a_healthy_service_has_no_failure(self, service):
        status, lines = doctor(service.folder, service.environment)

        assert status == 0
        assert of(lines, "ok", "") == lines
        assert lines[-1] == "ok    doctor      nothing fails"

    def test_the_report_shows_versions_variables_and_services(self, service):
        _, lines = doctor(service.folder, service.environment)
        page = "\n".join(lines)

        for said in ("Python 3", "Django ", "shared_core ", "requests ", "urllib3 ", "psycopg 3", "libpq "):
            assert said in of(lines, "ok", "versions")[0]
        assert f"DB_NAME={service.environment['DB_NAME']} (environment)" in page
        assert "PostgreSQL 16" in page
        assert "PgBouncer 1." in page
        assert "pool mode transaction is configured, and was measured: clients share server connections" in page
        assert "all migrations are applied" in page
        assert "user at http://127.0.0.1:" in page
        assert "manage.py check --database default finds nothing" in page

    def test_the_service_is_found_from_its_source_folder(self, service):
        assert doctor(service.folder / "src", service.environment)[0] == 0

    def test_production_settings_run_the_deployment_checks(self, service):
        status, lines = doctor(service.folder, service.production)

        assert status == 0
        assert of(lines, "ok", "checks")[0].endswith("manage.py check --deploy --database default finds nothing")

    def test_the_env_file_is_read_and_named(self, service, tmp_path):
        environment = dict(service.environment)
        name, password = environment.pop("DB_NAME"), environment.pop("DB_PASSWORD")
        file = service.folder / ".env"
        file.write_text(f"DB_NAME={name}\nDB_PASSWORD={password}\n")
        try:
            status, lines = doctor(service.folder, environment)
        finally:
            file.unlink()

        assert status == 0
        assert f"ok    variables   DB_NAME={name} (.env)" in lines
        assert "ok    variables   DB_PASSWORD=*** (.env)" in lines
        assert f"{file} is read" in lines[1]

    def test_an_ascii_terminal_gets_replacement_characters(self, service):
        status, lines = doctor(
            service.folder, service.environment, PYTHONIOENCODING="ascii", SERVICE_NAME="t\u00efcket"
        )

        assert status == 0
        assert "ok    variables   SERVICE_NAME=t?cket (environment)" in lines

    def test_a_closed_pipe_is_no_error(self, service):
        command = f"set -o pipefail; {sys.executable} -m shared_core doctor | head -1"
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            cwd=service.folder,
            env=service.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

        assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")

    def test_colours_are_written_only_to_a_terminal_without_no_color(self, service):
        assert "\x1b[32mok" in seen(service)
        assert "\x1b" not in seen(service, NO_COLOR="1")


def seen(service, **changes):
    command, environment = [sys.executable, "-m", "shared_core", "doctor"], {**service.environment, **changes}
    status, page = on_a_terminal(command, ["stdout"], cwd=service.folder, env=environment)
    assert status == 0
    return page


class TestFailures:
    def test_a_database_that_is_down_fails(self, service):
        page = doctor(service.folder, service.environment, DB_PORT=str(free_port()))

        assert fails(page, "database", "Connection refused", "Look at HOST, PORT")
        assert of(page[1], "ok", "services")
        assert of(page[1], "ok", "checks")

    def test_a_pooler_that_never_answers_fails(self, service, silence):
        page = doctor(service.folder, service.environment, DB_HOST="127.0.0.1", DB_PORT=silence)

        assert fails(page, "database", "Look at HOST, PORT")
        assert of(page[1], "ok", "checks")

    def test_a_missing_database_or_a_wrong_password_fails(self, service):
        for change in ({"DB_NAME": "no_such_database"}, {"DB_PASSWORD": "not-the-password"}):
            assert fails(doctor(service.folder, service.environment, **change), "database", "Look at HOST, PORT")

    def test_unapplied_migrations_fail(self, service):
        page = doctor(service.folder, service.environment, DB_NAME=os.environ["DB_NAME"])

        assert fails(page, "database", "1 not applied: tickets.0001_initial. Run python manage.py migrate")

    def test_an_unexpected_pooler_fails(self, service):
        page = doctor(service.folder, service.environment, DB_POOL_MODE="none")

        assert fails(page, "database", "clients share server connections. Write DB_POOL_MODE=transaction")

    def test_a_missing_pooler_is_a_warning(self, service):
        direct = os.environ["DB_DIRECT_PORT"]
        status, lines = doctor(
            service.folder, service.environment, DB_PORT=direct, DB_HOST=os.environ["DB_DIRECT_HOST"]
        )

        assert status == 0
        assert "each client keeps a server connection" in of(lines, "warn", "database")[0]

    def test_a_called_service_that_is_down_fails(self, service):
        url = f"http://127.0.0.1:{free_port()}"
        page = doctor(service.folder, service.environment, USER_SERVICE_URL=url)

        assert fails(page, "services", f"user at {url}: ", "Start it, or correct USER_SERVICE_URL")

    def test_a_called_service_that_never_answers_fails(self, service, silence):
        page = doctor(service.folder, service.environment, USER_SERVICE_URL=f"http://127.0.0.1:{silence}")

        assert fails(page, "services", "the deadline of 3 s has passed")

    def test_a_url_that_answers_but_has_no_probe_is_a_warning(self, service):
        elsewhere = f"{service.environment['USER_SERVICE_URL']}/elsewhere"
        status, lines = doctor(service.folder, service.environment, USER_SERVICE_URL=elsewhere)

        assert status == 0
        assert "answers 404 to /health/" in of(lines, "warn", "services")[0]

    def test_an_error_of_a_system_check_fails(self, service):
        wrong = "from core.settings.dev import *\nDATABASES['default']['DISABLE_SERVER_SIDE_CURSORS'] = False\n"
        (service.folder / "src/core/settings/wrong.py").write_text(wrong)
        page = doctor(service.folder, service.environment, DJANGO_SETTINGS_MODULE="core.settings.wrong")

        assert fails(page, "checks", "shared_core.E001", 'DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True')

    def test_the_hint_of_a_check_is_shown_in_full(self, service):
        status, lines = doctor(service.folder, service.environment, SERVICE_ACCEPTED_TOKENS="")

        assert status == 0
        assert "shared_core.W206" in of(lines, "warn", "checks")[0]
        assert "`SERVICE_ACCEPTED_TOKENS = accepted_tokens()`" in of(lines, "warn", "checks")[0]


class TestUnusableSettings:
    def test_a_missing_secret_key_in_production_fails(self, service):
        page = doctor(service.folder, service.production, SECRET_KEY="")

        assert fails(page, "settings", "SECRET_KEY is not set", "Make one: python -c")
        assert "PostgreSQL 16" in of(page[1], "ok", "database")[0]
        assert of(page[1], "ok", "services")
        assert of(page[1], "warn", "checks")

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("this is no Python", ["SyntaxError", "broken.py"]),
            ("import no_such_module", ["No module named 'no_such_module'", "broken.py, line 1"]),
            ("import sys; sys.exit('enough')", ["SystemExit: enough"]),
            ("from core.settings.dev import *\nINSTALLED_APPS = ['apps.missing']", ["No module named 'apps.missing'"]),
        ],
    )
    def test_a_settings_module_that_cannot_be_imported_fails(self, service, source, words):
        (service.folder / "src/core/settings/broken.py").write_text(source)
        page = doctor(service.folder, service.environment, DJANGO_SETTINGS_MODULE="core.settings.broken")

        assert fails(page, "settings", "core.settings.broken cannot be used", *words)
        assert "PostgreSQL 16" in of(page[1], "ok", "database")[0]

    def test_missing_database_variables_fail(self, service):
        environment = {name: value for name, value in service.environment.items() if not name.startswith("DB_")}
        status, lines = doctor(service.folder, environment)

        assert status == 1
        assert len(of(lines, "FAIL", "settings")) == len(of(lines, "FAIL", "database")) == 1
        assert "DB_NAME, DB_USER, DB_HOST" in of(lines, "FAIL", "settings")[0]

    def test_a_folder_without_manage_py_fails(self, service, tmp_path):
        assert fails(doctor(tmp_path, service.environment), "settings", "no manage.py here, nor in src")

    def test_a_manage_py_without_a_settings_module_fails(self, service, tmp_path):
        (tmp_path / "manage.py").write_text("")

        assert fails(doctor(tmp_path, service.environment), "settings", "Set DJANGO_SETTINGS_MODULE=")

    def test_a_deleted_working_folder_fails(self, service, tmp_path):
        folder = tmp_path / "gone"
        folder.mkdir()
        command = f"cd {folder} && rmdir {folder} && exec {sys.executable} -m shared_core doctor"
        done = subprocess.run(
            ["sh", "-c", command], env=service.environment, capture_output=True, text=True, check=False, timeout=60
        )

        assert done.returncode == 1
        assert done.stderr == ""
        assert "this folder cannot be read" in done.stdout.splitlines()[-1]

    def test_an_unreadable_env_file_fails(self, service):
        file = service.folder / "src/.env"
        file.write_bytes(b"A=\xff\n")
        try:
            status, lines = doctor(service.folder, service.environment)
        finally:
            file.unlink()

        assert status == 1
        assert f"{file} cannot be read" in of(lines, "FAIL", "variables")[0]
        assert of(lines, "ok", "services")


class TestSecrets:
    SECRET = "hunter2-hunter2-hunter2"

    @pytest.mark.parametrize(
        "changes",
        [
            {"SECRET_KEY": SECRET, "SERVICE_AUTH_TOKEN": SECRET, "SERVICE_ACCEPTED_TOKENS": f"gateway={SECRET}"},
            {"SERVICE_ACCEPTED_TOKENS": SECRET},
            {"DB_PASSWORD": SECRET},
            {"DB_NAME": "", "DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/x", "DB_HOST": ""},
            {"USER_SERVICE_URL": f"http://u:{SECRET}@127.0.0.1:1"},
            {"CACHE_URL": f"redis://:{SECRET}@127.0.0.1:1/0"},
            {"CACHE_URL": f"nonsense://:{SECRET}@/"},
            {"DJANGO_SETTINGS_MODULE": "core.settings.telling", "SECRET_KEY": SECRET},
        ],
    )
    def test_secrets_are_never_printed(self, service, changes):
        telling = "import os\nraise RuntimeError('it is ' + os.environ['SECRET_KEY'])\n"
        (service.folder / "src/core/settings/telling.py").write_text(telling)
        _, lines = doctor(service.folder, service.environment, **changes)

        assert self.SECRET not in "\n".join(lines)
        assert "***" in "\n".join(lines)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://u:hunter2@host/db",
            "postgresql://u:hun/ter2@host/db",
            "postgresql://u:hun#ter2@host/db",
            "postgresql://u:hun?ter2@host/db",
            "postgresql://u:h@hun/ter2@host/db",
            "postgresql://u:hunter2",
            "postgresql:u:hunter2@host",
            "postgresql://[hunter2",
            "postgresql://host/db?password=hunter2",
            "postgresql://u%3Ahunter2%40host/db",
        ],
    )
    def test_a_url_of_any_form_is_shown_without_its_password(self, url):
        assert "ter2" not in display_value("DATABASE_URL", url)

    def test_a_host_variable_that_contains_a_password_is_not_shown(self):
        assert "hunter2" not in display_value("DB_HOST", "u:hunter2@host")
        assert display_value("DB_HOST", "pgbouncer") == "pgbouncer"

    def test_a_url_without_a_password_is_shown(self):
        assert display_value("USER_SERVICE_URL", "http://user:8000/base") == "http://user:8000/base"
        assert display_value("DATABASE_URL", "postgresql://u:p@host:6432/db") == "postgresql://host:6432/db"

    def test_messages_of_other_programs_are_shown_without_secrets(self, monkeypatch):
        secret = secrets.token_urlsafe(20)
        monkeypatch.setenv("SOME_API_KEY", secret)

        assert sanitize(f"refused: {secret}\nhere") == "refused: *** here"

    @pytest.mark.parametrize("mark", ["/", "?", "#"])
    def test_nor_does_a_parser_tell_the_part_of_a_password_that_it_takes_for_a_port(self, mark, monkeypatch):
        secret = secrets.token_hex(20)
        monkeypatch.setenv("BROKER_URL", f"amqp://hdms:{secret}{mark}x@broker:5672")
        with pytest.raises(ValueError, match="Port could not be cast") as raised:
            print(urlsplit(os.environ["BROKER_URL"]).port)

        assert secret in str(raised.value)
        assert secret not in sanitize(raised.value)

    def test_a_line_has_no_line_break_or_control_character(self):
        assert Line("ok", "services", "one\n two\x1b[2J").as_text() == "ok    services    one two?[2J"


def test_the_doctor_checks_every_variable_of_the_settings_page():
    table = PAGE.read_text().partition("| variable |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([A-Z_]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:])))

    assert "DB_HOST" in named
    assert named <= set(VARIABLES)


def test_a_usage_error_has_status_2(tmp_path):
    assert shared_core("doctor", "--what", cwd=tmp_path).returncode == 2
