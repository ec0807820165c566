"""Finds the service in this folder, and sets Django up with its settings."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from shared_core.databases import get_database_config
from shared_core.doctor.lines import Line, describe_error

_DEFAULT = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


@dataclass(frozen=True)
class Project:
    """A Django project: the folder of its manage.py, and its settings' module, empty where nothing names it."""

    folder: Path
    settings: str


def find_project(folder: Path) -> Project | None:
    """Return the project in ``folder`` or its ``src``, None where there is none."""
    for place in (folder, folder / "src"):
        manage = place / "manage.py"
        if manage.is_file():
            named = _DEFAULT.search(manage.read_text(encoding="utf-8", errors="replace"))
            return Project(place, os.environ.get("DJANGO_SETTINGS_MODULE") or (named[1] if named else ""))
    return None


def set_up_django(project: Project | None) -> Iterator[Line]:
    """Set Django up as manage.py would, where it stands; then `is_set_up` says whether that was possible."""
    if project is None:
        yield Line("FAIL", "settings", "there is no manage.py here, nor in src", "Run this in a service's folder")
        return
    os.chdir(project.folder)
    sys.path.insert(0, str(project.folder))
    if not project.settings:
        hint = "Set DJANGO_SETTINGS_MODULE=core.settings.dev, say"
        yield Line("FAIL", "settings", f"{project.folder}/manage.py names no settings", hint)
        return
    os.environ["DJANGO_SETTINGS_MODULE"] = project.settings
    try:
        django.setup()
    except ImproperlyConfigured as error:
        yield Line("FAIL", "settings", f"{project.settings} cannot be used: {describe_error(error)}")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # settings and apps are programs
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(project.folder)]
        where = (own or frames)[-1]
        hint = f"Look at {where.filename}, line {where.lineno}, or set DJANGO_SETTINGS_MODULE to other settings"
        yield Line("FAIL", "settings", f"{project.settings} cannot be used: {describe_error(error)}", hint)
    else:
        yield Line("ok", "settings", f"{project.settings}, in {project.folder}")


def is_set_up() -> bool:
    """Say whether the service's settings and apps can be asked."""
    return apps.ready


def configure_databases_only() -> Iterator[Line]:
    """Have DATABASES from the environment alone, where the settings could not be read."""
    if settings.configured:
        return
    databases: dict[str, dict[str, Any]] = {}  # Any: Django's DATABASES
    try:
        databases = get_database_config()
    except (ImproperlyConfigured, OSError, ValueError) as error:  # of the .env
        yield Line("FAIL", "database", f"not asked: {describe_error(error)}")
    settings.configure(DATABASES=databases, USE_TZ=True)
