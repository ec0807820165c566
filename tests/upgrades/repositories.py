"""Git repositories that tests make."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent.parent
_IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
for _person in ("AUTHOR", "COMMITTER"):
    _IDENTITY |= {f"GIT_{_person}_NAME": "Ada", f"GIT_{_person}_EMAIL": "ada@example.org"}
# A submodule from a folder is refused, unless one says so.
_ALLOWED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}


class Repository:
    """A repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / ".git").exists():
            folder.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**environment(), **_IDENTITY, **_ALLOWED},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def write(self, **texts: str) -> None:
        """Write files."""
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        self.write(**(files or {}))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


def environment() -> dict[str, str]:
    """This one, without what git sets for its hooks."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def program(name: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs in .ci."""
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / name), *arguments],
        cwd=cwd,
        env={**environment(), **_IDENTITY, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def module(name: str) -> ModuleType:
    """Import one of the modules in .ci."""
    spec = importlib.util.spec_from_file_location(f"{name}_of_ci", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded
