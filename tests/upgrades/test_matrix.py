"""Each Python with each Django that supports it; what cannot be run is told."""

import sys

import pytest

from tests.upgrades.repositories import ROOT, module, program


@pytest.fixture(scope="module")
def matrix():
    return module("matrix")


def test_lowest_constraints_are_those_of_lowest_txt_with_djangos_series(matrix):
    lowest = (ROOT / ".ci" / "lowest.txt").read_text()
    held = list(matrix._constraints("3.12", "5.0", "lowest"))

    assert held[0] == "Django~=5.0.0"
    assert {"requests==2.31.0", "urllib3==2.1.0", "psycopg==3.1.18"} <= set(held)
    assert len(held) == sum("==" in line for line in lowest.splitlines())


def test_psycopg_has_no_lowest_bound_on_a_python_without_its_wheels(matrix):
    held = list(matrix._constraints("3.14", "6.1", "lowest"))

    assert held[0] == "Django~=6.1.0"
    assert "requests==2.31.0" in held
    assert [line for line in held if line.startswith("psycopg")] == []


def test_newest_constraints_fix_only_the_django_series(matrix):
    assert list(matrix._constraints("3.13", "5.2", "newest")) == ["Django~=5.2.0"]


def test_only_a_running_interpreter_of_the_version_is_used(matrix, tmp_path, monkeypatch):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    other = tmp_path / "python3"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    version = "{}.{}".format(*sys.version_info)

    assert str(other) in list(matrix._interpreters(version))
    assert str(shim) not in list(matrix._interpreters("3.12"))
    assert list(matrix._interpreters("3.99")) == []


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_pair_without_an_interpreter_is_reported_and_fails_in_ci(tmp_path, ci, status):
    done = program(
        "matrix.py",
        "--only",
        "3.14-6.1",
        "--bound",
        "newest",
        cwd=ROOT,
        PATH=str(tmp_path),
        PYENV_ROOT=str(tmp_path),
        CI=ci,
    )

    assert done.returncode == status
    assert "| 3.14 | 6.1 | newest | not run: no Python 3.14 that runs was found |" in done.stdout


def test_an_unknown_pair_is_a_usage_error(tmp_path):
    done = program("matrix.py", "--only", "3.12-5.0 3.14-5.0", cwd=ROOT)

    assert done.returncode == 2
    assert "no such pair: 3.14-5.0" in done.stderr
