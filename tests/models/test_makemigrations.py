"""A project that uses every field, default, constraint and index of `shared_core.models`: makemigrations settles."""

import subprocess
import sys

import pytest

import shared_core.models
from tests.services.fleet import plain_environment
from tests.services.generated import database, database_environment
from tests.upgrades.repositories import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

SETTINGS = """
from shared_core.databases import get_database_config
DATABASES = get_database_config()
INSTALLED_APPS = ["shared_core", "tickets"]
SECRET_KEY = "of a project that serves nobody"
DEBUG = USE_TZ = True
"""
MODELS = """
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from shared_core.models import (
    ActiveIndex, ActiveParentConstraint, AllObjectsManager, BaseModel, DeletedIndex, SoftDeleteManager, SoftDeleteMeta,
    SoftDeleteModel, SoftDeleteQuerySet, TimeStampedModel, UniqueActiveConstraint, UUIDModel, active, uuid7,
)

class TicketQuerySet(SoftDeleteQuerySet):
    pass

class Team(BaseModel):
    name = models.CharField(max_length=100)

    class Meta(SoftDeleteMeta):
        pass

class ATicketWithANameThatIsTooLongForAnIndex(BaseModel):
    title = models.CharField(max_length=100)
    team = models.ForeignKey(Team, models.CASCADE, null=True)
    reference = models.UUIDField(default=uuid7)
    objects = TicketQuerySet.as_manager()
    everything = AllObjectsManager()

    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            UniqueActiveConstraint(fields=["title"], name="title_active"),
            UniqueActiveConstraint(Lower("title"), name="lower_active", condition=~Q(title="")),
            ActiveParentConstraint(fields=["team"], name="ticket_team_active"),
        ]
        indexes = [
            *SoftDeleteMeta.indexes,
            ActiveIndex(fields=["-created_at"], name="newest"),
            ActiveIndex(Lower("title"), name="lower_title", condition=Q(team=None) | active()),
            DeletedIndex(fields=["team"], name="deleted_by_team"),
        ]

class Log(UUIDModel, TimeStampedModel):
    text = models.TextField()

class Note(SoftDeleteModel):
    text = models.TextField()
    objects = SoftDeleteManager()

    class Meta(SoftDeleteMeta):
        indexes = [*SoftDeleteMeta.indexes, ActiveIndex(fields=["text"], name="note_text", include=["id"])]

class Page(BaseModel):
    class Meta(SoftDeleteMeta):
        abstract = True

class Article(Page):
    class Meta(Page.Meta):
        abstract = False

class Short(Article):
    class Meta:
        proxy = True
"""
# What is no part of a model's state.
NOT_IN_MODELS = {name for name in shared_core.models.__all__ if name.startswith(("pre_", "post_")) or "Error" in name}
NOT_IN_MODELS |= {"purge"}


class Project:
    def __init__(self, folder, database_name):
        (folder / "tickets").mkdir(parents=True)
        (folder / "tickets" / "__init__.py").touch()
        (folder / "tickets" / "models.py").write_text(MODELS)
        (folder / "project.py").write_text(SETTINGS)
        self.folder = folder
        self.environment = plain_environment() | database_environment() | {"DB_NAME": database_name}

    def run(self, *command, core=ROOT):
        environment = {
            **self.environment,
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{core}:{self.folder}",
        }
        command = [sys.executable, "-m", "django", *command]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_the_project_uses_every_export_that_models_state():
    assert {name for name in shared_core.models.__all__ if name not in MODELS} == NOT_IN_MODELS


def test_a_fresh_project_has_one_migration(tmp_path):
    with database() as name:
        project = Project(tmp_path / "project", name)
        project.run("makemigrations", "tickets")

        assert "No changes detected" in project.run("makemigrations", "tickets")
        project.run("migrate", "--verbosity=0")
        assert "No changes detected" in project.run("makemigrations", "--check")
        assert [path.name for path in project.folder.rglob("migrations/0*.py")] == ["0001_initial.py"]


def test_a_project_that_was_migrated_by_the_previous_version_has_nothing_to_migrate(tmp_path, before):
    with database() as name:
        project = Project(tmp_path / "project", name)
        project.run("makemigrations", "tickets", core=before)
        project.run("migrate", "--verbosity=0", core=before)

        assert "No changes detected" in project.run("makemigrations", "--check")
        project.run("migrate", "--check")
