"""A service whose pin moves is asked whether it is well, and its pull request told what is new."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.upgrades import repositories
from tests.upgrades.repositories import ROOT, Repository, program

CHANGELOG = """# Changelog

## [Unreleased]

## [0.1.0] - 2026-01-02

### Added

- The first. *Do:* nothing.
"""
NEWER = CHANGELOG.replace(
    "## [Unreleased]\n",
    """## [Unreleased]

## [0.2.0] - 2026-02-03

### Changed

- A ticket is closed
  by its owner. *Do:* look at `close()`.
- A colour.
""",
)
MANAGE = "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
MANAGE += "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
SETTINGS = "SECRET_KEY = 'a'\nINSTALLED_APPS = ['tickets']\nUSE_TZ = True\n"
SETTINGS += "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
MODEL = "from django.db import models\n\nclass Ticket(models.Model):\n    class Meta:\n        app_label = 'tickets'\n"
MIGRATION = """from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Ticket", [("id", models.AutoField(primary_key=True, serialize=False))]),
    ]
"""


@pytest.fixture
def core(tmp_path):
    """The shared core, of which there is a 0.1.0, and an untagged 0.2.0."""
    core = Repository(tmp_path / "core")
    files = {"shared_core/__init__.py": '__version__ = "0.1.0"\n', "CHANGELOG.md": CHANGELOG, "setup.cfg": "a\n"}
    core.commit("0.1.0", files | {".gitignore": "__pycache__/\n"})
    core.git("tag", "v0.1.0")
    return core


@pytest.fixture
def service(core, tmp_path):
    """A service that takes 0.2.0, which is checked out and not committed."""
    service = Repository(tmp_path / "service")
    service.git("submodule", "--quiet", "add", str(core.folder), "services/shared")
    service.commit(
        "A service",
        {
            "src/manage.py": MANAGE,
            "src/settings.py": SETTINGS,
            "src/tickets/__init__.py": "",
            "src/tickets/models.py": MODEL.replace(
                "    class Meta", "    id = models.AutoField(primary_key=True)\n    class Meta"
            ),
            "src/tickets/migrations/__init__.py": "",
            "src/tickets/migrations/0001_initial.py": MIGRATION,
            "src/tickets/tests.py": "from django.test import SimpleTestCase\n\nclass A(SimpleTestCase):\n"
            "    def test_a(self):\n        assert True\n",
        },
    )
    core.commit("0.2.0", {"shared_core/__init__.py": '__version__ = "0.2.0"\n', "CHANGELOG.md": NEWER})
    shared = Repository(service.folder / "services" / "shared")
    shared.git("fetch", "--quiet", "--tags")
    shared.git("checkout", "--quiet", "origin/main")
    return service


def check(service, *arguments, **variables):
    """Run it with a Python that imports the core from the submodule."""
    path = os.pathsep.join([str(service.folder / "services" / "shared"), str(service.folder / "src")])
    options = [] if "--python" in arguments else ["--python", os.sys.executable]
    return program(
        "bump_check.py", str(service.folder), *options, *arguments, cwd=ROOT, **({"PYTHONPATH": path} | variables)
    )


def refuses(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_what_is_well_is_told_with_what_to_do(service):
    done = check(service)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "## shared_core v0.1.0 (" in done.stdout
    assert " to 0.2.0 (" in done.stdout
    assert [line.split("|")[2].strip() for line in done.stdout.splitlines() if line.startswith("| `")] == ["ok"] * 3
    assert "`python src/manage.py test`" in done.stdout
    assert "### To do\n\n- [ ] look at `close()`.\n\n### What is new" in done.stdout
    assert (
        "#### 0.2.0\n\n*Changed*\n\n- A ticket is closed by its owner. *Do:* look at `close()`.\n- A colour."
        in done.stdout
    )
    assert "The first" not in done.stdout
    assert "setup.cfg" not in done.stdout
    assert "manage.py check --database default …" in done.stderr


@pytest.mark.parametrize("base", [[], ["--base", "HEAD~1"]])
def test_the_pull_requests_base_has_the_old_pin(service, base):
    service.git("update-ref", "refs/remotes/origin/main", "HEAD")
    service.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    service.commit("Take it")

    assert "shared_core v0.1.0 (" in check(service, "--tests", "true", *base).stdout


def test_a_missing_migration_fails_and_shows_what_was_said(service):
    service.write(**{"src/tickets/models.py": MODEL + "    name = models.TextField()\n"})
    done = check(service)

    assert done.returncode == 1
    assert "| `python src/manage.py makemigrations --check --dry-run` | FAILED |" in done.stdout
    assert "ended with status 1:\n\n```\n" in done.stdout
    assert "Add field name to ticket" in done.stdout
    assert "test` | ok |" in done.stdout


@pytest.mark.parametrize(
    ("tests", "words"), [("false", "FAILED"), ("no-such-program -x", "cannot be run"), ("true", "ok")]
)
def test_tests_are_what_one_says(service, tests, words):
    done = check(service, "--tests", tests)

    assert done.returncode == (0 if words == "ok" else 1)
    assert f"| `{tests}` |" in done.stdout
    assert words in done.stdout


def test_pytest_runs_them_where_it_is_configured(service):
    service.write(**{"pytest.ini": "[pytest]\npython_files = tests.py\n"})
    # Its plugins are this environment's, and one of them is of the core that is not the submodule's.
    done = check(service, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", DJANGO_SETTINGS_MODULE="settings", PYTEST_ADDOPTS="")

    assert "| `python -m pytest -q` | ok |" in done.stdout, done.stdout


def test_requirements_that_changed_are_told(service, core):
    core.commit("Need more", {"setup.cfg": "b\n"})
    shared = Repository(service.folder / "services" / "shared")
    shared.git("fetch", "--quiet")
    shared.git("checkout", "--quiet", "origin/main")

    assert "`setup.cfg` has changed" in check(service, "--tests", "true").stdout


def test_going_back_tells_what_is_undone(service):
    service.commit("Take it")
    Repository(service.folder / "services" / "shared").git("checkout", "--quiet", "v0.1.0")
    done = check(service, "--tests", "true")

    assert done.returncode == 0, done.stderr
    assert "This goes back." in done.stdout
    assert "### What is undone\n\n#### 0.2.0" in done.stdout
    assert "To do" not in done.stdout


class TestWhatCannotBegin:
    @pytest.mark.parametrize(
        ("name", "words"), [("", "SERVICE=$PWD"), ("/no/such", "there is no folder"), ("{tmp}", "is no git repository")]
    )
    def test_a_folder_that_is_no_service(self, tmp_path, name, words):
        refuses(program("bump_check.py", name.format(tmp=tmp_path), cwd=ROOT), words)

    def test_a_repository_without_the_submodule(self, core):
        refuses(program("bump_check.py", str(core.folder), cwd=ROOT), "has no submodules")

    def test_a_submodule_that_is_not_checked_out(self, service):
        service.git("submodule", "--quiet", "deinit", "--force", "services/shared")

        refuses(check(service), "git submodule update --init")

    def test_a_submodule_with_changes_of_its_own(self, service):
        (service.folder / "services/shared/setup.cfg").write_text("mine")

        refuses(check(service), "services/shared has changes of its own")

    def test_a_pin_that_does_not_move(self, service):
        service.commit("Take it")

        refuses(check(service), "is at", "BASE=HEAD~1")

    def test_a_base_that_is_none(self, service):
        refuses(check(service, "--base", "origin/master"), "origin/master is no commit", "BASE=origin/main")

    def test_a_service_without_manage_py(self, service):
        (service.folder / "src" / "manage.py").unlink()

        refuses(check(service), "has no manage.py")

    def test_a_core_that_is_installed_from_elsewhere(self, service):
        refuses(check(service, PYTHONPATH=str(ROOT)), "is not services/shared", "pip install -e services/shared")

    def test_a_python_that_is_none(self, service):
        refuses(check(service, "--python", "no-such-python"), "PYTHON")


def test_the_workflow_for_services_writes_the_summary_and_fails_with_it(service, tmp_path):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "bump-check.yml").read_text())
    steps = {step.get("name"): step.get("run") for step in workflow["jobs"]["bump-check"]["steps"]}
    shared = Repository(service.folder / "services" / "shared")
    for name in (".ci", "Makefile"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, shared.folder / name)
    shared.commit("0.2.0, with its programs")
    python = service.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    path = f"{shared.folder}:{service.folder / 'src'}"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    environment = repositories.environment() | {
        "BASE": "HEAD",
        "GITHUB_ENV": str(tmp_path / "env"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "PYTHON": sys.executable,
        "RUNNER_TEMP": str(tmp_path),
        "SUBMODULE": workflow[True]["workflow_call"]["inputs"]["submodule"]["default"],  # YAML 1.1 reads "on" as true
        "TESTS": "",
        "VARIABLES": "USER_SERVICE_URL=http://user.test\nOTHER=2",
    }

    def run(name, **changes):
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps[name]]
        return subprocess.run(
            command, cwd=service.folder, env=environment | changes, capture_output=True, text=True, check=False
        )

    assert run("Take over the service's variables").returncode == 0
    well = run("Check")
    told = (tmp_path / "summary").read_text()
    bad = run("Check", TESTS="false")

    assert (tmp_path / "env").read_text() == "USER_SERVICE_URL=http://user.test\nOTHER=2\n"
    assert well.returncode == 0, well.stderr
    assert told.startswith("## shared_core v0.1.0 (")
    assert "look at `close()`" in told
    assert bad.returncode != 0
    assert "`false`" in (tmp_path / "summary").read_text().removeprefix(told)
    assert "`false`" in (tmp_path / "bump-check.md").read_text()
