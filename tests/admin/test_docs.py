"""What docs/admin.md shows, executed in a service of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import block

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/admin.md").read_text()
REGISTERED, MODEL = block(PAGE, "@admin.register"), block(PAGE, "class Ticket(BaseModel)")
SETTINGS = block(PAGE, "get_service_settings(")
PROGRAM = """
import django; django.setup()
from django.contrib import admin
from django.core.management import call_command
from django.test import RequestFactory
call_command("check")
shown = admin.site._registry[django.apps.apps.get_model("tickets", "Ticket")]
print([path.name for path in shown.urls][:2], shown.has_hard_delete_permission.__name__)
"""


def test_the_admin_of_the_docs_page_passes_the_system_checks(tmp_path):
    app = tmp_path / "apps" / "tickets"
    app.mkdir(parents=True)
    (app / "models.py").write_text(f"from django.db import models\nfrom shared_core.models import BaseModel\n{MODEL}")
    (app / "admin.py").write_text(f"from apps.tickets.models import Ticket\n{REGISTERED}")
    core = tmp_path / "core"
    core.mkdir()
    (core / "urls.py").write_text(
        "from django.contrib import admin\nfrom django.urls import path\n"
        'urlpatterns = [path("admin/", admin.site.urls)]\n'
    )
    start = "from shared_core.service_settings import get_service_settings\n"
    (core / "settings.py").write_text(start + SETTINGS)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "core.settings",
        "ENVIRONMENT": "development",
        "SERVICE_ACCEPTED_TOKENS": "gateway=of-the-tests-alone-0123456789",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        **dict.fromkeys(("DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD"), "unused"),
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
    assert "['tickets_ticket_restore', 'tickets_ticket_hard_delete']" in done.stdout
