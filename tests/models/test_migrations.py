"""What makemigrations writes for models on BaseModel, and what it leaves alone."""

import uuid

import pytest
from django.apps.registry import Apps
from django.db import connection, migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter

from shared_core.models import ActiveIndex, BaseModel, SoftDeleteMeta, SoftDeleteModel, UniqueActiveConstraint
from tests.library.models import Account, Reply

HAND_WRITTEN = [
    ("id", models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, serialize=False)),
    ("created_at", models.DateTimeField(auto_now_add=True)),
    ("updated_at", models.DateTimeField(auto_now=True)),
    ("is_deleted", models.BooleanField(default=False, db_index=True)),
    ("deleted_at", models.DateTimeField(null=True, blank=True)),
    ("title", models.CharField(max_length=100)),
]


def make(meta=None):
    """Return a service's model on BaseModel, in a registry of its own."""
    registry = Apps()
    options = {"app_label": "tickets", "apps": registry}
    attributes = {
        "__module__": __name__,
        "title": models.CharField(max_length=100),
        "Meta": type("Meta", (meta,) if meta else (), options),
    }
    return type("Ticket", (BaseModel,), attributes)


def state(*found):
    made = ProjectState()
    for one in found:
        made.add_model(one if isinstance(one, ModelState) else ModelState.from_model(one))
    return made


def changes(before, after):
    """Return the operations that makemigrations writes to get from one state to the other."""
    found = MigrationAutodetector(before, after)._detect_changes()  # as Django's own tests ask
    return [operation for migration in found.get("tickets", []) for operation in migration.operations]


def test_adopting_the_base_model_alters_only_the_default_of_the_key():
    before = ModelState("tickets", "Ticket", HAND_WRITTEN, options={})
    (operation,) = changes(state(before), state(make()))

    assert isinstance(operation, migrations.AlterField)
    assert (operation.model_name, operation.name) == ("ticket", "id")
    assert MigrationWriter.serialize(operation.field)[0].count("shared_core.models.uuid7") == 1


@pytest.mark.postgresql
@pytest.mark.django_db
def test_adopting_the_base_model_runs_no_sql():
    before = state(ModelState("tickets", "Ticket", HAND_WRITTEN, options={}))
    (operation,) = changes(before, state(make()))
    after = before.clone()
    operation.state_forwards("tickets", after)

    with connection.schema_editor(collect_sql=True) as editor:
        operation.database_forwards("tickets", editor, before, after)
    assert [line for line in editor.collected_sql if not line.startswith("--")] == []


@pytest.mark.parametrize("meta", [None, SoftDeleteMeta])
def test_an_unchanged_model_has_nothing_to_migrate(meta):
    assert changes(state(make(meta)), state(make(meta))) == []


def test_a_migration_names_only_djangos_classes_and_uuid7():
    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            UniqueActiveConstraint(fields=["title"], name="title_active"),
        ]
        indexes = [*SoftDeleteMeta.indexes, ActiveIndex(fields=["title"], name="title_ix")]

    operations = changes(state(), state(make(Meta)))
    migration = type("Migration", (migrations.Migration,), {"operations": operations})("0001_initial", "tickets")
    source = MigrationWriter(migration, include_header=False).as_string()

    assert {line for line in source.splitlines() if "shared_core" in line} == {
        "import shared_core.models",
        next(line for line in source.splitlines() if "uuid7" in line),
    }
    assert "models.UniqueConstraint(condition=models.Q(('is_deleted', False))" in source
    assert "tickets_ticket_deleted_ix" in source
    assert "_ShortName" not in source


@pytest.mark.parametrize("model", [Account, Reply])
def test_an_unchanged_model_with_our_constraints_has_nothing_to_migrate(model):
    one, two = (ModelState.from_model(model) for _ in range(2))

    assert MigrationAutodetector(state(one), state(two))._detect_changes() == {}


@pytest.mark.django_db
def test_columns_of_another_base_class_move_by_renames(transactional_db):
    """The way from django-safedelete's column to ours, as the docs show it."""
    old = ModelState(
        "tickets",
        "Ticket",
        [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("deleted", models.DateTimeField(null=True, editable=False, db_index=True)),
            ("deleted_by_cascade", models.BooleanField(default=False, editable=False)),
        ],
        options={},
    )
    steps = [
        migrations.RenameField("Ticket", "deleted", "deleted_at"),
        migrations.AlterField("Ticket", "deleted_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("Ticket", "is_deleted", models.BooleanField(default=False, db_index=True)),
        migrations.RunSQL(
            "UPDATE tickets_ticket SET is_deleted = true WHERE deleted_at IS NOT NULL", migrations.RunSQL.noop
        ),
        migrations.RemoveField("Ticket", "deleted_by_cascade"),
    ]
    now = state(old)
    with connection.schema_editor() as editor:
        editor.create_model(now.apps.get_model("tickets", "Ticket"))
    try:
        rows = now.apps.get_model("tickets", "Ticket").objects
        rows.create()
        gone = rows.create(deleted="2024-05-01T00:00:00Z")
        for step in steps:
            before, now = now, now.clone()
            step.state_forwards("tickets", now)
            with connection.schema_editor() as editor:
                step.database_forwards("tickets", editor, before, now)

        class Ticket(SoftDeleteModel):
            id = models.BigAutoField(primary_key=True)

            class Meta:
                app_label = "tickets"
                apps = Apps()

        assert changes(now, state(Ticket)) == []
        assert Ticket.objects.count() == 1
        found = Ticket.objects.deleted().get()
        assert (found.pk, found.deleted_at.year) == (gone.pk, 2024)
        assert found.restore()[0] == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE tickets_ticket")
