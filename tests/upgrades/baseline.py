"""The version before: the last tag; where there is none yet, the last commit whose changelog was released in whole."""

import ast
import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.upgrades.repositories import ROOT, environment, module

# An editable install finds what PYTHONPATH's package lacks in this tree.
_WITHOUT_EDITABLE = """import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
"""
PARTS = ("shared_core", "tests/services", "tests/test_public_api.py", "CHANGELOG.md")


class NoHistoryError(Exception):
    """The history does not reach back to it; says why."""


@dataclass(frozen=True)
class Baseline:
    """The version before."""

    name: str
    commit: str

    def extract(self, folder: Path) -> Path:
        """Write the core and the four services as they were into a folder, and return it."""
        archive = _git("archive", "--format=tar", self.commit, *PARTS)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        (folder / "sitecustomize.py").write_text(_WITHOUT_EDITABLE)
        return folder


def promised(folder: Path) -> dict[str, list[str]]:
    """Return the public names of an extracted version, by module."""
    for statement in ast.parse((folder / "tests" / "test_public_api.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "NAMES":
            return ast.literal_eval(statement.value)  # type: ignore[no-any-return]
    raise AssertionError("tests/test_public_api.py has no NAMES")


def baseline() -> Baseline:
    """Return it.

    Raises:
        NoHistoryError: This is no clone, or one that is shallow, or of a history that begins with this version.
    """
    if not (ROOT / ".git").exists():
        raise NoHistoryError("a plain folder, and no clone: the version before is not in it")
    tags = [
        tag for tag in _text("tag", "--list", "v*", "--merged", "HEAD").split() if re.fullmatch(r"v\d+\.\d+\.\d+", tag)
    ]
    head = _text("rev-parse", "HEAD")
    commits = {tag: _text("rev-parse", f"{tag}^{{commit}}") for tag in tags}
    before = [tag for tag in tags if commits[tag] != head]
    if before:
        newest = max(before, key=lambda tag: tuple(int(number) for number in tag[1:].split(".")))
        return Baseline(newest, commits[newest])
    if _text("rev-parse", "--is-shallow-repository") == "true":
        raise NoHistoryError("a shallow clone, which the version before is not in: git fetch --unshallow --tags")
    changelog = module("changelog")
    for commit in _text("log", "--reverse", "--format=%H", "--", "CHANGELOG.md").split():
        if changelog.section(_text("show", f"{commit}:CHANGELOG.md"), changelog.UNRELEASED):
            if not (parents := _text("log", "-1", "--format=%P", commit).split()):
                raise NoHistoryError("a history that begins with this version")
            return Baseline(f"{parents[0][:7]}, before anything was unreleased", parents[0])
    return Baseline("HEAD", head)


def _text(*arguments: str) -> str:
    return _git(*arguments).decode().strip()


def _git(*arguments: str) -> bytes:
    # A container's user is not the one who has cloned it.
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
