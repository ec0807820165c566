"""A new service, as it is made, and as it runs: real processes on the suite's PostgreSQL and PgBouncer."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import shared_core as package
from shared_core.clients import ClientError, HTTPClient, NotFound
from shared_core.logs import parse_line
from shared_core.origins import setting_of
from tests.services.generated import OWNER, TOKEN, Generated, database, other_service, shared_core

pytestmark = pytest.mark.slow

ROOT = Path(package.__file__).parents[1]
TICKET_SERVICE = ROOT / "tests/services/ticket-service"
# What the example has beside what a service begins with.
ITS_OWN = {
    "services.py",
    "__init__.py",
    "notify_pending.py",
    "0002_comments_of_active_tickets.py",
    "0003_soft_delete_guards.py",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with database() as name, other_service() as users:
        service = Generated.make(tmp_path_factory.mktemp("made"), "ticket", name, USER_SERVICE_URL=users)
        service.manage("migrate", "--verbosity", "0")
        yield service


def files(folder):
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name and "_cache/" not in name}


def text_of(folder):
    return "\n".join((folder / name).read_text() for name in sorted(files(folder)))


class TestGeneratedService:
    def test_a_new_service_has_the_files_of_the_sample_service(self, service):
        examples = {name for name in files(TICKET_SERVICE) if Path(name).name not in ITS_OWN}

        assert examples <= files(service.folder)

    def test_the_tests_of_a_new_service_pass_through_the_pooler(self, service):
        done = service.run("-m", "pytest", "-q", "-p", "no:cacheprovider")

        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout

    def test_a_new_service_passes_the_deployment_checks(self, service):
        said = service.manage(
            "check", "--deploy", "--database", "default", "--fail-level", "WARNING", env=service.production
        )

        assert "System check identified no issues" in said

    def test_a_developers_env_file_does_not_open_production(self, service, tmp_path):
        left = service.folder / "src" / ".env"
        shutil.copy(service.folder / ".env.example", left)
        environment = {name: value for name, value in service.production.items() if name != "ENVIRONMENT"}
        try:
            ask = "from django.conf import settings; print(settings.DEBUG, settings.ALLOWED_HOSTS)"
            done = service.run("src/manage.py", "shell", "-c", ask, env={**environment, "SECRET_KEY": ""})
        finally:
            left.unlink()

        assert "SECRET_KEY is not set" in done.stderr  # which it need not be in development
        assert "**/.env*" in (service.folder / ".dockerignore").read_text().splitlines()

    def test_a_new_service_has_no_missing_migration(self, service):
        assert "No changes detected" in service.manage("makemigrations", "--check")

    @pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
    def test_a_new_service_passes_ruff(self, service, command):
        done = service.run("-m", "ruff", *command, "--no-cache")

        assert done.returncode == 0, done.stdout

    def test_a_new_service_runs_and_answers(self, service, tmp_path):
        with (
            service.serving(tmp_path / "console.log") as url,
            HTTPClient(url, token=TOKEN) as gateway,
            HTTPClient(url, token=False) as stranger,
        ):
            alive, ready = stranger.get_json("/health/"), stranger.get_json("/ready/")
            with pytest.raises(ClientError, match="401"):
                stranger.get("/api/v1/tickets")
            made = gateway.post_json("/api/v1/tickets", {"name": "Printer on fire", "owner_id": OWNER})
            path = f"/api/v1/tickets/{made['id']}"
            listed = gateway.get_json("/api/v1/tickets")
            gateway.delete(path)
            with pytest.raises(NotFound):
                gateway.get(path)
            restored = gateway.post(f"{path}/restore").json()

        assert alive == ready == {"status": "ok"}
        assert [row["id"] for row in listed["results"]] == [made["id"]]
        assert restored == made
        records = [parse_line(line) for line in (tmp_path / "console.log").read_text().splitlines()]
        assert {record["fields"]["service"] for record in records} == {"ticket"}
        (created,) = [record for record in records if record["message"] == "Ticket created"]
        assert created["fields"]["ticket_id"] == made["id"]


class TestOtherNames:
    @pytest.mark.parametrize("name", ["user-api", "user", "client", "page"])
    def test_a_service_of_any_name_passes_its_own_tests(self, tmp_path, name):
        asked = "TEAM" if name == "user" else "USER"
        with database() as its_database:
            url = {f"{asked}_SERVICE_URL": "http://127.0.0.1:9"}
            service = Generated.make(tmp_path, name, its_database, **url)
            done = service.run("-m", "pytest", "-q", "-p", "no:cacheprovider")

        assert done.returncode == 0, done.stdout
        assert "{{" not in text_of(service.folder)
        assert "{%" not in text_of(service.folder)

    def test_a_hyphen_is_an_underscore_in_python_and_in_the_setting(self, tmp_path):
        shared_core("startservice", "user-api", cwd=tmp_path)

        assert (tmp_path / "user-api-service/src/apps/user_apis/models.py").exists()
        assert setting_of("user-api") == "USER_API_SERVICE_URL"

    def test_a_target_folder_may_be_given_and_may_exist_if_empty(self, tmp_path):
        (tmp_path / "somewhere").mkdir()
        done = shared_core("startservice", "ticket", "somewhere", cwd=tmp_path)

        assert done.returncode == 0
        assert "cd somewhere\n    git init\n    git submodule add" in done.stdout
        assert (tmp_path / "somewhere/src/manage.py").exists()
        assert os.access(tmp_path / "somewhere/src/manage.py", os.X_OK)

    def test_startproject_makes_the_same_service_from_the_template(self, tmp_path):
        template = ROOT / "shared_core/scaffold/service_template"
        options = [f"--template={template}", "--extension=py,md,yml", "--name=.env.example", "--exclude=.git"]
        command = [sys.executable, "-m", "django", "startproject", *options, "ticket"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        shared_core("startservice", "ticket", cwd=tmp_path)

        assert text_of(tmp_path / "ticket") == text_of(tmp_path / "ticket-service")


def refused(done, words):
    """Whether the program ended with one line that says what to do."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("startservice: ")
    assert done.stderr.count("\n") == 1
    return words in done.stderr


