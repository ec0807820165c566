"""A service whose pin moves is asked whether it is well, and its pull request told what is new."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.upgrades import repositories
from tests.upgrades.repositories import ROOT, Repository, program

pytestmark = pytest.mark.slow

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


def test_a_passing_check_reports_what_to_do_and_what_is_new(service):
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
def test_the_old_pin_is_read_from_the_base_branch(service, base):
    service.git("update-ref", "refs/remotes/origin/main", "HEAD")
    service.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    service.commit("Take it")

    assert "shared_core v0.1.0 (" in check(service, "--tests", "true", *base).stdout


def test_a_missing_migration_fails_and_shows_the_output(service):
    service.write(**{"src/tickets/models.py": MODEL + "    name = models.TextField()\n"})
    done = check(service)

    assert done.returncode == 1
    assert "| `python src/manage.py makemigrations --check --dry-run` | FAILED |" in done.stdout
    assert "ended with status 1:\n\n```\n" in done.stdout
    assert "Add field name to ticket" in done.stdout
    assert "test` | ok |" in done.stdout


def test_make_passes_its_variables_on_unchanged(tmp_path):
    given = {"SERVICE": "/a service/it's", "BASE": 'origin/"b"', "TESTS": """pytest -k 'a or b' "c" `d` #e"""}
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\nprintf '%s\\0' "$@"\n""")
    python.chmod(0o755)
    command = ["make", "--no-print-directory", "bump-check", f"PYTHON={python}"]
    command += [f"{name}={value}" for name, value in given.items()]
    done = subprocess.run(command, cwd=ROOT, env=repositories.environment(), capture_output=True, text=True, check=True)

    wanted = [given["SERVICE"], "--base", given["BASE"], "--tests", given["TESTS"]]
    assert done.stdout.split("\0")[:-1] == [".ci/bump_check.py", *wanted]


@pytest.mark.parametrize(
    ("tests", "words"), [("false", "FAILED"), ("no-such-program -x", "cannot be run"), ("true", "ok")]
)
def test_the_tests_option_is_the_command_that_runs(service, tests, words):
    done = check(service, "--tests", tests)

    assert done.returncode == (0 if words == "ok" else 1)
    assert f"| `{tests}` |" in done.stdout
    assert words in done.stdout


def test_tests_run_with_pytest_if_it_is_configured(service):
    service.write(**{"pytest.ini": "[pytest]\npython_files = tests.py\n"})
    # Its plugins are this environment's, and one of them is of the core that is not the submodule's.
    done = check(service, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", DJANGO_SETTINGS_MODULE="settings", PYTEST_ADDOPTS="")

    assert "| `python -m pytest -q` | ok |" in done.stdout, done.stdout


def test_changed_requirements_are_reported(service, core):
    core.commit("Need more", {"setup.cfg": "b\n"})
    shared = Repository(service.folder / "services" / "shared")
    shared.git("fetch", "--quiet")
    shared.git("checkout", "--quiet", "origin/main")

    assert "`setup.cfg` has changed" in check(service, "--tests", "true").stdout


def test_a_downgrade_lists_what_is_undone(service):
    service.commit("Take it")
    Repository(service.folder / "services" / "shared").git("checkout", "--quiet", "v0.1.0")
    done = check(service, "--tests", "true")

    assert done.returncode == 0, done.stderr
    assert "This goes back." in done.stdout
    assert "### What is undone\n\n#### 0.2.0" in done.stdout
    assert "To do" not in done.stdout


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "words"), [("", "SERVICE=$PWD"), ("/no/such", "there is no folder"), ("{tmp}", "is no git repository")]
    )
    def test_a_folder_that_is_no_service_is_refused(self, tmp_path, name, words):
        refuses(program("bump_check.py", name.format(tmp=tmp_path), cwd=ROOT), words)

    def test_a_repository_without_the_submodule_is_refused(self, core):
        refuses(program("bump_check.py", str(core.folder), cwd=ROOT), "has no submodules")

    def test_a_submodule_without_a_path(self, service):
        (service.folder / ".gitmodules").write_text('[submodule "a"]\npath\n')

        refuses(check(service), "0 hold shared_core")

    def test_a_submodule_that_is_not_checked_out_is_refused(self, service):
        service.git("submodule", "--quiet", "deinit", "--force", "services/shared")

        refuses(check(service), "git submodule update --init")

    def test_a_submodule_with_local_changes_is_refused(self, service):
        (service.folder / "services/shared/setup.cfg").write_text("mine")

        refuses(check(service), "services/shared has changes of its own")

    def test_a_pin_that_does_not_move_is_refused(self, service):
        service.commit("Take it")

        refuses(check(service), "is at", "BASE=HEAD~1")

    def test_an_unknown_base_is_refused(self, service):
        refuses(check(service, "--base", "origin/master"), "origin/master is no commit", "BASE=origin/main")

    def test_a_service_without_manage_py_is_refused(self, service):
        (service.folder / "src" / "manage.py").unlink()

        refuses(check(service), "has no manage.py")

    def test_a_core_installed_from_elsewhere_is_refused(self, service):
        refuses(check(service, PYTHONPATH=str(ROOT)), "is not services/shared", "pip install -e services/shared")

    def test_a_python_that_does_not_exist_is_refused(self, service):
        refuses(check(service, "--python", "no-such-python"), "PYTHON")


class Workflow:
    """The workflow for services: its steps are run as GitHub does, with programs of ours in the place of others."""

    def __init__(self, folder, service):
        workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "bump-check.yml").read_text())
        self.inputs = workflow[True]["workflow_call"]["inputs"]  # YAML 1.1 reads "on" as true
        self.jobs = workflow["jobs"]
        steps = [step for job in self.jobs.values() for step in job["steps"]]
        self.steps = {step.get("name") or step["uses"].partition("@")[0]: step for step in steps}
        self.folder, self.service = folder, service
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.program("python", f'exec {shlex.quote(sys.executable)} "$@"')

    def program(self, name, code):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o755)

    def run(self, name, **variables):
        step = self.steps[name]
        assert all(job["defaults"]["run"]["shell"] == "bash" for job in self.jobs.values())
        environment = repositories.environment() | {
            "BASE": "HEAD",
            "GITHUB_ENV": str(self.folder / "env"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_REPOSITORY": "anna/tickets",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.folder),
            "SUBMODULE": self.inputs["submodule"]["default"],
            "TESTS": "",
        }
        # What GitHub fills in is given by the test.
        environment |= {name: value for name, value in step.get("env", {}).items() if "${{" not in value}
        # As GitHub's "shell: bash" does.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(
            command, cwd=self.service, env=environment | variables, capture_output=True, text=True, check=False
        )

    def text(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""


class TestServiceWorkflow:
    @pytest.fixture
    def workflow(self, service, tmp_path):
        shared = Repository(service.folder / "services" / "shared")
        shutil.copytree(ROOT / ".ci", shared.folder / ".ci")
        shared.commit("0.2.0, with its programs")
        python = service.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        path = f"{shared.folder}:{service.folder / 'src'}"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(path)} exec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        return Workflow(tmp_path, service.folder)

    @pytest.fixture
    def bare(self, tmp_path):
        """The workflow, of a service that is not looked at."""
        return Workflow(tmp_path, tmp_path)

    def test_the_services_variables_become_environment_variables(self, bare):
        bare.run("Take over the service's variables", VARIABLES="USER_SERVICE_URL=http://user.test\nOTHER=2")

        assert bare.text("env") == "USER_SERVICE_URL=http://user.test\nOTHER=2\n"

    def test_the_summary_is_written_and_a_failed_check_fails_the_job(self, workflow):
        well = workflow.run("Check")
        told = workflow.text("summary")
        bad = workflow.run("Check", TESTS="false")

        assert well.returncode == 0, well.stderr
        assert told.startswith("## shared_core v0.1.0 (")
        assert "look at `close()`" in told
        assert "makemigrations --check --dry-run …" in well.stdout
        assert bad.returncode == 1
        assert "`false`" in workflow.text("summary").removeprefix(told)
        assert "`false`" in workflow.text("bump-check.md")

    def test_the_summary_says_why_the_check_was_refused(self, workflow):
        done = workflow.run("Check", BASE="origin/none")

        assert done.returncode == 2
        assert workflow.text("summary").startswith("## shared_core is not checked\n\n    bump-check: origin/none is no")
        assert workflow.text("bump-check.md") == workflow.text("summary")

    @pytest.mark.parametrize(
        "tests", ["", "pytest -k 'a or b'", """sh -c "echo '$(touch made)' `touch made` $HOME" #*"""]
    )
    @pytest.mark.parametrize("base", ["", "origin/main", "origin/a$(touch${IFS}made)'b\"c"])
    def test_the_inputs_are_passed_on_unchanged_and_not_run_by_the_shell(self, bare, tests, base):
        bare.program("python", """printf '%s\\0' "$@" >given; echo told""")
        done = bare.run("Check", TESTS=tests, BASE=base)

        assert done.returncode == 0, done.stderr
        wanted = ["services/shared/.ci/bump_check.py", str(bare.service)]
        wanted += ["--base", base] if base else []
        wanted += ["--tests", tests] if tests else []
        assert bare.text("given").split("\0")[:-1] == wanted
        assert not (bare.service / "made").exists()

    def test_the_job_that_runs_a_pull_request_has_only_read_permission(self, bare):
        job = bare.jobs["bump-check"]
        checkout = bare.steps["actions/checkout"]["with"]

        assert job["permissions"] == {"contents": "read"}
        assert "github.token" not in json.dumps([step for step in job["steps"] if "run" in step])
        assert (checkout["persist-credentials"], checkout["fetch-depth"]) == (False, 0)  # nothing later fetches
        assert "git fetch" not in "".join(step.get("run", "") for step in job["steps"])

    def test_the_job_with_write_permission_runs_no_code_of_a_pull_request(self, bare):
        job = bare.jobs["comment"]

        assert job["permissions"] == {"pull-requests": "write"}
        assert [step["name"] for step in job["steps"]] == [COMMENT]  # no checkout, no action, no artifact
        assert "${{" not in job["steps"][0]["run"]

    def test_a_pull_request_from_a_fork_gets_no_comment(self, bare):
        assert "github.event.pull_request.head.repo.full_name == github.repository" in bare.jobs["comment"]["if"]


