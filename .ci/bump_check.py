#!/usr/bin/env python3
"""Check that a service is well on another version of shared_core, and write what its pull request should say.

    make -C services/shared bump-check SERVICE=$PWD

In the service's repository, with the submodule checked out at the new version, and that installed. It runs the system
checks, asks for missing migrations, runs the service's tests, and prints a summary in Markdown on standard output; how
it goes stands on standard error. Exit status: 0 where all is well, 1 where a step failed, 2 where it cannot begin.
"""

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import changelog
from repository import RefusalError, git, succeeds

LINES = 40  # of what a failing step said


@dataclass(frozen=True)
class Bump:
    """A service, and the two versions."""

    service: Path
    submodule: str  # its path in the service's repository
    old: str
    new: str

    @property
    def core(self) -> Path:
        """The submodule's folder."""
        return self.service / self.submodule

    @property
    def goes_back(self) -> bool:
        """Whether the new version is the older one."""
        return succeeds(self.core, "merge-base", "--is-ancestor", self.new, self.old)

    def at(self, commit: str, path: str) -> str:
        """Return a file of the core."""
        return git(self.core, "show", f"{commit}:{path}")

    def name(self, commit: str) -> str:
        """Return what people call a commit: its version or its tag, and its hash."""
        version = re.search(r'^__version__ = "(.+)"', self.at(commit, "shared_core/__init__.py"), re.MULTILINE)
        is_tagged = succeeds(self.core, "describe", "--tags", "--exact-match", commit)
        tag = git(self.core, "describe", "--tags", "--exact-match", commit) if is_tagged else None
        return f"{tag or (version[1] if version else 'unknown')} ({commit[:9]})"