class TestRefusedArguments:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("Ticket", "small letters"),
            ("1st", "small letters"),
            ("a_b", "small letters"),
            ("a--b", "small letters"),
            ("../x", "small letters"),
            ("", "small letters"),
            ("é", "small letters"),
            ("class", "a word of Python's"),
            ("pas", "or its plural, is a word of Python's"),
            ("email", "a Python module"),
            ("shared-core", "a Python module"),
            ("postgres", "another container"),
            ("user-service", "Leave out -service"),
            ("a" * 31, "too long"),
        ],
    )
    def test_an_invalid_name_is_refused(self, tmp_path, name, words):
        assert refused(shared_core("startservice", name, cwd=tmp_path), words)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_not_empty_is_refused(self, tmp_path):
        (tmp_path / "ticket-service").mkdir()
        (tmp_path / "ticket-service/mine").write_text("mine")

        assert refused(shared_core("startservice", "ticket", cwd=tmp_path), "is no empty folder")
        assert files(tmp_path) == {"ticket-service/mine"}

    def test_a_file_a_symlink_and_the_working_folder_are_refused(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "empty").mkdir()
        (tmp_path / "link").symlink_to("empty")

        assert refused(shared_core("startservice", "ticket", "file", cwd=tmp_path), "is no empty folder")
        assert refused(shared_core("startservice", "ticket", "link", cwd=tmp_path), "is no empty folder")
        assert refused(shared_core("startservice", "ticket", ".", cwd=tmp_path / "empty"), "the folder you are in")

    def test_a_missing_parent_folder_is_refused(self, tmp_path):
        assert refused(shared_core("startservice", "ticket", "no/where", cwd=tmp_path), "make it first")

    def test_an_unwritable_parent_folder_is_refused(self, tmp_path):
        # Root may write everywhere, but not there.
        parent = Path("/proc") if os.geteuid() == 0 else tmp_path / "closed"
        if os.geteuid():
            parent.mkdir(mode=0o555)

        assert refused(shared_core("startservice", "ticket", str(parent / "x"), cwd=tmp_path), "cannot be made")

    def test_a_failed_write_leaves_no_folder(self, tmp_path):
        def as_if_the_disk_were_full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        done = shared_core("startservice", "ticket", cwd=tmp_path, preexec_fn=as_if_the_disk_were_full)

        assert refused(done, "cannot be made (File too large)")
        assert list(tmp_path.iterdir()) == []


class TestCommandLine:
    def test_without_arguments_the_help_is_printed(self, tmp_path):
        done = shared_core(cwd=tmp_path)

        assert done.returncode == 0
        assert "python -m shared_core startservice ticket" in done.stdout

    @pytest.mark.parametrize("command", ["startservice", "doctor", "logs"])
    def test_each_command_has_help_with_examples(self, tmp_path, command):
        done = shared_core(command, "--help", cwd=tmp_path)

        assert done.returncode == 0
        assert done.stdout.count("python -m shared_core") >= 3

    @pytest.mark.parametrize("arguments", [["startservice"], ["startservice", "a", "b", "c"], ["doktor"], ["--what"]])
    def test_a_usage_error_has_status_2(self, tmp_path, arguments):
        done = shared_core(*arguments, cwd=tmp_path)

        assert done.returncode == 2
        assert done.stderr.startswith("usage: python -m shared_core")

    def test_the_logs_command_is_shared_core_logs(self, tmp_path):
        line = "INFO 2025-11-20 10:30:45,123 apps.tickets Ticket opened ticket_id=42\n"
        (tmp_path / "ticket.log").write_text(line)

        assert shared_core("logs", "ticket.log", "--level", "INFO", cwd=tmp_path).stdout == line
        assert shared_core("logs", "ticket.log", "--level", "ERROR", cwd=tmp_path).stdout == ""
