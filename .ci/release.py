#!/usr/bin/env python3
"""Tag a version, where all is ready for it.

    make release VERSION=0.2.0

It refuses unless the version is the next one, the tree is clean and on the main branch, `shared_core.__version__` and
CHANGELOG.md agree with it, and lint and tests pass. The tag `v0.2.0` has the changelog's section as its message; it is
not pushed. Exit status: 0 where the tag was made, 1 where the tests fail, 2 where something is not ready.
"""

import argparse
import datetime as dt
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import changelog
from repository import RefusalError, git, succeeds

_NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check all, run the tests, make the tag, and return the status."""
    parser = argparse.ArgumentParser(
        prog="release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", metavar="VERSION", help="as 0.2.0")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help="the repository (this one)")
    parser.add_argument("--branch", default="main", help="the branch that is released (main)")
    parser.add_argument("--tests", default="make lint test", help="what must pass (make lint test)")
    options = parser.parse_args(arguments)
    root, version = options.root, options.version
    try:
        said = _ready(root, version, options.branch)
        commit = git(root, "rev-parse", "HEAD")
        print(f"release: {options.tests} …", file=sys.stderr, flush=True)
        if status := subprocess.run(shlex.split(options.tests), cwd=root, check=False).returncode:
            print(f"release: {options.tests} ended with status {status}: nothing was tagged.", file=sys.stderr)
            return 1
        _check_untouched(root, commit)
        message = f"shared_core {version}\n\n{said}\n"
        # Verbatim: git takes lines that begin with # for comments.
        git(root, "tag", "--annotate", "--cleanup=verbatim", "--message", message, f"v{version}", commit)
    except RefusalError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    print(f"v{version} is {commit[:9]}. Look at it (git show v{version}), and push it: git push origin v{version}")
    return 0


def _ready(root: Path, version: str, branch: str) -> str:
    """Return the changelog's section of the version."""
    if not _NUMBER.fullmatch(version):
        raise RefusalError(f"{version!r} is no version: write three numbers, as VERSION=0.2.0.")
    tags = [tag[1:] for tag in git(root, "tag", "--list", "v*").splitlines() if _NUMBER.fullmatch(tag[1:])]
    if version in tags:
        raise RefusalError(f"v{version} is tagged already: a version is not given twice; take the next one.")
    newest = max(tags, key=_key, default="0.0.0")
    if _key(version) < _key(newest):
        raise RefusalError(f"{version} is below v{newest}, which is tagged: take one above it.")
    on = git(root, "rev-parse", "--abbrev-ref", "HEAD")
    if on != branch:
        raise RefusalError(f"this is {on}, not {branch}: git checkout {branch}, or say BRANCH={on}.")
    _check_tree(root)
    if not succeeds(root, "var", "GIT_COMMITTER_IDENT"):
        raise RefusalError("git does not know who tags: git config user.name NAME; git config user.email ADDRESS.")
    _check_version(root, version)
    return _section(root, version)


def _check_tree(root: Path) -> None:
    if changed := git(root, "status", "--porcelain"):
        raise RefusalError(f"the tree is not clean: commit or remove what git status shows:\n{changed}")


def _check_untouched(root: Path, commit: str) -> None:
    _check_tree(root)
    if git(root, "rev-parse", "HEAD") != commit:
        raise RefusalError("another commit is checked out than was tested: begin again.")


def _check_version(root: Path, version: str) -> None:
    text = (root / "shared_core" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None or found[1] != version:
        said = found[1] if found else "no version"
        raise RefusalError(f"shared_core/__init__.py says {said}: set __version__ to {version}, and commit it.")


def _section(root: Path, version: str) -> str:
    text = (root / "CHANGELOG.md").read_text()
    versions = dict(changelog.versions(text))
    if version not in versions:
        raise RefusalError(
            f"CHANGELOG.md has no ## [{version}] - YYYY-MM-DD: write that above what is under [Unreleased], and commit."
        )
    try:
        date = dt.date.fromisoformat(versions[version])
    except ValueError:
        raise RefusalError(f"CHANGELOG.md dates {version} {versions[version]!r}: write YYYY-MM-DD.") from None
    if date > dt.datetime.now(dt.UTC).date():
        raise RefusalError(f"CHANGELOG.md dates {version} {date}, which is to come: write the day of the release.")
    if next(name for name in versions if name != changelog.UNRELEASED) != version:
        raise RefusalError(f"CHANGELOG.md has {version} below another version: the newest comes first.")
    if left := changelog.section(text, changelog.UNRELEASED):
        raise RefusalError(
            f"CHANGELOG.md has entries under [Unreleased]: move them to {version} ({left.splitlines()[0]} …)."
        )
    if not any(entry.version == version for entry in changelog.entries(text)):
        raise RefusalError(f"CHANGELOG.md says nothing of {version}: tell what has changed, and what to do.")
    return changelog.section(text, version)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


if __name__ == "__main__":
    sys.exit(main())
