"""Git, asked; and how the programs here refuse."""

import functools
import os
import subprocess
from pathlib import Path


class RefusalError(Exception):
    """Why it does not go on, and what to do."""


def git(folder: Path, *arguments: str) -> str:
    """Return what git says in a folder.

    Raises:
        RefusalError: It failed.
    """
    done = _run(folder, *arguments)
    if done.returncode:
        raise RefusalError(f"git {' '.join(arguments)} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip("\n")


def succeeds(folder: Path, *arguments: str) -> bool:
    """Return whether git does."""
    return _run(folder, *arguments).returncode == 0


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _local()}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@functools.cache
def _local() -> frozenset[str]:
    """Return the names of the variables that lead into another repository, as git sets them for its hooks."""
    said = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    return frozenset(said.stdout.split())
