"""docs/models.md says what happens: its code is run, block by block, on tables of its own."""

import re
import textwrap
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import load_command_class
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Count
from django.test.utils import isolate_apps
from django.utils import timezone

import shared_core.models
from shared_core.models import BaseModel, active, uuid7
from tests.docs.blocks import block
from tests.library.models import Author, Book, Group, Membership, Person

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
UNIQUE, JOINS, THROUGH = (block(PAGE, part) for part in ("UniqueActiveConstraint(", "annotate(", "group.members"))
META, PARENT, INDEX = (
    block(PAGE, part) for part in ("class Meta(SoftDeleteMeta)", "ActiveParentConstraint(", "ActiveIndex(")
)
FROM_PLAIN, DEFAULTS = block(PAGE, "class Ticket(SoftDeleteModel, TimeStampedModel)"), block(PAGE, "SET DEFAULT now()")
FROM_SAFEDELETE = block(PAGE, "deleted_by_cascade")
(PURGE,) = re.findall(r"^```\n(manage\.py .*)\n```", PAGE, re.MULTILINE)
(BY_THROUGH_ROWS,) = re.findall(r"^`(Group\.objects\.prefetch_related.*?)`", PAGE, re.MULTILINE)
NAMES = {name: getattr(shared_core.models, name) for name in shared_core.models.__all__}

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def model(name, meta, fields="", **names):
    """Return a model of the library, with these fields and the page's Meta, and make its table."""
    names = {**NAMES, "models": models, "__name__": "tests.library.page", **names}
    code = f"class {name}(BaseModel):\n{textwrap.indent(f'{fields}\n{meta}', '    ')}"
    exec(compile(code, "docs/models.md", "exec"), names)  # the project's own page
    with connection.schema_editor() as editor:
        editor.create_model(names[name])
    return names[name]


@isolate_apps("tests.library")
def test_a_deleted_row_frees_its_unique_value_and_an_active_one_is_a_field_error():
    user = model("User", UNIQUE, "email = models.EmailField()")
    user.objects.create(email="ada@example.org").delete()
    user.objects.create(email="ada@example.org")

    with pytest.raises(ValidationError) as refused:
        user(email="ada@example.org").full_clean()
    assert refused.value.message_dict == {"email": ["User with this Email already exists."]}
    with pytest.raises(IntegrityError, match="users_email"), transaction.atomic():
        user.objects.create(email="ada@example.org")


def test_a_join_with_active_leaves_out_deleted_rows():
    count, found = (line.partition("  #")[0] for line in JOINS.splitlines())
    author = Author.objects.create(name="Ursula")
    Book.objects.create(author=author, title="Lavinia").delete()
    Book.objects.create(author=author, title="Tehanu")
    names = {"Author": Author, "Count": Count, "active": active}

    assert [row.n for row in eval(count, names)] == [1]
    assert not eval(found, names).exists()
    assert eval(found.replace("Lavinia", "Tehanu"), names).get() == author
    assert Author.objects.filter(books__title="Lavinia").exists()  # which is why it must be told


def test_a_member_with_a_deleted_membership_is_left_out_with_active():
    here, stays, left = Group.objects.create(), Person.objects.create(name="Ada"), Person.objects.create(name="Bo")
    Membership.objects.create(group=here, person=stays)
    Membership.objects.create(group=here, person=left).delete()

    assert set(here.members.all()) == {stays, left}  # which is why it must be told
    assert list(eval(THROUGH, {"group": here, "active": active})) == [stays]
    prefetched = eval(BY_THROUGH_ROWS, {"Group": Group}).get()
    assert [one.person for one in prefetched.memberships.all()] == [stays]


@isolate_apps("tests.library")
def test_the_check_constraint_refuses_is_deleted_without_deleted_at():
    ticket = model("Ticket", META)
    made = ticket.objects.create()

    with pytest.raises(IntegrityError, match="deleted_ck"), transaction.atomic():
        models.QuerySet(ticket).update(is_deleted=True)
    by_hand = re.search(r"`(SET is_deleted = true.*)`", PAGE)[1]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE library_ticket {by_hand} WHERE NOT is_deleted")
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'library_ticket'")
        indexes = [definition for (definition,) in cursor.fetchall()]
    assert ticket.all_objects.get(pk=made.pk).is_deleted
    assert any("(deleted_at) WHERE is_deleted" in definition for definition in indexes)


@isolate_apps("tests.library")
def test_a_row_under_a_deleted_parent_is_refused():
    ticket = model("Ticket", "pass")
    comment = model("Comment", PARENT, "ticket = models.ForeignKey('library.Ticket', models.CASCADE)")
    made = ticket.objects.create()
    comment.objects.create(ticket=made)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as at the end of the transaction

    made.delete()
    with pytest.raises(IntegrityError, match="comment_ticket_active"), transaction.atomic():
        comment.objects.create(ticket=made)


