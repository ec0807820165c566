"""Replicas that migrate at once: processes, through a real pooler, on a database that is theirs."""

import io
import os
import re
import signal
import subprocess
import sys
import time
import uuid

import psycopg
import pytest
from django.conf import settings

from shared_core.management.commands.migrate import Command
from tests.terminal import Terminal

pytestmark = pytest.mark.slow

SETTINGS = """
from shared_core.databases import get_database_config
INSTALLED_APPS = {apps}
DATABASES = get_database_config()
SECRET_KEY = "of this suite alone, and in no other place"
USE_TZ = True
"""
FIRST = """
import os, time
from django.db import migrations, models

def take_time(apps, schema_editor):
    print("first migration runs", flush=True)
    time.sleep(2)
    while os.path.exists("hold"):
        time.sleep(0.05)

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Shelf", [("id", models.AutoField(primary_key=True)), ("name", models.TextField())]),
        migrations.RunPython(take_time),
    ]
"""
SECOND = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

def add(apps, schema_editor):
    apps.get_model("shelves", "Shelf").objects.create(name="added by a migration")

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shelves", "0001_first")]
    operations = [
        AddIndexConcurrently("Shelf", models.Index(fields=["name"], name="shelves_name")),
        migrations.RunPython(add),
    ]
"""


@pytest.fixture
def database():
    """The name of an empty database."""
    name = f"migrating_{uuid.uuid4().hex[:8]}"
    with connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield name
    with connect("postgres") as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def connect(name):
    """Connect round the pooler."""
    default = settings.DATABASES["default"]
    direct = default["DIRECT"]
    return psycopg.connect(
        host=direct["HOST"],
        port=direct["PORT"],
        user=default["USER"],
        password=default["PASSWORD"],
        dbname=name,
        autocommit=True,
    )


class Project:
    """A service with two migrations.

    The first takes two seconds, and goes on while there is a file `hold`; the second builds an index concurrently.
    """

    def __init__(self, folder, database):
        self.folder, self.processes = folder, []
        self.write("shelves/__init__.py", "")
        self.write("shelves/migrations/__init__.py", "")
        self.write("shelves/migrations/0001_first.py", FIRST)
        self.write("shelves/migrations/0002_second.py", SECOND)
        self.write("ours.py", SETTINGS.format(apps=["shared_core", "shelves"]))
        self.write("plain.py", SETTINGS.format(apps=["shelves"]))
        default = settings.DATABASES["default"]
        self.environment = os.environ | {
            "DB_HOST": default["HOST"],
            "DB_PORT": default["PORT"],
            "DB_USER": default["USER"],
            "DB_PASSWORD": default["PASSWORD"],
            "DB_NAME": database,
            "DB_DIRECT_HOST": default["DIRECT"]["HOST"],
            "DB_DIRECT_PORT": default["DIRECT"]["PORT"],
            "PYTHONPATH": str(folder),
        }

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, *options, using="ours", without=()):
        """Start ``migrate``."""
        environment = {name: value for name, value in self.environment.items() if name not in without}
        command = [sys.executable, "-m", "django", "migrate", "--settings", using, *options]
        process = subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def wait_for_first(self, *options):
        """Start ``migrate``, and return its process once it is in the midst of it."""
        process = self.start(*options)
        for line in process.stdout:
            if "first migration runs" in line:
                return process
        pytest.fail(process.stderr.read())


@pytest.fixture
def project(tmp_path, database):
    project = Project(tmp_path, database)
    yield project
    for process in project.processes:
        process.kill()
        process.communicate()


def ends(processes):
    """Return what each said, and its status."""
    said = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    return [out for out, _, _ in said], [error for _, error, _ in said], [status for _, _, status in said]


def rows(database):
    with connect(database) as connection:
        migrations = connection.execute("SELECT name FROM django_migrations ORDER BY id").fetchall()
        shelves = connection.execute("SELECT count(*) FROM shelves_shelf").fetchone()
    return [name for (name,) in migrations], shelves[0]


def test_djangos_migrate_crashes_if_three_processes_run_it_at_once(project, database):
    _, _, statuses = ends([project.start(using="plain") for _ in range(3)])

    assert 1 in statuses


@pytest.mark.parametrize("way", ["round the pooler", "through the pooler"])
def test_of_three_processes_one_migrates_and_the_others_wait(project, database, way):
    without = ["DB_DIRECT_HOST", "DB_DIRECT_PORT"] if way == "through the pooler" else []
    said, errors, statuses = ends([project.start(without=without) for _ in range(3)])

    assert statuses == [0, 0, 0], errors
    assert sum("first migration runs" in out for out in said) == 1
    assert sum("No migrations to apply" in out for out in said) == 2
    assert rows(database) == (["0001_first", "0002_second"], 1)
    waiting = (
        r"Another process \((server process \d+|just ended)\) is migrating this database: waiting for it, 0 s of 600 s"
    )
    assert sum(bool(re.search(waiting, error)) for error in errors) == 2


def test_a_waiting_process_migrates_if_the_first_is_killed(project, database):
    first = project.wait_for_first()
    second = project.start()
    time.sleep(1)
    first.send_signal(signal.SIGKILL)

    _, errors, statuses = ends([second])

    assert statuses == [0], errors
    assert rows(database) == (["0001_first", "0002_second"], 1)


def test_a_lock_timeout_names_the_lock_holder_and_changes_nothing(project):
    project.write("hold", "")
    first = project.wait_for_first()

    _, errors, statuses = ends([project.start("--lock-timeout", "0.2")])
    (project.folder / "hold").unlink()

    assert statuses == [1]
    assert re.search(r"Another process \(server process \d+\) has been migrating .* nothing was done here", errors[0])
    assert "Traceback" not in errors[0]
    assert ends([first])[2] == [0]


def test_ctrl_c_ends_the_waiting_and_a_migration_without_a_traceback(project, database):
    project.write("hold", "")
    first = project.wait_for_first("--skip-checks")
    second = project.start("--skip-checks")
    waits = second.stderr.readline()

    for process in (second, first):
        process.send_signal(signal.SIGINT)
    _, errors, statuses = ends([first, second])

    assert "waiting for it, 0 s of 600 s" in waits
    assert statuses == [130, 130]
    assert errors == ["\nStopped: what is applied stays so, and to run it again goes on.\n"] * 2
    with connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM django_migrations").fetchone() == (0,)


def test_a_role_without_create_permission_gets_a_one_line_error(project, database):
    role = f"reader_of_{database}"
    with connect(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'of this test alone'")
    # The pooler knows one role only.
    direct = {"DB_HOST": project.environment["DB_DIRECT_HOST"], "DB_PORT": project.environment["DB_DIRECT_PORT"]}
    project.environment |= direct | {"DB_USER": role, "DB_PASSWORD": "of this test alone", "DB_POOL_MODE": "none"}
    try:
        _, errors, statuses = ends([project.start("--skip-checks")])
    finally:
        with connect(database) as connection:
            connection.execute(f"DROP ROLE {role}")

    assert statuses == [1]
    next_step = "Have the owner GRANT it to this role, or run it as the owner."
    assert errors == [f"CommandError: permission denied for schema public. {next_step}\n"]


def test_a_migration_that_misses_a_table_keeps_its_traceback(project):
    broken = FIRST.replace("migrations.RunPython(take_time)", 'migrations.RunSQL("SELECT * FROM nowhere")')
    project.write("shelves/migrations/0001_first.py", broken)

    _, errors, statuses = ends([project.start()])

    assert statuses == [1]
    assert "Traceback" in errors[0]
    assert 'relation "nowhere" does not exist' in errors[0]


def test_progress_while_waiting_is_coloured_only_on_a_terminal(monkeypatch):
    for stream, coloured in ((Terminal(), True), (io.StringIO(), False)):
        command = Command(stdout=Terminal(), stderr=stream, force_color=True)
        command._report("waiting")

        assert ("\x1b" in stream.getvalue()) is coloured


@pytest.mark.parametrize("options", [("--plan",), ("--check",)])
def test_plan_and_check_do_not_wait_for_the_lock(project, options):
    first = project.wait_for_first()

    _, errors, _ = ends([project.start(*options)])

    assert "waiting for it" not in errors[0]
    assert ends([first])[2] == [0]


@pytest.mark.parametrize("seconds", ["-1", "inf", "nan", "soon"])
def test_an_invalid_lock_timeout_is_refused(project, seconds):
    _, errors, statuses = ends([project.start("--lock-timeout", seconds)])

    assert statuses[0] in {1, 2}
    assert "--lock-timeout" in errors[0].splitlines()[-1]


def test_settings_of_the_database_do_not_release_the_lock_or_block_an_index(project, database):
    project.write("shelves/migrations/0001_first.py", FIRST.replace("operations", "atomic = False\n    operations", 1))
    with connect(database) as connection:
        connection.execute(f"ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '500ms'")
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'")

    _, errors, statuses = ends([project.start()])

    assert statuses == [0], errors
    assert rows(database) == (["0001_first", "0002_second"], 1)


def test_a_lost_lock_is_reported(project, database):
    first = project.wait_for_first()
    with connect(database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )

    _, errors, statuses = ends([first])

    assert statuses == [1]
    assert "The migrations are applied, but the lock was lost meanwhile" in errors[0]
    assert rows(database) == (["0001_first", "0002_second"], 1)
