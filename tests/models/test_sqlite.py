"""The models work on SQLite too, where a service runs its own unit tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.postgresql  # not within itself
def test_tests_without_the_postgresql_marker_pass_on_sqlite():
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=tests.settings_sqlite", "-m", "not postgresql"]
    done = subprocess.run(
        [sys.executable, *command, "tests/models"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 150
