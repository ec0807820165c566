"""Makes a new service of ``service_template/``, with the machinery of Django's ``startproject``.

``django-admin startproject --template`` takes that folder too, with ``--extension py,md,yml --name .env.example
--exclude .git``, and a name without underscores.
"""

import argparse
import keyword
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from django.core.management.base import CommandError
from django.core.management.templates import TemplateCommand

_TEMPLATE = Path(__file__).parent / "service_template"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
# The table of its model is <name>s_<name>, which PostgreSQL keeps to 63 characters.
_LONGEST_NAME = 30
# What docker-compose.yml names otherwise.
_CONTAINERS = frozenset({"postgres", "pgbouncer", "tests"})

_EXAMPLES = """\
python -m shared_core startservice ticket              makes ticket-service/
python -m shared_core startservice user-api            makes user-api-service/, called by USER_API_SERVICE_URL
python -m shared_core startservice ticket ../tickets   makes ../tickets/
"""
_NEXT_STEPS = """\
Made {folder}. Next:

    cd {folder}
    git init
    git submodule add <this repository> services/shared
    docker compose up --build --wait
    docker compose run --rm tests

README.md there says how to go on, and without containers.
"""


class _Template(TemplateCommand):
    """Django's startproject, for a name that is checked already."""

    def validate_name(self, name: str, name_or_dir: str = "name") -> None:
        """Take it."""


class ScaffoldError(Exception):
    """No service was made; the message is one line that says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``startservice``; return its exit status."""
    options = _parser().parse_args(arguments)
    folder = options.folder or f"{options.name}-service"
    try:
        start_service(options.name, Path(folder))
    except ScaffoldError as error:
        print(f"startservice: {error}", file=sys.stderr)
        return 1
    print(_NEXT_STEPS.format(folder=shlex.quote(folder)), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared_core startservice",
        description="Make a new service: a Django project on the shared core, with tests, containers and CI.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="its name, as others call it: ticket, user-api")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="the folder to make; NAME-service unless given")
    return parser


def start_service(name: str, folder: Path) -> None:
    """Make the service ``name`` in ``folder``, all of it or nothing.

    Args:
        name: As others call it: ``user-api``, whose Python name is ``user_api`` and whose URL is USER_API_SERVICE_URL.
        folder: New, or empty; the one above it exists.

    Raises:
        ScaffoldError: The name or the folder is none, or something cannot be written.
    """
    _check_name(name)
    try:
        folder = folder.absolute()
        _check_folder(folder)
        # Beside it: a rename within one file system is all or nothing.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            made = Path(beside) / folder.name
            made.mkdir()
            _fill(made, name)
            made.rename(folder)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ScaffoldError(f"{folder} cannot be made ({reason}): fix that, or name a folder elsewhere.") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ScaffoldError(
            f"{name!r} is no name: write small letters, digits and single hyphens, as ticket or user-api."
        )
    if len(name) > _LONGEST_NAME:
        raise ScaffoldError(f"{name!r} is too long: write {_LONGEST_NAME} characters or fewer.")
    if name.endswith("-service"):
        raise ScaffoldError(f"Leave out -service, which the folder is called anyway: {name.removesuffix('-service')}.")
    # Its app is called by the plural: there is no importing of apps.pass.
    if keyword.iskeyword(name) or keyword.iskeyword(f"{name}s"):
        raise ScaffoldError(f"{name!r}, or its plural, is a word of Python's: write another, as {name}-api.")
    if name in _CONTAINERS:
        raise ScaffoldError(f"{name!r} is the name of another container: write another, as {name}-api.")
    # As Django refuses it; but a folder in the working folder is no module.
    if (module := find_spec(name.replace("-", "_"))) is not None and module.origin is not None:
        raise ScaffoldError(f"{name!r} is the name of a Python module that is installed: write another, as {name}-api.")


def _check_folder(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise ScaffoldError(f"There is no folder {folder.parent}: make it first.")
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise ScaffoldError(f"{folder} exists, and is no empty folder: name a new one.")
    if folder == Path.cwd():
        raise ScaffoldError(f"{folder} is the folder you are in, which cannot be replaced: name a new one.")


def _fill(folder: Path, name: str) -> None:
    try:
        _Template().handle(
            "project",
            name.replace("-", "_"),
            target=str(folder),
            template=str(_TEMPLATE),
            extensions=["py", "md", "yml"],
            files=[".env.example"],
            exclude=[],  # but for what begins with a dot, otherwise
            verbosity=0,
            # What the template asks for beside Django's own names.
            service_name=name,
            calls="user" if name != "user" else "team",
        )
    except CommandError as error:
        raise ScaffoldError(f"nothing was made: {error}") from None
