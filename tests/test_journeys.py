"""The demo's story and its faults: one process a service, real HTTP, real PostgreSQL through a real PgBouncer."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import combinations, pairwise
from pathlib import Path

import psycopg
import pytest

from shared_core.clients import HTTPClient, NotFound, ServerError, ServiceHTTPError
from shared_core.logs import parse_line
from tests.services import demo
from tests.services.fleet import Fleet, FleetError
from tests.services.story import Check, Story
from tests.stack import StackError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def story(fleet):
    return Story(fleet)


@pytest.fixture
def user(story):
    """A user who may open tickets."""
    list(story.create_user())
    return story.user


def test_each_step_of_the_demo_has_its_expected_result(story):
    for title, step in story.steps():
        for check in step():
            assert check.seen == check.expected, f"{title}: {check.what}"


def open_ticket(story, user, key=None, **fields):
    with story.client("ticket") as tickets:
        body = {"title": "Printer", "requestor_id": user["id"], **fields}
        return tickets.post("/api/v1/tickets", json=body, idempotency_key=key, retries=0)


def tickets_of(story, user):
    with story.client("ticket") as tickets:
        listed = tickets.get_json("/api/v1/tickets?page_size=100")["results"]
    return [ticket for ticket in listed if ticket["requestor_id"] == user["id"]]


def test_a_repeated_request_opens_one_ticket_and_notifies_once(story, user):
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: open_ticket(story, user, key), range(8)))

    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert len({answer.json()["id"] for answer in answers}) == len(tickets_of(story, user)) == 1
    assert len(story._notifications(answers[0].json()["id"])) == 1


def test_a_deactivated_or_deleted_user_opens_no_ticket_and_a_restored_one_does(story, user):
    statuses = []
    with story.client("user") as users:
        path = f"/api/v1/users/{user['id']}"
        users.delete(path)
        statuses.append(status(open_ticket, story, user))
        users.post(f"{path}/restore")
        statuses.append(status(open_ticket, story, user))
        users.post(f"{path}/deactivate")
        statuses.append(status(open_ticket, story, user))

    assert statuses == [422, 201, 422]


def test_a_comment_written_while_its_ticket_is_deleted_is_refused(fleet, story, user):
    ticket = open_ticket(story, user).json()["id"]
    login = {name: fleet["ticket"].environment[f"DB_{name.upper()}"] for name in ("host", "port", "user", "password")}
    database = fleet["ticket"].environment["DB_NAME"]
    body = {"author_id": user["id"], "text": "too late"}
    with (
        psycopg.connect(**login, dbname=database, prepare_threshold=None) as connection,
        story.client("ticket") as tickets,
        ThreadPoolExecutor() as pool,
    ):
        connection.execute(
            "UPDATE tickets_ticket SET is_deleted = true, deleted_at = now() WHERE id = %s", [uuid.UUID(ticket)]
        )
        commented = pool.submit(status, tickets.post, f"/api/v1/tickets/{ticket}/comments", json=body)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        ends = time.monotonic() + 4
        while not connection.execute(waiting).fetchone()[0]:
            assert time.monotonic() < ends
        connection.commit()
        assert commented.result() == 404
        assert connection.execute("SELECT count(*) FROM tickets_comment WHERE text = 'too late'").fetchone()[0] == 0


def test_only_the_ticket_service_may_send_notifications(story):
    with story.client("communication", "gateway") as client:
        assert status(client.post, "/api/v1/notifications", json={}, idempotency_key="a key of mine") == 403
        assert status(client.get, "/api/v1/notifications") == 200


def test_access_lines_name_the_calling_service(fleet, story, user):
    open_ticket(story, user)  # whom the gateway has read before
    ends = time.monotonic() + 10
    while len(callers := [line["caller"] for line in calls_of(fleet["user"], f"/api/v1/users/{user['id']}")]) < 2:
        assert time.monotonic() < ends
        time.sleep(0.1)

    assert callers == ["gateway", "ticket"]


def calls_of(service, path):
    """Return the fields of the service's access lines of GETs of ``path``."""
    lines = [parse_line(line)["fields"] for line in service.log_file.read_text().splitlines()]
    return [fields for fields in lines if (fields.get("path"), fields.get("method")) == (path, "GET")]


def dockerfile(name):
    return (ROOT / "tests" / "services" / f"{name}-service" / "Dockerfile").read_text()


def status(call, *args, **kwargs):
    try:
        return call(*args, **kwargs).status_code
    except ServiceHTTPError as error:
        return error.response.status_code


