"""A service that moves from the version before to this one: nothing to migrate, and each row as it was."""

import json
import os
import secrets
import subprocess
import sys

import pytest

from tests.services.fleet import plain_environment
from tests.services.generated import database, database_environment
from tests.upgrades.repositories import ROOT

pytestmark = pytest.mark.slow

# What the version before writes: rows that stay, that are deleted, and that went along.
WRITES = {
    "user": """
from apps.users.models import Department, User
it = Department.objects.create(name="IT")
User.objects.create_user("ada@example.org", "Ada", department=it)
User.objects.create_user("bob@example.org", "Bob").delete()
User.objects.create_user("bob@example.org", "Bob again")
User.objects.create_user("eve@example.org", "Eve", department=it).delete()
""",
    "ticket": """
from uuid import uuid4
from apps.tickets.models import AttachmentReference, Comment, Ticket
for title in ("stays", "goes"):
    ticket = Ticket.objects.create(title=title, requestor_id=uuid4(), idempotency_key=title)
    Comment.objects.create(ticket=ticket, author_id=uuid4(), text="deleted before").delete()
    below = Ticket.objects.create(title=f"below what {title}", requestor_id=uuid4(), parent=ticket)
    for one in (ticket, below):
        Comment.objects.create(ticket=one, author_id=uuid4(), text="goes along")
        AttachmentReference.objects.create(ticket=one, attachment_id=uuid4())
Ticket.objects.get(title="goes").delete()
""",
    "communication": """
from uuid import uuid4
from apps.messaging.models import ChatMessage, Notification
for name in ("stays", "goes"):
    ChatMessage.objects.create(ticket_id=uuid4(), author_id=uuid4(), text=name)
    Notification.objects.create(ticket_id=uuid4(), recipient_id=uuid4(), text=name, idempotency_key=name)
ChatMessage.objects.get(text="goes").delete()
Notification.objects.filter(text="goes").delete()
""",
    "file": """
from apps.attachments.models import Attachment
for name in ("stays", "goes"):
    Attachment.objects.create(name=name, content_type="text/plain", size=1, sha256="0" * 64)
Attachment.objects.get(name="goes").delete()
""",
}
# What this version restores of it, and how many rows are active then.
RESTORES = {
    "user": ("apps.users.models.User", {"name": "Eve"}, {"users.Department": 1, "users.User": 3}),
    "ticket": (
        "apps.tickets.models.Ticket",
        {"title": "goes"},
        {"tickets.Ticket": 4, "tickets.Comment": 4, "tickets.AttachmentReference": 4},
    ),
    "communication": (
        "apps.messaging.models.Notification",
        {"text": "goes"},
        {"messaging.ChatMessage": 1, "messaging.Notification": 2},
    ),
    "file": ("apps.attachments.models.Attachment", {"name": "goes"}, {"attachments.Attachment": 2}),
}
TELLS = """
import json, shared_core
from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
kept = [model for model in apps.get_models() if hasattr(model, "all_objects")]
rows = {model._meta.label: list(model.all_objects.order_by("pk").values()) for model in kept}
active = {model._meta.label: model.objects.count() for model in kept}
print(json.dumps({"core": shared_core.__file__, "rows": rows, "active": active}, cls=DjangoJSONEncoder))
"""
RESTORE = """
from django.utils.module_loading import import_string
import_string({model!r}).all_objects.deleted().get(**{filters!r}).restore()
"""


class Service:
    """One of the four, of some version, on some version of the core."""

    def __init__(self, name, services, core, database_name, storage):
        self.source = services / "tests" / "services" / f"{name}-service" / "src"
        self.environment = {
            **plain_environment(),
            **database_environment(),
            **{f"{other.upper()}_SERVICE_URL": "http://127.0.0.1:9" for other in WRITES},
            "ALLOWED_HOSTS": "127.0.0.1",
            "DB_NAME": database_name,
            "DJANGO_SETTINGS_MODULE": "core.settings.prod",
            "FILE_STORAGE": str(storage),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(core),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "SERVICE_ACCEPTED_TOKENS": f"gateway={secrets.token_urlsafe(32)}",
            "SERVICE_AUTH_TOKEN": secrets.token_urlsafe(32),
            "SERVICE_NAME": name,
        }

    def run(self, *commands, code=""):
        """Run commands of manage.py, and then code, in one process; return what is printed last, as JSON."""
        calls = "".join(f"call_command(*{command.split()!r}, stdout=sys.stderr)\n" for command in commands)
        prelude = "import sys, django\nfrom django.core.management import call_command\ndjango.setup()\n"
        done = subprocess.run(
            [sys.executable, "-c", f"{prelude}{calls}{code}{TELLS}"],
            cwd=self.source,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["core"].startswith(self.environment["PYTHONPATH"] + os.sep), told["core"]
        return told


@pytest.mark.parametrize("name", WRITES)
def test_rows_of_the_previous_version_are_read_and_restored(before, tmp_path, name):
    with database() as database_name:
        written = Service(name, before, before, database_name, tmp_path).run("migrate --verbosity=0", code=WRITES[name])
        # What a pull request does: the pin moves, and the service is as it was.
        bumped = Service(name, before, ROOT, database_name, tmp_path)
        after = bumped.run("check", "makemigrations --check --dry-run", "migrate --check")

        assert {label: len(rows) for label, rows in written["rows"].items()} != written["active"]
        assert after["rows"] == written["rows"]
        assert after["active"] == written["active"]

        model, filters, active = RESTORES[name]
        restored = bumped.run(code=RESTORE.format(model=model, filters=filters))

        assert restored["active"] == active
        # And back: what this version has deleted and restored, the one before reads.
        assert Service(name, before, before, database_name, tmp_path).run()["rows"] == restored["rows"]


@pytest.mark.parametrize("name", WRITES)
def test_services_migrate_databases_of_the_previous_version(before, tmp_path, name):
    with database() as database_name:
        written = Service(name, before, before, database_name, tmp_path).run("migrate --verbosity=0", code=WRITES[name])
        after = Service(name, ROOT, ROOT, database_name, tmp_path).run("migrate --verbosity=0")

        for label, rows in written["rows"].items():
            now = after["rows"][label]
            both = rows[0].keys() & now[0].keys()  # a service may have dropped a column of its own
            assert both >= {"id", "created_at", "updated_at", "is_deleted", "deleted_at"}
            assert [{column: row[column] for column in both} for row in now] == [
                {column: row[column] for column in both} for row in rows
            ]
        assert after["active"] == written["active"]