@isolate_apps("tests.library")
def test_the_documented_index_covers_active_rows():
    model("Ticket", f"class Meta:\n    {INDEX}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'tickets_newest'")
        assert cursor.fetchone()[0].endswith("(created_at DESC) WHERE (NOT is_deleted)")


def test_purge_deleted_has_the_documented_options():
    parser = load_command_class("shared_core", "purge_deleted").create_parser("manage.py", "purge_deleted")
    arguments = re.sub(r"[\[\]]", "", PURGE).replace("-size N", "-size 10").split()[2:]
    options = parser.parse_args(arguments)

    assert (options.older_than, options.model, options.batch_size, options.dry_run) == ("90d", ["app.Model"], 10, True)


@isolate_apps("tests.library")
def test_plain_django_tables_are_migrated_while_old_processes_insert():
    before = ProjectState()
    fields = [("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=200))]
    before.add_model(ModelState("tickets", "Ticket", fields))
    old = before.apps.get_model("tickets", "Ticket")
    with connection.schema_editor() as editor:
        editor.create_model(old)
    first, second = old.objects.create(title="First"), old.objects.create(title="Second")
    ticket, made = _moved(before, FROM_PLAIN)
    added = [operation.name for operation in made.operations if isinstance(operation, migrations.AddField)]
    assert sorted(added) == ["created_at", "deleted_at", "is_deleted", "updated_at"]

    with transaction.atomic():
        with connection.schema_editor() as editor:
            made.apply(before.clone(), editor)
        with pytest.raises(IntegrityError, match="null value"), transaction.atomic():
            old.objects.create(title="Lost")  # which is why it needs the defaults
        transaction.set_rollback(True)
    made.operations.append(eval(DEFAULTS, {"migrations": migrations}))
    with connection.schema_editor() as editor:
        made.apply(before.clone(), editor)
    third = old.objects.create(title="Third")

    titles = {first.pk: "First", second.pk: "Second", third.pk: "Third"}
    assert dict(ticket.objects.values_list("pk", "title")) == titles
    assert all(row.created_at and row.updated_at and not row.is_deleted for row in ticket.objects.all())
    ticket.objects.get(pk=first.pk).delete()
    assert [row.pk for row in ticket.objects.order_by("pk")] == [second.pk, third.pk]
    assert ticket.all_objects.get(pk=first.pk).deleted_at
    with connection.schema_editor() as editor:
        made.unapply(before.clone(), editor)
    assert old.objects.count() == len(titles)


def _moved(before, code):
    """Return the model of the page's code, in the app of its table, and what makemigrations writes for it."""
    names = {**NAMES, "models": models, "__name__": "tickets.models"}
    code += "\n    class Meta:\n        app_label = 'tickets'\n"
    exec(compile(code, "docs/models.md", "exec"), names)  # the project's own page
    questioner = _Present()
    made = migrations.Migration("0002_shared_core", "tickets")
    made.operations = _changes(before, names["Ticket"], questioner)
    assert questioner.asked == [("ticket", "created_at")]
    return names["Ticket"], made


class _Present(MigrationQuestioner):
    """Answers as the page says."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def ask_auto_now_add_addition(self, field_name, model_name):
        self.asked.append((model_name, field_name))
        return timezone.now


def _changes(before, model, questioner=None):
    """Return the operations that makemigrations writes."""
    wanted = ProjectState()
    wanted.add_model(ModelState.from_model(model))
    found = MigrationAutodetector(before, wanted, questioner)._detect_changes()  # as Django's own tests ask
    return [operation for migration in found.get("tickets", []) for operation in migration.operations]


@isolate_apps("tests.library")
def test_safedelete_tables_are_migrated_with_their_rows():
    before = ProjectState()
    before.add_model(
        ModelState(
            "tickets",
            "Ticket",
            [
                ("id", models.UUIDField(primary_key=True, default=uuid7, editable=False, serialize=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deleted", models.DateTimeField(null=True, editable=False, db_index=True)),
                ("deleted_by_cascade", models.BooleanField(default=False, editable=False)),
            ],
        )
    )
    old = before.apps.get_model("tickets", "Ticket")
    with connection.schema_editor() as editor:
        editor.create_model(old)
    gone = old.objects.create(deleted=timezone.now(), deleted_by_cascade=True)
    kept = old.objects.create(deleted=None)
    names = {"migrations": migrations, "models": models}
    exec(compile(FROM_SAFEDELETE, "docs/models.md", "exec"), names)  # the project's own page
    step = migrations.Migration("0002_shared_core", "tickets")
    step.operations = names["operations"]
    with connection.schema_editor() as editor:
        after = step.apply(before, editor)

    class Ticket(BaseModel):
        class Meta:
            app_label = "tickets"

    assert dict(Ticket.all_objects.values_list("pk", "deleted_at")) == {gone.pk: gone.deleted, kept.pk: None}
    assert Ticket.objects.get().pk == kept.pk
    assert _changes(after, Ticket) == []
