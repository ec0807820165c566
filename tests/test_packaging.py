"""Installed as a service installs it: from a submodule, from a plain folder, from a wheel."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import shared_core

ROOT = Path(shared_core.__file__).parent.parent
PIP = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A copy of what this repository would commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "shared_core", folder / "shared_core", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def python(tmp_path):
    """An environment of its own that sees this one's packages, but for the shared core."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path)
    (Path(site) / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python)


def what_is_imported(python, cwd):
    code = "import shared_core.context as c, importlib.metadata as m; print(c.__file__, m.version('shared-core'))"
    file, version = run(python, "-c", code, cwd=cwd).split()
    assert version == shared_core.__version__
    return Path(file)


def git(*arguments, cwd):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"]
    return run("git", *identity, *arguments, cwd=cwd)


def test_it_installs_editable_from_a_submodule(checkout, python, tmp_path):
    git("init", "--quiet", cwd=checkout)
    git("add", "--all", cwd=checkout)
    git("commit", "--quiet", "--message", "core", cwd=checkout)
    service = tmp_path / "user-service"
    service.mkdir()
    git("init", "--quiet", cwd=service)
    git("submodule", "--quiet", "add", str(checkout), "services/shared", cwd=service)
    assert (service / "services/shared/.git").is_file()

    run(python, *PIP, "-e", "services/shared", cwd=service)

    assert what_is_imported(python, tmp_path) == service / "services/shared/shared_core/context.py"


def test_it_installs_editable_from_a_plain_folder(checkout, python, tmp_path):
    run(python, *PIP, "-e", str(checkout), cwd=tmp_path)

    assert what_is_imported(python, tmp_path) == checkout / "shared_core/context.py"


def test_a_wheel_holds_every_module_and_what_is_no_module(checkout, python, tmp_path):
    template = checkout / "shared_core/templates/admin/example.html"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text("an example")
    run(sys.executable, "-m", "pip", "wheel", *PIP[3:], "--wheel-dir", str(tmp_path), str(checkout), cwd=tmp_path)
    (wheel,) = tmp_path.glob("shared_core-*.whl")

    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(checkout)) for path in (checkout / "shared_core").rglob("*.py")}
    assert modules | {"shared_core/py.typed", "shared_core/templates/admin/example.html"} <= names
    assert not any(name.startswith("tests") for name in names)

    run(python, *PIP, str(wheel), cwd=tmp_path)
    assert what_is_imported(python, tmp_path).is_relative_to(Path(python).parent.parent)