def test_a_sub_ticket_is_deleted_and_restored_with_its_ticket(story, user):
    parent = open_ticket(story, user).json()
    child = open_ticket(story, user, parent=parent["id"]).json()
    with story.client("ticket") as tickets:
        deleted = tickets.delete(f"/api/v1/tickets/{parent['id']}").json()
        alone = status(tickets.post, f"/api/v1/tickets/{child['id']}/restore")
        restored = tickets.post(f"/api/v1/tickets/{parent['id']}/restore").json()

    assert deleted == restored == {"total": 2, "by_model": {"tickets.Ticket": 2}}
    assert alone == 409


def test_a_deleted_users_email_can_be_reused_and_then_refuses_the_restore(story, user):
    with story.client("user") as users:
        taken = status(users.post, "/api/v1/users", json={"email": user["email"], "name": "Eve"})
        users.delete(f"/api/v1/users/{user['id']}")
        free = status(users.post, "/api/v1/users", json={"email": user["email"], "name": "Eve"})
        restore = status(users.post, f"/api/v1/users/{user['id']}/restore")

    assert (taken, free, restore) == (409, 201, 409)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_an_outage_of_file_service_is_503_in_bounded_time_and_writes_nothing(fleet, story, user, fault):
    files = fleet["file"]
    body = {"title": "Printer", "requestor_id": user["id"], "attachment_id": str(uuid.uuid4())}
    started = time.monotonic()
    files.process.kill_all(fault)
    try:
        with story.client("ticket") as tickets, pytest.raises(ServerError) as raised:
            tickets.post("/api/v1/tickets", json=body, retries=0, timeout=30, deadline=30)
    finally:
        files.stop()
        files.start()
        files.wait_until_ready()

    assert raised.value.response.status_code == 503
    assert raised.value.retry_after == 5
    assert tickets_of(story, user) == []
    assert time.monotonic() - started < 30


def test_a_ticket_is_kept_during_an_outage_and_notified_later_once(fleet, story, user):
    fleet["communication"].kill()
    try:
        with story.client("ticket") as tickets:
            body = {"title": "Printer", "requestor_id": user["id"]}
            ticket = tickets.post("/api/v1/tickets", json=body, retries=0, timeout=30, deadline=30).json()
    finally:
        fleet["communication"].stop()
        fleet["communication"].start()
        fleet["communication"].wait_until_ready()
    told = [fleet["ticket"].manage("notify_pending") for _ in range(2)]

    assert ticket["notified"] is False
    assert told == ["1 told\n", "0 told\n"]
    assert len(story._notifications(ticket["id"])) == 1


def test_a_services_own_tests_run_through_the_pooler_twice_in_a_row(fleet):
    command = ["test", "--no-input", "--verbosity", "0"]
    runs = [fleet["user"].manage(*command) for _ in range(2)]
    # Django's own runner cannot drop the database that the pooler sits on; ours takes over what it left.
    with pytest.raises(FleetError, match=r"is being accessed by other users|There .* other session"):
        fleet["user"].manage(*command, "--testrunner", "django.test.runner.DiscoverRunner")
    runs.append(fleet["user"].manage(*command))

    assert len(runs) == 3


BAD_INPUT = [
    ("user", "/api/v1/users", {"name": "no address"}, 400),
    ("user", "/api/v1/users", {"email": "no address", "name": "x"}, 400),
    ("user", "/api/v1/users", ["no object"], 400),
    ("user", "/api/v1/users", {"email": "a@example.com", "name": "x", "is_active": "no"}, 400),
    ("user", "/api/v1/users", {"email": "a@example.com", "name": {"a": 1}}, 400),
    ("ticket", "/api/v1/tickets", {"title": "no requestor"}, 400),
    ("ticket", "/api/v1/tickets", {"title": "x" * 201, "requestor_id": str(uuid.uuid4())}, 400),
    ("ticket", f"/api/v1/tickets/{uuid.UUID(int=7)}/comments", {"text": "no ticket"}, 404),
    ("communication", "/api/v1/notifications", {"text": "no key"}, 400),
    ("ticket", "/api/v1/tickets", {"title": "\ud800", "requestor_id": str(uuid.uuid4())}, 400),
    ("file", "/api/v1/attachments", {}, 400),
    ("file", "/api/v1/attachments?name=%00", {}, 400),
    ("file", "/api/v1/attachments?name=..", {}, 400),
    ("file", "/api/v1/nowhere", {}, 404),
]


@pytest.mark.parametrize(("service", "path", "body", "expected"), BAD_INPUT)
def test_invalid_input_is_refused_with_a_json_error(story, service, path, body, expected):
    caller = "ticket" if "notifications" in path else "gateway"
    with pytest.raises(ServiceHTTPError) as raised, story.client(service, caller) as client:
        client.post(path, json=body)

    assert raised.value.response.status_code == expected
    assert raised.value.response.json()["error"]


