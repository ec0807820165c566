import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from django.contrib import admin

from tests.databases.conftest import alias, stack

__all__ = ["alias", "check", "stack"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def check(tmp_path_factory):
    """Return a function that checks projects, and returns ``{project: [[id, message, hint, object], …]}``."""
    folder = tmp_path_factory.mktemp("nowhere")  # without a .env above it

    def check(*projects, database=None, **environment):
        command = [sys.executable, "-m", "tests.checks.run", *(["--database", database] if database else []), *projects]
        plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=folder, env=plain | environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return check


@pytest.fixture(autouse=True)
def sites_of_this_test(monkeypatch):
    """The checks look at each admin site of the process, those of other tests among them."""
    monkeypatch.setattr(admin.sites, "all_sites", weakref.WeakSet([admin.site]))