COMMENT = "Comment on the pull request"
HAND_OVER = "Hand the summary over"
# GitHub's program: its comments are files, and jq is its own part.
GH = """
echo "$@" >>asked
for last; do :; done
case "$*" in
  *" --jq "*) jq -r "$last" comments.json ;;
  *) cp "${last#body=@}" written ;;
esac
"""
BOT = "github-actions[bot]"
REST = "\n(The rest is in the summary of the job.)\n"
MARKER = "<!-- shared_core bump-check -->\n"


def output(text, name):
    """Return an output of a step as GitHub reads GITHUB_OUTPUT; empty where the step wrote none."""
    lines = iter(text.splitlines())
    for line in lines:
        key, _, delimiter = line.partition("<<")
        value = list(itertools.takewhile(lambda line, end=delimiter: line != end, lines))
        if key == name:
            return "\n".join(value)
    return ""


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is what GitHub's program has in it, and is not here")
class TestPullRequestComment:
    @pytest.fixture
    def tell(self, tmp_path):
        workflow = Workflow(tmp_path, tmp_path)
        workflow.program("gh", GH)

        def tell(*comments):
            """Run the step where these (who, what) are below the pull request; return the one call that writes."""
            said = [
                {"id": number, "user": {"login": who}, "body": what} for number, (who, what) in enumerate(comments, 1)
            ]
            (tmp_path / "comments.json").write_text(json.dumps(said))
            handed = workflow.run(HAND_OVER)
            assert handed.returncode == 0, handed.stderr
            done = workflow.run(COMMENT, NUMBER="7", GH_TOKEN="a", SUMMARY=output(workflow.text("output"), "summary"))
            assert done.returncode == 0, done.stderr
            asked, wrote = workflow.text("asked").splitlines()
            assert asked.startswith("api --paginate repos/anna/tickets/issues/7/comments --jq ")
            return wrote.partition(" --field ")[0]

        return tell

    @pytest.mark.parametrize(
        "comments",
        [[], [(BOT, "Another workflow's")], [("mallory", f"{MARKER}mine")], [(BOT, f"It is found by {MARKER}")]],
        ids=["none", "another workflow's", "another's", "about it"],
    )
    def test_a_comment_is_created_if_there_is_none(self, tell, tmp_path, comments):
        (tmp_path / "bump-check.md").write_text("## It is well\n")

        assert tell(*comments) == "api --silent repos/anna/tickets/issues/7/comments"
        assert (tmp_path / "written").read_text() == f"{MARKER}## It is well\n"

    def test_an_existing_comment_is_updated(self, tell, tmp_path):
        (tmp_path / "bump-check.md").write_text("## It is not\n")
        comments = [("anna", "Hm"), (BOT, f"{MARKER}## It is well\n"), (BOT, "Another workflow's")]

        assert tell(*comments) == "api --silent --method PATCH repos/anna/tickets/issues/comments/2"
        assert (tmp_path / "written").read_text() == f"{MARKER}## It is not\n"

    def test_a_long_comment_is_truncated_at_a_line(self, tell, tmp_path):
        (tmp_path / "bump-check.md").write_text(summary := "## It is not\n" + "A line of a long output: ää.\n" * 4000)
        tell()
        written = (tmp_path / "written").read_text()

        head, end = written[: -len(REST)], written[-len(REST) :]
        assert end == REST
        assert f"{MARKER}{summary}".startswith(head)
        assert head.endswith("\n")
        assert 50_000 < len(written) < 65_536

    @pytest.mark.parametrize(
        "summary",
        ["## $(touch made) `touch made` '\"; touch made #", "EOF\nsummary<<EOF\nother=1", "@/etc/passwd", "%s %d \\n"],
    )
    def test_the_summary_is_not_run_by_the_shell(self, tell, tmp_path, summary):
        (tmp_path / "bump-check.md").write_text(f"{summary}\n")
        tell()

        assert (tmp_path / "written").read_text() == f"{MARKER}{summary}\n"
        assert not (tmp_path / "made").exists()

    def test_the_comment_says_that_the_check_did_not_run(self, tell, tmp_path):
        tell((BOT, f"{MARKER}## It is well\n"))

        assert (tmp_path / "written").read_text() == (
            f"{MARKER}## shared_core is not checked\n\nThe job's log says why.\n"
        )