def test_an_idempotency_key_used_for_another_notification_is_refused(story):
    body = {"ticket_id": str(uuid.uuid4()), "recipient_id": str(uuid.uuid4()), "text": "one"}
    key = str(uuid.uuid4())
    with story.client("communication", "ticket") as messages:
        first = messages.post("/api/v1/notifications", json=body, idempotency_key=key)
        again = messages.post("/api/v1/notifications", json=body, idempotency_key=key)
        other = status(messages.post, "/api/v1/notifications", json=body | {"text": "two"}, idempotency_key=key)

    assert (first.status_code, again.status_code, other) == (201, 201, 422)
    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_idempotency_key_used_for_another_ticket_is_refused_and_opens_none(story, user):
    key = str(uuid.uuid4())
    first = open_ticket(story, user, key)
    other = status(open_ticket, story, user, key, title="Scanner")

    assert (first.status_code, other) == (201, 422)
    assert [ticket["title"] for ticket in tickets_of(story, user)] == ["Printer"]


def test_an_upload_of_unknown_length_is_refused_and_not_stored_empty(story):
    with story.client("file") as files:
        assert status(files.post, "/api/v1/attachments?name=a.txt", data=iter([b"content"])) == 411


def test_a_file_name_with_a_parent_path_stays_in_the_storage(fleet, story):
    with story.client("file") as files:
        made = files.post("/api/v1/attachments?name=../../evil.sh", data=b"x").json()
        response = files.get(f"/api/v1/attachments/{made['id']}/content")

    storage = Path(fleet["file"].environment["FILE_STORAGE"])
    assert (storage / made["id"]).read_bytes() == b"x"
    assert response.headers["Content-Disposition"] == 'attachment; filename="evil.sh"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_secret_of_the_fleet_or_of_a_caller_is_in_no_log_and_no_answer(fleet):
    canary = f"c4n4ry-{uuid.uuid4().hex}"
    secrets = {canary}
    answers = []
    for service in fleet:
        secrets |= {*service.tokens.values(), *(service.environment[name] for name in ("SECRET_KEY", "DB_PASSWORD"))}
        for path in ("users", "tickets", "notifications", "attachments", "../../ready/", "../../health/", "nothing"):
            for token in (canary, service.tokens["gateway"]):
                answers += send(service, path, token, canary)
    secrets = {
        secret.encode() for secret in secrets if len(secret) > 16
    }  # "hdms", in a container, is the user's name too
    files = [path for path in fleet["user"].log_file.parent.rglob("*") if path.is_file()]

    assert len(secrets) > 5
    assert {path.name for path in files} >= {
        f"{name}{end}.log" for name in ("user", "file") for end in ("", ".console")
    }
    assert [answer for answer in answers if canary in answer] == []
    assert [(path, secret) for path in files for secret in secrets if secret in path.read_bytes()] == []