@dataclass(frozen=True)
class Step:
    """What was run, and how it went."""

    command: str
    status: int
    seconds: float
    said: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps, print the summary, and return the status."""
    parser = argparse.ArgumentParser(
        prog="bump-check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service", metavar="SERVICE", help="the service's repository")
    parser.add_argument("--base", help="the commit whose pin is the old one (origin's default branch, or HEAD)")
    parser.add_argument("--python", help="the service's Python (.venv/bin/python in it, or python3)")
    parser.add_argument("--tests", help="what runs its tests (pytest where it is configured, or manage.py test)")
    options = parser.parse_args(arguments)
    try:
        bump = _bump(options.service, options.base)
        steps = _steps(bump.service, options.python, options.tests)
        python = steps[0][0]
        _check_installed(bump, python)
    except RefusalError as error:
        print(f"bump-check: {error}", file=sys.stderr)
        return 2
    done = [_run(step, bump.service) for step in steps]
    print(_summary(bump, done))
    return 1 if any(step.status for step in done) else 0


def _bump(name: str, base: str | None) -> Bump:
    if not name:
        raise RefusalError("name the service's repository, as SERVICE=$PWD.")
    service = Path(name)
    if not service.is_dir():
        raise RefusalError(f"there is no folder {service}: name the service's repository, as SERVICE=$PWD.")
    if not succeeds(service, "rev-parse", "--verify", "HEAD"):
        raise RefusalError(f"{service} is no git repository with a commit: name the service's, as SERVICE=$PWD.")
    service = Path(git(service, "rev-parse", "--show-toplevel"))
    submodule = _submodule(service)
    core = service / submodule
    if git(core, "status", "--porcelain"):
        raise RefusalError(f"{submodule} has changes of its own: commit, stash or remove them (git -C {core} status).")
    new = git(core, "rev-parse", "HEAD")
    base = base or _default_base(service)
    if not succeeds(service, "rev-parse", "--verify", f"{base}^{{commit}}"):
        raise RefusalError(f"{base} is no commit of {service}: fetch it, or name another, as BASE=origin/main.")
    pinned = re.fullmatch(r"160000 commit ([0-9a-f]+)\t.*", git(service, "ls-tree", base, submodule))
    if pinned is None:
        raise RefusalError(f"{base} has no submodule {submodule}: name a commit that has it, as BASE=origin/main.")
    old = pinned[1]
    if old == new:
        raise RefusalError(
            f"{submodule} is at {new[:9]} in {base} too: check the new version out in it, "
            "or name the commit before the change, as BASE=HEAD~1."
        )
    if not succeeds(core, "cat-file", "-e", f"{old}^{{commit}}"):
        raise RefusalError(f"{submodule} does not know its old commit {old[:9]}: git -C {core} fetch --unshallow.")
    return Bump(service, submodule, old, new)


def _submodule(service: Path) -> str:
    if not (service / ".gitmodules").exists():
        raise RefusalError(f"{service} has no submodules: this is for a service that has shared_core as one.")
    listed = git(service, "config", "--file", ".gitmodules", "--get-regexp", r"\.path$").splitlines()
    paths = [line.partition(" ")[2] for line in listed]
    found = [path for path in paths if (service / path / "shared_core" / "__init__.py").exists()]
    if len(found) != 1:
        raise RefusalError(
            f"of the submodules of {service} ({', '.join(paths)}), {len(found)} hold shared_core, and one must: "
            "git submodule update --init"
        )
    return found[0]


def _default_base(service: Path) -> str:
    if succeeds(service, "rev-parse", "--verify", "origin/HEAD"):
        return git(service, "merge-base", "HEAD", "origin/HEAD")
    return "HEAD"


def _steps(service: Path, python: str | None, tests: str | None) -> list[list[str]]:
    own = service / ".venv" / "bin" / "python"
    python = python or (str(own) if own.exists() else "python3")
    places = [service / "manage.py", service / "src" / "manage.py", *sorted(service.glob("*/manage.py"))]
    manage = next((str(place.relative_to(service)) for place in places if place.exists()), None)
    if manage is None:
        raise RefusalError(f"{service} has no manage.py, nor has a folder in it: this is for a Django service.")
    if tests:
        command = shlex.split(tests)
    elif _has_pytest(service):
        command = [python, "-m", "pytest", "-q"]
    else:
        command = [python, manage, "test"]
    return [
        [python, manage, "check", "--database", "default"],
        [python, manage, "makemigrations", "--check", "--dry-run"],
        command,
    ]


def _has_pytest(service: Path) -> bool:
    if any((service / name).exists() for name in ("pytest.ini", "pytest.toml", "conftest.py")):
        return True
    configured = {"setup.cfg": "[tool:pytest]", "tox.ini": "[pytest]", "pyproject.toml": "[tool.pytest"}
    return any((service / name).exists() and said in (service / name).read_text() for name, said in configured.items())


def _check_installed(bump: Bump, python: str) -> None:
    code = "import shared_core; print(shared_core.__file__)"
    try:
        done = subprocess.run([python, "-c", code], cwd=bump.service, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RefusalError(
            f"{python} cannot be run ({error.strerror}): name the service's, as SERVICE_PYTHON=python3."
        ) from None
    install = f"{python} -m pip install -e {bump.submodule}"
    if done.returncode:
        raise RefusalError(f"{python} cannot import shared_core: {install}")
    if not Path(done.stdout.strip()).resolve().is_relative_to(bump.core.resolve()):
        raise RefusalError(f"{python} imports {done.stdout.strip()}, which is not {bump.submodule}: {install}")


def _run(command: list[str], service: Path) -> Step:
    shown = shlex.join(
        ["python" if at == 0 and "python" in Path(part).name else part for at, part in enumerate(command)]
    )
    print(f"bump-check: {shown} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=service,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        status, said = done.returncode, done.stdout
    except OSError as error:
        status, said = 127, f"{command[0]} cannot be run: {error.strerror}"
    seconds = time.monotonic() - started
    print(f"bump-check: {'ok' if status == 0 else 'FAILED'}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return Step(shown, status, seconds, said)


def _summary(bump: Bump, steps: Sequence[Step]) -> str:
    old, new = bump.at(bump.old, "CHANGELOG.md"), bump.at(bump.new, "CHANGELOG.md")
    found = changelog.added(new, old) if bump.goes_back else changelog.added(old, new)
    lines = [f"## shared_core {bump.name(bump.old)} to {bump.name(bump.new)}", "", "| step | | |", "|---|---|---|"]
    lines += [f"| `{step.command}` | {'FAILED' if step.status else 'ok'} | {step.seconds:.0f} s |" for step in steps]
    for step in steps:
        if step.status:
            said = "\n".join(step.said.rstrip().splitlines()[-LINES:])
            lines += ["", f"`{step.command}` ended with status {step.status}:", "", *_fenced(said)]
    if bump.at(bump.old, "setup.cfg") != bump.at(bump.new, "setup.cfg"):
        lines += ["", "`setup.cfg` has changed: images install its requirements anew."]
    if bump.goes_back:
        lines += ["", "This goes back. Undo what was done for these, as docs/upgrading.md says.", ""]
    elif to_do := [entry.to_do for entry in found if entry.to_do]:
        lines += ["", "### To do", "", *(f"- [ ] {said}" for said in to_do)]
    lines += ["", "### What is undone" if bump.goes_back else "### What is new", ""]
    lines.append(changelog.markdown(found) or "Nothing that the changelog tells of.")
    return "\n".join(lines)


def _fenced(said: str) -> list[str]:
    longest = max((len(run) for run in re.findall("`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, said, fence]


if __name__ == "__main__":
    sys.exit(main())
