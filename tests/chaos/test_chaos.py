"""The short form of `make chaos`: a few faults of different kinds, on a fleet of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import __main__ as chaos
from tests.chaos import soak
from tests.chaos.faults import ALL, SHORT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


def test_faults_under_load_lose_nothing_and_are_recovered_from(tmp_path):
    command = [sys.executable, "-m", "tests.chaos", "--short", "--callers", "3", "--seed", "1"]
    printed = tmp_path / "printed"
    with printed.open("w") as file:
        # What it has printed is kept where it does not end.
        done = subprocess.Popen([*command, "--folder", str(tmp_path)], cwd=ROOT, stdout=file, stderr=file)
        try:
            done.wait(300)
        except subprocess.TimeoutExpired:
            done.terminate()
            done.wait(60)

    assert done.returncode == 0, printed.read_text()
    seen = json.loads((tmp_path / "faults.json").read_text())["rounds"]
    assert sorted(one["fault"] for one in seen) == sorted(SHORT)
    assert all(one["acknowledged"] > 0 for one in seen)
    assert [one["violations"] for one in seen if one["violations"]] == []
    assert any(one["errors"] for one in seen)


def test_the_short_form_is_of_faults_that_there_are():
    assert set(SHORT) <= {fault.name for fault in ALL}
    assert len({fault.name for fault in ALL}) == len(ALL) > 20


def test_a_fault_that_there_is_not_is_an_error_with_a_list():
    command = [sys.executable, "-m", "tests.chaos", "--only", "no such"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "kill -9 PostgreSQL" in done.stderr


@pytest.mark.parametrize(
    ("program", "option", "value"),
    [
        (chaos, "--faults", "0"),
        (chaos, "--callers", "-1"),
        (chaos, "--seconds", "nan"),
        (soak, "--minutes", "0.2"),
        (soak, "--callers", "-1"),
    ],
)
def test_a_run_that_would_show_nothing_is_refused(capsys, program, option, value):
    with pytest.raises(SystemExit, match="2"):
        program.main([option, value])

    assert f"error: {option}: at least 1" in capsys.readouterr().err
