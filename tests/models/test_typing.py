"""A service's own mypy knows which rows its querysets hold."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]  # the type checker knows no database: once is enough
ROOT = Path(__file__).parents[2]
SETTINGS = """\
SECRET_KEY = "for the type checker only"
INSTALLED_APPS = ["django.contrib.contenttypes", "shared_core", "tickets"]
"""
CONFIG = """\
[mypy]
strict = True
plugins = mypy_django_plugin.main
[mypy.plugins.django-stubs]
django_settings_module = settings
[mypy-decouple]
ignore_missing_imports = True
"""
MODELS = """\
from django.db import models

from shared_core.models import BaseModel, SoftDeleteManager, SoftDeleteMeta, SoftDeleteQuerySet, UniqueActiveConstraint


class TicketQuerySet(SoftDeleteQuerySet["Ticket"]):
    def urgent(self) -> "TicketQuerySet":
        return self.filter(title="urgent")


class Ticket(BaseModel):
    title = models.CharField(max_length=100)

    # The stubs take every manager of a base class for a ClassVar, Django's own too.
    objects = SoftDeleteManager.from_queryset(TicketQuerySet)()  # type: ignore[misc]

    class Meta(SoftDeleteMeta):
        constraints = [*SoftDeleteMeta.constraints, UniqueActiveConstraint(fields=["title"], name="title")]


class Comment(BaseModel):
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="comments")
"""
USE = """\
import datetime
import uuid
from typing import assert_type

from shared_core.models import SoftDeleteQuerySet
from tickets.models import Comment, Ticket, TicketQuerySet

assert_type(Comment.objects.get(), Comment)
assert_type(Comment.objects.active().deleted().with_deleted().filter(ticket=None).first(), Comment | None)
assert_type(Comment.all_objects.deleted().get(), Comment)
assert_type(Comment.objects.create(ticket=Ticket()), Comment)
assert_type(Ticket.objects.get(), Ticket)
assert_type(Ticket.objects.all().urgent(), TicketQuerySet)
assert_type(Ticket().comments.deleted(), SoftDeleteQuerySet[Comment])
assert_type(Comment().ticket, Ticket)
assert_type(Comment().delete(), tuple[int, dict[str, int]])
assert_type(Comment.objects.all().restore(), tuple[int, dict[str, int]])
assert_type(Ticket().deleted_at, datetime.datetime | None)
assert_type(Ticket().id, uuid.UUID)
"""
MISUSE = """\
from tickets.models import Comment, Ticket

Comment.objects.filter(nonsense=1)
Comment.objects.with_everything()
Ticket().soft_delete(recursive=True)
"""


@pytest.fixture
def service(tmp_path):
    (tmp_path / "tickets").mkdir()
    for name, text in {
        "settings.py": SETTINGS,
        "mypy.ini": CONFIG,
        "tickets/__init__.py": "",
        "tickets/models.py": MODELS,
        "tickets/use.py": USE,
        "tickets/misuse.py": MISUSE,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def mypy(service, *files):
    # MYPYPATH: mypy does not see packages that were installed editable (README.md says so).
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *files],
        cwd=service,
        env={"MYPYPATH": f"{ROOT}:{service}", "PYTHONPATH": str(service), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_querysets_managers_and_relations_keep_the_models_type(service):
    done = mypy(service, "tickets/models.py", "tickets/use.py")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout

    wrong = mypy(service, "tickets/misuse.py").stdout
    assert "Cannot resolve keyword 'nonsense' into field" in wrong
    assert '"with_everything"' in wrong
    assert 'Unexpected keyword argument "recursive"' in wrong