def send(service, path, token, canary):
    """POST and GET with a secret in each place where callers put them, and return what was answered."""
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"sessionid={canary}", "X-Api-Key": canary}
    body = json.dumps({"password": canary, "title": {"secret": canary}})
    for method in ("GET", "POST"):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        address = f"/api/v1/{path}?token={canary}&password={canary}"
        connection.request(method, address, body, headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        yield f"{answer.status} {answer.getheaders()} {answer.read()}"
        connection.close()


def test_settings_of_the_sample_services_are_short_and_share_no_block():
    files = [path.read_text() for path in (ROOT / "tests" / "services").glob("*-service/src/core/settings/base.py")]
    lines = [[line for line in text.splitlines() if line] for text in files]
    pairs = [set(pairwise(of)) for of in lines]

    assert len(files) == 4
    assert all(len(of) < 60 for of in lines)
    assert [one & other for one, other in combinations(pairs, 2)] == [set()] * 6


@pytest.mark.parametrize("name", ["user", "ticket", "communication", "file"])
class TestEachService:
    def test_migrations_are_complete_and_import_uuid7_by_its_stable_path(self, fleet, name):
        assert "No changes" in fleet[name].manage("makemigrations", "--check", "--dry-run")
        migrations = list(fleet[name].source.glob("apps/*/migrations/0001_initial.py"))
        assert all("default=shared_core.models.uuid7" in file.read_text() for file in migrations)

    def test_system_checks_pass(self, fleet, name):
        assert "no issues" in fleet[name].manage("check")

    def test_the_core_is_imported_without_path_tricks(self, fleet, name):
        code = "\n".join(file.read_text() for file in fleet[name].source.rglob("*.py"))

        for trick in ("sys.path", "PYTHONPATH", "except ImportError", "requests."):
            assert trick not in code

    def test_every_line_of_log_and_console_is_in_the_log_format(self, fleet, story, name):
        story.client(name).get("/health/")
        written, said = (path.read_text().splitlines() for path in (fleet[name].log_file, fleet[name].console))

        assert {parse_line(line)["fields"]["service"] for line in written + said} == {name}
        assert any(" gunicorn.error " in line for line in said)

    def test_views_need_a_token_and_probes_do_not(self, fleet, name):
        with HTTPClient(fleet[name].url, token=False) as strangers:
            assert status(strangers.get, "/api/v1/tickets") == 401
            assert status(strangers.get, "/health/", headers={"Host": "10.0.0.7"}) == 200
            assert strangers.get_json("/ready/") == {"status": "ok"}
        with HTTPClient(fleet[name].url, token=fleet["ticket"].environment["SECRET_KEY"]) as strangers:
            assert status(strangers.get, "/api/v1/tickets") == 401

    def test_a_probe_of_the_head_only_leaves_the_connection_in_order(self, fleet, name):
        connection = http.client.HTTPConnection("127.0.0.1", fleet[name].port, timeout=10)
        answers = []
        for method in ("HEAD", "GET", "HEAD", "GET"):
            connection.request(method, "/ready/")
            response = connection.getresponse()
            answers.append((response.status, response.read()))
        connection.close()

        assert answers == [(200, b""), (200, b'{"status": "ok"}')] * 2

    def test_the_containers_health_check_follows_the_service(self, fleet, name):
        line = re.search(r"HEALTHCHECK .*? CMD (\[.*?\])$", dockerfile(name), re.DOTALL | re.MULTILINE)[1]
        command = json.loads(line.replace("\\\n", ""))
        assert command[0] == "python"
        assert "8000" in command[2]

        def check(port):
            code = command[2].replace("8000", str(port))
            return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode

        assert (check(fleet[name].port), check(9)) == (0, 1)

    @pytest.mark.parametrize("variable", ["SECRET_KEY", "DB_PASSWORD", "ALLOWED_HOSTS"])
    def test_a_missing_variable_is_named_at_start(self, fleet, name, variable):
        environment = {key: value for key, value in fleet[name].environment.items() if key != variable}
        command = [sys.executable, "manage.py", "check"]
        done = subprocess.run(
            command, cwd=fleet[name].source, env=environment, capture_output=True, text=True, check=False
        )

        assert done.returncode != 0
        assert variable in done.stderr.strip().splitlines()[-1]


@pytest.fixture
def folder():
    """A temporary folder that other users may enter, as PostgreSQL's does where root runs the suite."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield folder


def test_ctrl_c_in_the_middle_of_the_demo_stops_everything(folder):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DB_")}
    environment["TMPDIR"] = folder
    demo = subprocess.Popen(
        [sys.executable, "-m", "tests.services.demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in demo.stdout:
        if "create a user" in line:
            break
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    demo.stdout.close()

    assert demo.wait(30) == 130
    assert rest.strip().splitlines()[-1].startswith("demo: interrupted; everything is stopped.")
    assert processes_with(folder) == []
    assert not list(Path(folder).glob("stack-*"))


def processes_with(text):
    """Return the pids of processes whose command line or working folder holds ``text``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text in (folder / "cmdline").read_text() + str((folder / "cwd").readlink()):
                found.append(int(folder.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


class TestDemoExitStatus:
    """What `make demo` makes of what it sees, without the fleet."""

    @pytest.fixture
    def run(self, monkeypatch, tmp_path):
        def run(step):
            monkeypatch.setattr(demo, "Fleet", lambda folder, progress: nullcontext())
            monkeypatch.setattr(demo.Story, "steps", lambda story: [("a step", step)])
            monkeypatch.setattr(demo.Story, "records", lambda story: [])
            monkeypatch.setattr(demo, "_show_request", lambda fleet, story: None)
            return demo.main()

        monkeypatch.delenv("KEEP", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
        handler = signal.getsignal(signal.SIGTERM)
        yield run
        signal.signal(signal.SIGTERM, handler)

    def test_the_status_is_0_if_every_check_holds(self, run, capsys):
        assert run(lambda: [Check("tickets", 3, 3)]) == 0
        assert "1 checks, 0 failed." in capsys.readouterr().out

    def test_the_status_is_1_and_a_difference_is_printed(self, run, capsys):
        assert run(lambda: [Check("tickets", 3, 2)]) == 1
        assert "tickets  3         2     DIFFERS" in capsys.readouterr().out

    def test_the_status_is_1_and_a_failed_step_is_printed(self, run, capsys):
        def step():
            raise NotFound("404 Not Found", service="ticket")

        assert run(step) == 1
        assert "a step" in capsys.readouterr().out

    def test_the_status_is_1_with_one_line_if_a_server_cannot_start(self, run, capsys):
        def step():
            raise StackError("PgBouncer is not installed.")

        assert run(step) == 1
        assert capsys.readouterr().err == "demo: PgBouncer is not installed.\n"
