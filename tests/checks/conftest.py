import json
import os
import subprocess
import sys
from pathlib import Path
from weakref import WeakSet

import pytest
from django.contrib.admin import sites

from tests.stack.fixtures import alias, stack

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
def _own_sites(monkeypatch):
    """Hide the sites of other tests, which stand at the top of their modules."""
    monkeypatch.setattr(sites, "all_sites", WeakSet())
