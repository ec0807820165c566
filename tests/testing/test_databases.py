"""A service's own suite, through the pooler: twice in a row, by several workers, and after one that was killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.stack import Stack

pytestmark = pytest.mark.slow

_OF_THIS_SUITE = ("PYTEST_", "DB_", "DJANGO_")
SETTINGS = """
from shared_core.databases import get_database_config

DATABASES = get_database_config()
INSTALLED_APPS = ["django.contrib.contenttypes", "shared_core"]
SECRET_KEY = "of the suite alone, and in no other place"
USE_TZ = True
"""
TESTS = """
import time

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(6))
def test_a_row(number):
    assert connection.settings_dict["NAME"].startswith("test_")
    ContentType.objects.create(app_label="a", model=str(number))
    assert ContentType.objects.filter(app_label="a").count() == 1
    time.sleep({pause})
"""


DJANGOS_TESTS = """
from django.contrib.contenttypes.models import ContentType
from django.test import TransactionTestCase

class Rows:
    def test_a_row(self):
        ContentType.objects.create(app_label="a", model="b")
        assert ContentType.objects.filter(app_label="a").count() == 1

class One(Rows, TransactionTestCase):
    pass

class Two(Rows, TransactionTestCase):
    pass
"""


@pytest.fixture(scope="module")
def stack():
    with Stack() as stack:
        yield stack


@pytest.fixture
def suite(stack, tmp_path):
    """Return a function that begins the suite of a small service."""
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = settings\npythonpath = .\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_SUITE)}

    def begin(*arguments, pause=0):
        (tmp_path / "test_rows.py").write_text(TESTS.replace("{pause}", str(pause)))
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env={**environment, **stack.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return begin


def outcome(process):
    said, _ = process.communicate(timeout=120)
    return said.strip().splitlines()[-1].split(" in ")[0] if process.returncode == 0 else said


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_a_pytest_suite_passes_twice_in_a_row_through_the_pooler(suite, workers):
    assert [outcome(suite(*workers)) for _ in range(2)] == ["6 passed"] * 2


def test_a_pytest_suite_passes_after_a_killed_run_left_its_databases(suite):
    killed = suite("-n", "2", pause=60)
    time.sleep(6)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)

    assert outcome(suite("-n", "2")) == "6 passed"


@pytest.fixture
def djangos(stack, tmp_path):
    """Return a function that runs ``manage.py test``."""
    (tmp_path / "settings.py").write_text(f'{SETTINGS}TEST_RUNNER = "shared_core.testing.PoolerTestRunner"\n')
    (tmp_path / "test_rows.py").write_text(DJANGOS_TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_SUITE)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "django", "test", "--settings=settings", "--no-input", *arguments],
            cwd=tmp_path,
            env={**environment, **stack.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("arguments", [[], ["--parallel=2"], ["--parallel=2", "--keepdb"]], ids=" ".join)
def test_manage_py_test_passes_twice_in_a_row_also_in_parallel(djangos, arguments):
    for _ in range(2):
        status, said = djangos(*arguments)

        assert status == 0, said
        assert "Ran 2 tests" in said


def test_djangos_runner_cannot_drop_the_database_of_the_run_before(djangos):
    runner = "--testrunner=django.test.runner.DiscoverRunner"
    said = "".join(djangos(runner)[1] for _ in range(2))

    assert "is being accessed by other users" in said
    assert djangos()[0] == 0  # ours takes over
