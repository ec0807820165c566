"""Reads variables of the environment and of the ``.env``.

Values come from environment variables, or from the service's ``.env``: the one in the working folder or the nearest
above it, never one beside this library.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from decouple import AutoConfig, UndefinedValueError
from django.core.exceptions import ImproperlyConfigured

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "development": "development",
        "dev": "development",
        "test": "test",
        "staging": "staging",
        "production": "production",
        "prod": "production",
    }
)


def read(name: str, default: str = "") -> str:
    """Return the value of ``name``, without spaces at its ends; ``default`` where it is not set."""
    try:
        return str(AutoConfig(search_path=os.getcwd())(name)).strip()  # noqa: PTH109  # decouple wants text
    except UndefinedValueError:
        return default


def names_beginning_with(prefix: str) -> list[str]:
    """Return the names that are set and begin with ``prefix``, in order."""
    found = AutoConfig(search_path=os.getcwd())  # noqa: PTH109  # as above
    found(prefix, default="")  # has the file read
    repository = found.config.repository
    written = getattr(repository, "data", {})  # of a .env; a settings.ini has a parser
    if (parser := getattr(repository, "parser", None)) is not None:
        written = {name.upper() for name in parser.options("settings")}
    return sorted(name for name in {*os.environ, *written} if name.startswith(prefix))


def settings_file() -> Path | None:
    """Return the file that values come from, beside the variables; None where there is none."""
    folder = Path.cwd()
    # As decouple looks for it: not in the root of all.
    places = [place / name for place in (folder, *folder.parents[:-1]) for name in AutoConfig.SUPPORTED]
    return next((place for place in places if place.is_file()), None)


def environment_name(name: str | None = None) -> str:
    """Return ``development``, ``test``, ``staging`` or ``production``: what ENVIRONMENT, or ``name``, says.

    ``dev`` and ``prod`` are aliases. Unset is production: who forgets it must not get debugging.

    Raises:
        ImproperlyConfigured: It is none of these.
    """
    text = (name if name is not None else read("ENVIRONMENT")) or "production"
    try:
        return _NAMES[text.lower()]
    except KeyError:
        raise ImproperlyConfigured(f"ENVIRONMENT={text!r} is none of {', '.join(_NAMES)}.") from None
