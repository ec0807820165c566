"""What README.md shows is what happens: its code and its commands are run, from the top to the end."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Count
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import isolate_apps

import shared_core.models
from shared_core.admin import SoftDeleteAdmin
from shared_core.auth import service_auth_required
from shared_core.clients import NotFound, ServiceClient, ServiceError
from shared_core.health import readiness_check
from shared_core.health.probes import registered
from shared_core.idempotency import idempotent
from shared_core.logs import parse_line
from shared_core.models import BaseModel
from shared_core.service_settings import accepted_tokens
from shared_core.testing import FakeService
from tests.docs.blocks import block

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    ((?:make|python -m) .*)$", README, re.MULTILINE)
TOKEN = "ticket-token-0123456789"
MODULE = {"__name__": "tests.library.readme", **{name: getattr(shared_core.models, name) for name in ("active",)}}
LINES = """
INFO 2025-11-20 10:30:45,000 apps.tickets Opening ticket_id=42 request_id=0f8fad5b service=ticket
WARNING 2025-11-20 10:30:45,100 apps.users Slow request_id=0f8fad5b service=user
INFO 2025-11-20 10:30:45,200 shared_core.access "POST answered with 201" method=POST path=/api/v1/tickets status=201 \
ms=300.0 request_id=0f8fad5b trace_id=9e253c3240a9c644044a186e13ef8b8a span_id=1dda726d926fe7f0 service=ticket
"""


def run(code, **names):
    names = {**MODULE, **names}
    exec(compile(code, "README.md", "exec"), names)  # the project's own page
    return names


def made(*found):
    with connection.schema_editor() as editor:
        for model in found:
            editor.create_model(model)


@pytest.fixture
def users(settings):
    settings.USER_SERVICE_URL = "http://user.invalid"
    with FakeService("user") as users:
        yield users


@isolate_apps("tests.library")
def test_the_first_example_does_what_its_comments_say(db, users):
    classes, delete, restore, ask = re.split(
        r"^(?=ticket\.|user = )", block(README, "class Ticket(BaseModel)"), flags=re.MULTILINE
    )
    page = run(classes)

    class Comment(BaseModel):
        ticket = models.ForeignKey(page["Ticket"], models.CASCADE)

        class Meta:
            app_label = "library"

    made(page["Ticket"], Comment)
    page["ticket"] = page["Ticket"].objects.create(title="Printer on fire")
    earlier, _ = (Comment.objects.create(ticket=page["ticket"]) for _ in range(2))
    earlier.delete()

    exec(delete, page)
    assert not page["Ticket"].objects.exists()
    assert not Comment.objects.exists()
    exec(restore, page)
    assert page["Ticket"].objects.get() == page["ticket"]
    assert Comment.objects.count() == 1

    route = users.on("GET", "/api/v1/users/42")
    route.reply(json={"id": "42"}, times=1).reply(404, times=1).reply(503)
    page["user_id"] = "42"
    exec(ask, page)
    assert page["user"] == {"id": "42"}
    exec(ask, page)
    assert page["user"] is None
    with pytest.raises(ServiceError):
        exec(ask, page)
    assert len(route.calls) == 2 + 4  # 3 retries


def test_ci_runs_the_commands_of_the_first_screen_as_they_are_written():
    screen = README[README.index("See it work") : README.index("It needs Python")]
    commands = re.findall(r"^    (.+)$", screen, re.MULTILINE) + re.findall(r"`((?:docker|make) [^`]+)`", screen)
    assert len(commands) >= 4

    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    # Leaves its servers running, for a person to look at.
    assert set(commands) - set(lines) == {"make demo KEEP=1"}


def test_the_settings_in_the_readme_configure_a_service(monkeypatch):
    for name, value in {
        "ENVIRONMENT": "development",
        "SERVICE_ACCEPTED_TOKENS": f"gateway={TOKEN}",
        "USER_SERVICE_URL": "http://user:8000",
        "FILE_SERVICE_URL": "http://file:8000",
    }.items():
        monkeypatch.setenv(name, value)

    whole, parts = run(block(README, "get_service_settings(")), run(block(README, "get_database_config()"))

    assert {"shared_core", "apps.tickets"} <= set(whole["INSTALLED_APPS"])
    assert whole["USER_SERVICE_URL"] == "http://user:8000"
    assert set(parts["INSTALLED_APPS"]) <= set(whole["INSTALLED_APPS"])
    assert set(parts["MIDDLEWARE"]) <= set(whole["MIDDLEWARE"])
    assert parts["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert parts["LOGGING"]["formatters"].keys() == whole["LOGGING"]["formatters"].keys()


@isolate_apps("tests.library")
@pytest.mark.django_db(transaction=True)
def test_the_readmes_constraint_and_count_work():
    meta, count = re.split(r"\n\n\n(?=Team)", block(README, "class Meta("))
    fields = "team = models.ForeignKey(Team, models.CASCADE, related_name='users')\nemail = models.EmailField()"
    names = {name: getattr(shared_core.models, name) for name in shared_core.models.__all__}
    page = run("class Team(BaseModel): ...", **names)
    page = run(f"class User(BaseModel):\n{textwrap.indent(f'{fields}\n\n{meta}', '    ')}", **page, models=models)
    team_model, user_model = page["Team"], page["User"]
    made(team_model, user_model)
    try:
        team = team_model.objects.create()
        user_model.objects.create(team=team, email="ada@example.org").delete()
        user_model.objects.create(team=team, email="ada@example.org")
        with pytest.raises(IntegrityError, match="users_email"):
            user_model.objects.create(team=team, email="ada@example.org")
        with pytest.raises(IntegrityError), transaction.atomic():
            user_model.all_objects.filter(is_deleted=True).update(deleted_at=None)
        assert "users_newest" in {index.name for index in user_model._meta.indexes}
        (row,) = eval(count.partition("  #")[0], {**page, "Count": Count})
        assert row.n == 1
        team.delete()
        with pytest.raises(IntegrityError, match="users_team"):
            user_model.objects.create(team=team, email="bo@example.org")
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(user_model)
            editor.delete_model(team_model)


@isolate_apps("tests.library")
def test_the_readmes_admin_is_registered():
    class Ticket(BaseModel):
        class Meta:
            app_label = "library"

    page = run(block(README, "SoftDeleteAdmin"), admin=admin, Ticket=Ticket, SoftDeleteAdmin=SoftDeleteAdmin)
    try:
        assert isinstance(admin.site._registry[Ticket], page["TicketAdmin"])
    finally:
        admin.site.unregister(Ticket)


@pytest.mark.parametrize(
    ("status", "taken"), [(200, "user"), (404, "not found"), (503, "trouble"), (None, "trouble")], ids=str
)
def test_a_call_ends_in_one_of_three_ways(users, status, taken):
    class UserClient(ServiceClient):
        service = "user"

    route = users.on("GET", "/api/v1/users/42")
    route.fail("timeout") if status is None else route.reply(status, json={"id": "42"})
    code = (
        block(README, "except NotFound")
        .replace("...  # the service answered", "user = 'not found'  # ")
        .replace("...  # refused", "user = 'trouble'  # ")
    )
    page = run(code, UserClient=UserClient, NotFound=NotFound, ServiceError=ServiceError, user_id="42")

    assert page["user"] == ({"id": "42"} if taken == "user" else taken)


def test_fake_service_answers_clients_made_by_the_code(settings):
    settings.USER_SERVICE_URL = "http://user.invalid"

    class UserClient(ServiceClient):
        service = "user"

    code = f"{block(README, 'FakeService("user")')}    user = UserClient(token=False).get_json('/api/v1/users/42')\n"
    page = run(code, FakeService=FakeService, UserClient=UserClient)

    assert page["user"] == {"id": "42"}
    assert len(page["users"].calls) == 3


def test_a_caller_that_is_not_accepted_is_refused(monkeypatch, settings):
    monkeypatch.setenv("ENVIRONMENT", "test")  # where tokens may be as plain as these
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"ticket={TOKEN},mailer=mailer-token-0123456789")
    code = block(README, "accepted_tokens()").replace(
        "def users(request): ...", "def users(request): return answer(request.service)"
    )
    names = {"accepted_tokens": accepted_tokens, "service_auth_required": service_auth_required}
    page = run(code, answer=HttpResponse, **names)
    settings.SERVICE_ACCEPTED_TOKENS = page["SERVICE_ACCEPTED_TOKENS"]

    def ask(token):
        return page["users"](RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"} if token else {}))

    assert (ask(TOKEN).status_code, ask(TOKEN).content) == (200, b"ticket")
    assert ask(None).status_code == 401
    assert ask("mailer-token-0123456789").status_code == 403
    assert page["MIDDLEWARE"][1] == "shared_core.auth.ServiceAuthMiddleware"


@pytest.mark.django_db
def test_a_repeated_request_runs_the_idempotent_view_once(settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TOKEN]}
    done = []
    code = block(README, "@idempotent").replace(
        "def notify(request): ...", "def notify(request): return answer(request)"
    )
    page = run(
        code,
        service_auth_required=service_auth_required,
        idempotent=idempotent,
        answer=lambda request: done.append(request.service) or HttpResponse(str(len(done)), status=201),
    )
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": str(uuid.uuid4())}
    answers = [page["notify"](RequestFactory().post("/", headers=headers)) for _ in range(2)]

    assert [answer.content for answer in answers] == [b"1", b"1"]
    assert done == ["ticket"]


def test_a_custom_readiness_check_is_run():
    class Search:
        def ping(self):
            raise OSError("gone")

    before = dict(registered)
    try:
        run(block(README, "@readiness_check"), readiness_check=readiness_check, search=Search())
        assert set(registered["search"].start().wait().failed) == {"search"}
    finally:
        registered.clear()
        registered.update(before)


@contextmanager
def answering(status):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/health/" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_containers_health_check_reports_the_probe(status, is_healthy):
    program, flag, code = json.loads(
        block(README, "HEALTHCHECK", "dockerfile").replace("\\\n", "").partition("CMD ")[2]
    )
    assert (program, flag) == ("python", "-c")
    with answering(status) as port:
        done = subprocess.run([sys.executable, "-c", code.replace("8000", str(port))], check=False, timeout=30)

    assert (done.returncode == 0) is is_healthy


def test_an_empty_submodule_ends_the_build_with_advice(tmp_path):
    command = re.search(r"^RUN (test .*\n.*)$", block(README, "RUN test", "dockerfile"), re.MULTILINE)[1].replace(
        "\\\n", ""
    )
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "services/shared is empty. Run: git submodule update --init\n")

    (tmp_path / "services" / "shared").mkdir(parents=True)
    (tmp_path / "services" / "shared" / "setup.cfg").touch()
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 0


def test_the_log_line_in_the_readme_can_be_parsed():
    (line,) = re.findall(r"^    (INFO .*)$", README, re.MULTILINE)
    parsed = parse_line(line)

    assert parsed["message"] == "Ticket opened"
    assert parsed["fields"]["ticket_id"] == 42


LOGS = [command for command in COMMANDS if "shared_core.logs" in command]


@pytest.mark.parametrize("command", LOGS)
def test_the_log_commands_in_the_readme_print_records(command, tmp_path):
    (tmp_path / "all.log").write_text(LINES.lstrip())
    command = command.partition("  #")[0].replace(" --follow", "").replace("--since 1h", "--since 2025-01-01")
    done = subprocess.run(
        command.replace("python", shlex.quote(sys.executable), 1),
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()


def test_the_commands_in_the_readme_exist():
    assert len(LOGS) == 3
    modules = {command.split()[2] for command in COMMANDS if command.startswith("python")}
    assert modules == {"shared_core", "shared_core.logs"}
    done = subprocess.run(
        [sys.executable, "-m", "shared_core", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for command in COMMANDS:
        if command.startswith("python -m shared_core "):
            assert command.split()[3] in done.stdout
