"""What docs/faq.md and docs/upgrading.md answer is what happens: their code is run, question by question."""

import asyncio
import importlib.util
import io
import logging
import logging.config
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest
import rest_framework
from django import forms
from django.contrib.auth import backends
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command, load_command_class
from django.db import IntegrityError, connection, migrations, models, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Count, Exists, F, OuterRef, ProtectedError, Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.test.utils import isolate_apps
from psycopg import sql
from rest_framework import serializers
from rest_framework.validators import UniqueTogetherValidator, UniqueValidator

import shared_core.models
from shared_core import clients, context
from shared_core.admin import SoftDeleteAdmin
from shared_core.logging_config import get_logging_config
from shared_core.logs import parse_line
from shared_core.models import ActiveParentConstraint, BaseModel, UniqueActiveConstraint, post_soft_delete, uuid7
from shared_core.testing import FakeService
from tests.clients.fixtures import Recorder
from tests.clients.server import Server, dripping, hang_up
from tests.library import models as library
from tests.library.models import Account, Author, Book, Chapter, Loan, Stamp
from tests.services.generated import Generated, database, other_service

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "faq.md", ROOT / "docs" / "upgrading.md")
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def sections(page):
    """Return what stands under each heading of a page, without what is under the next."""
    # A comment in a block of code is no heading.
    text = BLOCK.sub(lambda block: block[0].replace("\n#", "\n\\#"), page.read_text())
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {title: part.replace("\n\\#", "\n#") for title, part in zip(parts[1::2], parts[2::2], strict=True)}


SECTIONS = sections(PAGES[0]) | sections(PAGES[1])
# What the module would have imported that the code stands in; its models are the library's.
IMPORTED = {
    **{name: value for name, value in vars(library).items() if not name.startswith("__")},
    **{name: getattr(shared_core.models, name) for name in shared_core.models.__all__},
    **{
        found.__name__: found
        for found in (AbstractBaseUser, BaseUserManager, Count, Exists, OuterRef, UniqueValidator, receiver)
    },
    "__name__": "tests.library.page",
    "F": F,
    "asyncio": asyncio,
    "forms": forms,
    "get_logging_config": get_logging_config,
    "migrations": migrations,
    "psycopg": psycopg,
    "serializers": serializers,
    "sql": sql,
}


def blocks(heading, language="python"):
    found = [
        (indent, code) for indent, its_language, code in BLOCK.findall(SECTIONS[heading]) if its_language == language
    ]
    assert found, heading
    return [textwrap.dedent(code) for _, code in found]


def run(heading, **names):
    """Run the code under ``heading``, which has ``names``; return what it has then."""
    names = {**IMPORTED, **names}
    for code in blocks(heading):
        exec(compile(code, heading, "exec"), names)  # the project's own page
    return names


def made(*found):
    """Make the tables of models that only a page knows; the test's transaction takes them away."""
    with connection.schema_editor() as editor:
        for model in found:
            editor.create_model(model)


@pytest.fixture
def author(db):
    return Author.objects.create(name="Ursula")


@pytest.fixture
def book(author):
    return Book.objects.create(author=author, title="The Dispossessed")


@pytest.fixture
def users(settings):
    settings.USER_SERVICE_URL = "http://user.invalid"

    class UserClient(clients.ServiceClient):
        service = "user"

    return UserClient()


class TestPages:
    def test_each_block_of_python_is_run_by_a_test_here(self):
        tests = Path(__file__).read_text()
        with_code = [heading for heading, text in SECTIONS.items() if "```python" in text]

        assert len(with_code) > 20
        assert [heading for heading in with_code if repr(heading).strip("'") not in tests] == []

    def test_the_list_of_questions_matches_the_headings(self):
        text = PAGES[0].read_text()
        titles = re.findall(r"^### (.+)$", text, re.MULTILINE)
        listed = re.findall(r"\]\(#([^)]+)\)", text)

        assert listed == [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]

    def test_each_answer_ends_with_a_link_to_read_more(self):
        answers = re.split(r"^### ", PAGES[0].read_text(), flags=re.MULTILINE)[1:]

        assert [answer.splitlines()[0] for answer in answers if "More:" not in answer] == []

    def test_commands_variables_and_checks_named_on_the_pages_exist(self):
        text = "".join(page.read_text() for page in PAGES)
        readme, settings = ((ROOT / page).read_text() for page in ("README.md", "docs/settings.md"))
        commands = set(re.findall(r"manage\.py ([a-z_]+)", text))
        djangos = {"check", "makemigrations", "dumpdata", "test"}
        ours = {name: load_command_class("shared_core", name) for name in commands - djangos}

        assert {"purge_deleted", "role_settings", "migrate"} <= set(ours)
        assert "--older-than" in ours["purge_deleted"].create_parser("manage.py", "purge_deleted").format_help()
        for found in re.findall(r"`([EW]\d{3})`|shared_core\.([EW]\d{3})", text):
            assert f"| `{''.join(found)}` |" in readme
        for variable in re.findall(r"\b(?:DB|LOG)_[A-Z_]+[A-Z]\b", text):
            assert f"`{variable}" in settings
        done = subprocess.run(
            [sys.executable, "-m", "shared_core", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert "doctor" in done.stdout


class TestDeleting:
    @isolate_apps("tests.library")
    def test_a_deleted_rows_value_can_be_reused_and_full_clean_reports_a_duplicate(self, db):
        page = run("Why can I not create a row with the value of a deleted one?")
        member = page["Member"]
        made(member)
        member.objects.create(email="ada@example.org").delete()
        member.objects.create(email="ada@example.org")

        with pytest.raises(ValidationError, match="already exists"):
            member(email="ada@example.org").full_clean()

    def test_account_of_finds_restores_or_creates_an_account(self, db):
        account_of = run("Why does get_or_create not find a row that was deleted?")["account_of"]
        first = account_of("ada@example.org")
        first.delete()
        twin, is_new = Account.objects.get_or_create(email="ada@example.org")
        assert is_new

        twin.delete()
        assert account_of("ada@example.org") == twin  # the last one, and not the first
        assert account_of("ada@example.org") == twin
        assert Account.objects.get() == twin

    def test_a_serializer_needs_a_unique_validator_over_active_rows(self, db):
        page = run("Why does my serializer let a taken value through?")
        Account.objects.create(email="ada@example.org")
        told = page["AccountSerializer"](data={"email": "ada@example.org"})

        class Plain(serializers.ModelSerializer):
            class Meta:
                model = Account
                fields = ["email"]

        plain = Plain(data={"email": "ada@example.org"})
        if tuple(map(int, rest_framework.VERSION.split(".")[:2])) >= (3, 18):
            assert plain.is_valid()
            with pytest.raises(IntegrityError), transaction.atomic():
                plain.save()
        assert not told.is_valid()
        assert told.errors["email"][0].code == "unique"
        assert not page["AccountSerializer"](data={"email": "no address"}).is_valid()

        Account.objects.all().delete()
        assert page["AccountSerializer"](data={"email": "ada@example.org"}).is_valid()

    def test_a_serializer_may_check_several_fields_over_active_rows(self, db):
        class Plain(serializers.ModelSerializer):
            class Meta:
                model = Account
                fields = ["team", "handle"]
                validators = [UniqueTogetherValidator(Account.objects.all(), ["team", "handle"])]

        assert """UniqueTogetherValidator(Account.objects.all(), ["team", "handle"])""" in PAGES[0].read_text()
        account = Account.objects.create(email="ada@example.org", team="a", handle="b")
        assert not Plain(data={"team": "a", "handle": "b"}).is_valid()

        account.delete()
        assert Plain(data={"team": "a", "handle": "b"}).is_valid()

    def test_a_count_with_active_leaves_out_deleted_rows(self, author, book):
        Book.objects.create(author=author, title="The Telling").delete()
        idle = Author.objects.create(name="Nobody")
        Book.objects.create(author=idle, title="Nothing").delete()
        page = run("Why does a count include deleted rows?")

        assert Author.objects.annotate(n=Count("books")).get(pk=author.pk).n == 2
        assert page["written"].get(pk=author.pk).written == 1
        assert page["written"].get(pk=idle.pk).written == 0
        assert list(page["idle"]) == [idle]

    def test_a_foreign_key_reaches_deleted_rows_and_its_reverse_side_hides_them(self, author, book):
        book.translator = author
        book.save()
        Stamp.objects.create(book=book)
        book.delete()

        assert Stamp.objects.get().book == book
        assert Stamp.objects.select_related("book").get().book == book
        assert Stamp.objects.prefetch_related("book").get().book == book
        assert not author.books.exists()
        assert list(Author.objects.prefetch_related("books").get().books.all()) == []
        assert list(run("Why does a foreign key still lead to a deleted row?")["stamps"]) == []

        book.restore()
        Book.objects.filter(pk=book.pk).update(author=Author.objects.create(name="Another"))
        author.delete()
        assert Book.objects.get().translator == author

    @isolate_apps("tests.library")
    def test_the_reverse_of_a_foreign_key_hides_deleted_rows_unlike_a_one_to_one(self, db):
        class Ticket(BaseModel):
            class Meta:
                app_label = "library"

        class Exam(BaseModel):
            ticket = models.OneToOneField(Ticket, models.CASCADE, related_name="exam")

            class Meta:
                app_label = "library"

        page = run("Why does the other side of a one-to-one show a deleted row?", Ticket=Ticket)
        report_of, report = page["report_of"], page["Report"]
        made(Ticket, Exam, report)
        ticket = Ticket.objects.create()
        Exam.objects.create(ticket=ticket).delete()
        report.objects.create(ticket=ticket).delete()

        assert Ticket.objects.get().exam.is_deleted
        with pytest.raises(IntegrityError), transaction.atomic():
            Exam.objects.create(ticket=ticket)
        assert report_of(ticket) is None
        assert report.objects.create(ticket=ticket) == report_of(ticket)
        with pytest.raises(IntegrityError), transaction.atomic():
            report.objects.create(ticket=ticket)

    def test_a_form_keeps_its_current_choice_after_that_row_was_deleted(self, book):
        stamp = Stamp.objects.create(book=book)
        other = Book.objects.create(author=book.author, title="The Telling")
        gone = Book.objects.create(author=book.author, title="Gone")
        Book.objects.filter(pk__in=[book.pk, gone.pk]).delete()
        form = run("Why does a form refuse a row that it has shown itself?")["StampForm"]
        plain = forms.modelform_factory(Stamp, fields=["book"])

        assert "Select a valid choice" in str(plain({"book": book.pk}, instance=stamp).errors)
        assert form({"book": book.pk}, instance=stamp).is_valid()
        assert form({"book": other.pk}, instance=stamp).is_valid()
        assert not form({"book": gone.pk}, instance=stamp).is_valid()
        assert not form({"book": gone.pk}).is_valid()
        with pytest.raises(ImproperlyConfigured, match="not soft-deletable"):
            SoftDeleteAdmin(Stamp, None)

    def test_a_restore_leaves_rows_that_were_deleted_earlier(self, book):
        for title in ("Preface", "1", "2"):
            Chapter.objects.create(book=book, title=title)
        run("Does a restore bring back too much, or too little?", book=book)

        assert [chapter.title for chapter in book.chapters.order_by("title")] == ["1", "2"]

    def test_a_deleted_child_protects_its_parent_only_from_a_hard_delete(self, book):
        Loan.objects.create(book=book)
        with pytest.raises(ProtectedError):
            book.delete()
        soft, hard = blocks("Does a deleted child still protect its parent?")[0].split("\n\n")
        exec(soft, {"book": book})
        assert book.is_deleted

        with pytest.raises(ProtectedError):
            book.hard_delete()
        run("Does a deleted child still protect its parent?", book=book)
        assert not Book.all_objects.exists()
        assert hard.endswith("book.hard_delete()\n")

    def test_a_purge_takes_the_child_first(self, book):
        Loan.objects.create(book=book).delete()
        book.delete()
        call_command("purge_deleted", older_than="0d", stdout=io.StringIO())

        assert not Book.all_objects.exists()

    def test_deleting_many_rows_sends_a_signal_for_each(self, author):
        for title in ("a", "b", "c"):
            Book.objects.create(author=author, title=title)
        removed, taken = [], []
        page = run("Does deleting many rows send signals, and cost a query for each?", taken=taken)
        take = page["take_from_the_shelf"]
        note = receiver(post_delete, sender=Book)(lambda sender, instance, **_: removed.append(instance.title))
        try:
            Author.objects.all().delete()
            assert (sorted(taken), removed) == (["a", "b", "c"], [])

            author.hard_delete()
            assert sorted(removed) == ["a", "b", "c"]
        finally:
            post_soft_delete.disconnect(take, sender=Book)
            post_delete.disconnect(note, sender=Book)

    def test_deleting_many_rows_takes_one_update_per_relation(self, db, django_assert_num_queries):
        account = Account.objects.create(email="ada@example.org")
        Account.objects.bulk_create(Account(email=f"{n}@example.org", invited_by=account) for n in range(50))
        with django_assert_num_queries(5) as queries:
            account.delete()

        assert [query["sql"].split()[0] for query in queries.captured_queries].count("UPDATE") <= 3
        assert not Account.objects.exists()

    def test_forget_erases_a_person_who_was_soft_deleted_before(self, db):
        forget = run("How do I delete somebody's data for good?")["forget"]
        account = Account.objects.create(email="ada@example.org")
        Account.objects.create(email="guest@example.org", invited_by=account).delete()
        account.delete()

        assert Account.objects.filter(email="ada@example.org").hard_delete()[0] == 0
        assert forget("ada@example.org")[0] == 2
        assert not Account.all_objects.exists()

    @isolate_apps("tests.library")
    def test_a_deleted_user_cannot_log_in_and_has_no_session(self, db, monkeypatch, settings):
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # is quick
        user = run("Can a deleted user still log in?")["User"]
        made(user)
        monkeypatch.setattr(backends, "UserModel", user)
        ada = user(email="ada@example.org")
        ada.set_password("correct horse")
        ada.save()
        backend = backends.ModelBackend()
        backend.user_can_authenticate = lambda user: True
        assert backend.authenticate(None, "ada@example.org", "correct horse") == ada
        assert backend.get_user(ada.pk) == ada

        ada.delete()
        assert backend.authenticate(None, "ada@example.org", "correct horse") is None
        assert backend.get_user(ada.pk) is None

    def test_dumpdata_has_deleted_rows_with_all(self, author):
        author.delete()
        found = []
        for everything in (False, True):
            call_command("dumpdata", "library.Author", all=everything, stdout=(text := io.StringIO()))
            found.append("Ursula" in text.getvalue())

        assert found == [False, True]


class TestCalling:
    def test_timeout_ends_an_attempt_and_deadline_ends_a_call(self):
        server = Server()
        server.script(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000, pause=0.05))
        quicker = (
            blocks("Why does a call with a timeout of 5 s take 15 s?")[0].replace("=2", "=0.2").replace("=3", "=0.6")
        )
        names = {"HTTPClient": clients.HTTPClient, "base_url": server.url}
        exec(quicker, names)
        began = time.monotonic()
        with names["users"] as users, pytest.raises(clients.ServiceTimeout) as caught:
            users.get("/", token=False)
        server.close()

        assert 0.15 < caught.value.history[0].elapsed < 5
        assert time.monotonic() - began < 10  # all of the answer takes 50
        assert (users.default_timeout, users.default_deadline) == (5, 15)

    def test_a_post_is_retried_with_an_idempotency_key(self, users):
        with FakeService("user") as fake:
            fake.on("POST", "/api/v1/users").fail("broken", times=2).reply(201, json={})
            with pytest.raises(clients.ServiceConnectionError):
                users.post_json("/api/v1/users", {"name": "Ada"})
            assert len(fake.calls) == 1

            run('Why was my POST not repeated after "connection reset by peer"?', users=users)
            assert len(fake.calls) == 3
            assert fake.calls[1].headers["Idempotency-Key"] == fake.calls[2].headers["Idempotency-Key"]

    def test_an_idle_connection_that_the_server_closed_is_not_reused(self):
        server = Server()

        def once(connection, request):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return hang_up(connection, request)  # without Connection: close

        server.script(once)
        with clients.HTTPClient(server.url, token=False) as client:
            client.post("/")
            time.sleep(0.2)
            client.post("/")
        server.close()

        assert [request.connection for request in server.received] == [1, 2]

    def test_a_retry_after_of_an_hour_fails_at_once(self, users):
        synchronise = run("What if a server says Retry-After: 3600?", users=users, ServiceError=clients.ServiceError)[
            "synchronise"
        ]

        class Task:
            def retry(self, *, exc, countdown):
                self.exc, self.countdown = exc, countdown
                return exc

        task = Task()
        with FakeService("user") as fake:
            fake.on("GET", "/api/v1/users").reply(429, headers={"Retry-After": "3600"})
            with pytest.raises(clients.RateLimited):
                synchronise(task)
            assert (task.countdown, task.exc.attempts, len(fake.calls)) == (3600, 1, 1)

        with FakeService("user") as fake:
            fake.on("GET", "/api/v1/users").reply(503)
            with pytest.raises(clients.ServerError):
                synchronise(task)
        assert (task.countdown, task.exc.attempts) == (60, 4)

    def test_async_code_calls_in_a_thread_with_the_request_id(self, users):
        page = run(
            "Can a client be shared by threads and forked workers, and used in async code?",
            users=users,
            asyncio=asyncio,
        )
        with FakeService("user") as fake, context.bind(request_id="0f8fad5b00"):
            fake.on("GET", "/api/v1/users/42").reply(json={"name": "Ada"})

            assert asyncio.run(page["name_of"]("42")) == "Ada"
            assert fake.calls[0].headers["X-Request-ID"] == "0f8fad5b00"
        assert not [name for name in dir(clients) if name.startswith("Async")]

    def test_a_token_is_sent_only_to_its_origin(self, tmp_path, monkeypatch):
        recorder = Recorder()
        recorder.locations = ["http://elsewhere.invalid/"]
        (tmp_path / ".netrc").write_text("default login ada password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        with clients.HTTPClient("http://user:8000", token="own", transport=recorder) as client:
            client.get("/", headers={"X-Own": "1"})

        assert recorder.requests[0].headers["Authorization"] == "Bearer own"
        assert {"Authorization", "X-Own"} & set(recorder.requests[1].headers) == set()

    def test_the_path_of_the_base_url_stays(self):
        recorder = Recorder()
        page = run("Does a slash drop the path of the base URL?", HTTPClient=clients.HTTPClient, transport=recorder)

        assert [request.url for request in recorder.requests] == ["http://gateway:8000/tickets/v1/open"] * 2
        with clients.HTTPClient("http://gateway:8000/tickets/v1/", transport=recorder) as client:
            client.get("/open")
        assert recorder.requests[-1].url == "http://gateway:8000/tickets/v1/open"
        for url in ("//elsewhere/open", "/../open", "http://elsewhere/open"):
            with pytest.raises(clients.UnsafeURL):
                page["tickets"].get(url)

    def test_an_error_pickles_without_its_request(self, users):
        with FakeService("user") as fake:
            fake.on("GET", "/").reply(404, json={"why": "so"})
            with pytest.raises(clients.NotFound) as caught:
                users.get("/", token="own-token-0123456789")
        copy = pickle.loads(pickle.dumps(caught.value))

        assert (copy.service, copy.attempts, copy.response.json()) == ("user", 1, {"why": "so"})
        assert copy.request is None
        assert b"own-token" not in pickle.dumps(caught.value)


PROGRAM = """
import logging, logging.config, sys
from shared_core.logging_config import get_logging_config
AUDIT_LOG = sys.argv[1]
early = logging.getLogger("made.before")
{code}
logging.config.dictConfig(LOGGING)
early.info("Heard")
logging.getLogger("apps.tickets").info("Once")
logging.getLogger("apps.audit").info("Audited")
"""


class TestLogging:
    def test_each_record_is_written_once_to_its_destination(self, tmp_path):
        code = blocks("Why is a logger silent, or each of its lines there twice?")[0]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(code=code), str(tmp_path / "audit.log")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )

        assert [parse_line(line)["message"] for line in done.stderr.splitlines()] == ["Heard", "Once"]
        (line,) = (tmp_path / "audit.log").read_text().splitlines()
        assert parse_line(line)["message"] == "Audited"

    def test_an_extra_may_have_any_name(self, capture_logs):
        run('May extra have the key "name" or "filename"?', logger=logging.getLogger("apps.files"))
        (said,) = re.findall(r"# (File stored .+)", SECTIONS['May extra have the key "name" or "filename"?'])

        assert capture_logs[0]["fields"] == {"filename_": "plan.pdf"}
        assert said == "File stored filename_=plan.pdf"

    def test_a_traceback_is_one_line(self, capture_logs, capsys):
        logger = logging.getLogger("apps.sums")
        run("How do I keep a traceback one entry in Loki or CloudWatch?", logger=logger)
        (record,) = capture_logs

        assert record["fields"]["exc_type"] == "ZeroDivisionError"
        assert record["fields"]["trace"].count("\n") == 2
        formatter = configured(get_logging_config("ticket", format="text", environment="test")["formatters"]["verbose"])
        try:
            1 / 0  # noqa: B018  # as on the page
        except ZeroDivisionError:
            text = formatter.format(logger.makeRecord("a", 40, "f", 1, "Sum failed", (), sys.exc_info()))
        assert "\n" not in text
        assert list(parse_line(text)["fields"])[-3:] == ["exc_type", "exc_msg", "trace"]

    def test_a_secret_under_a_key_is_masked_and_a_bare_value_is_not(self, monkeypatch):
        monkeypatch.setenv("LOG_FORMAT", "text")
        found = []

        class Keeping(logging.Handler):
            def emit(self, record):
                found.append(record)

        logger = logging.Logger("apps.accounts")
        logger.addHandler(Keeping())
        heading = "Is every secret masked?"
        page = run(heading, logger=logger, key="4f9c2ab71d", iban="DE02120300", get_logging_config=get_logging_config)
        formatter = configured(page["LOGGING"]["formatters"]["verbose"])
        first, second = (formatter.format(record) for record in found)

        assert " Signed in api_key=*** iban=*** service=ticket" in first
        assert " Signed in with 4f9c2ab71d " in second


def configured(formatter):
    """Return a formatter as LOGGING describes it."""
    options = dict(formatter)
    return logging.config.DictConfigurator({}).resolve(options.pop("()"))(**options)


class TestDatabase:
    @pytest.mark.parametrize("number", [0, 3, 4, 5])
    def test_in_pieces_iterates_over_all_rows(self, db, number, django_assert_num_queries):
        in_pieces = run("How do I go through a million rows behind PgBouncer?")["in_pieces"]
        names = [str(n) for n in range(number)]
        Author.objects.bulk_create(Author(name=name) for name in names)
        with django_assert_num_queries(number // 2 + 1 + (number % 2)):
            found = [author.name for author in in_pieces(Author.objects.all(), size=2)]

        assert found == names

    @pytest.mark.django_db(transaction=True)
    def test_a_notify_through_the_pooler_reaches_a_direct_listener(self, settings):
        if "DIRECT" not in settings.DATABASES["default"]:
            pytest.skip("no way round the pooler is known here")
        notifications = run("Can I LISTEN through PgBouncer?", settings=settings, psycopg=psycopg, sql=sql)[
            "notifications"
        ]
        heard, is_heard = [], threading.Event()

        def listen():
            for notification in notifications("tickets"):
                heard.append(notification.payload)
                is_heard.set()
                return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        ends = time.monotonic() + 10
        while not is_heard.wait(0.05) and time.monotonic() < ends:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('tickets', '42')")
        listener.join(5)

        assert heard == ["42"]

    def test_connections_are_kept_and_checked(self, settings):
        database = settings.DATABASES["default"]

        assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (60, True)
        assert database["DISABLE_SERVER_SIDE_CURSORS"]


class TestAdopting:
    @isolate_apps("tests.library")
    def test_each_part_of_the_base_model_works_alone(self, db):
        page = run("Must every model have a UUID, and be soft-deleted?")
        invoice, rate = page["Invoice"], page["Rate"]
        made(invoice, rate)
        bill, price = invoice.objects.create(), rate.objects.create(value="1.5")
        bill.delete()
        price.delete()

        assert (invoice.all_objects.get().pk, invoice.objects.count()) == (1, 0)
        assert not rate.objects.exists()

    def test_logs_alone_need_no_django_settings(self):
        code = (
            "import logging.config, shared_core.logging_config as c; logging.config.dictConfig(c.get_logging_config())"
        )
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=30)


def git(*arguments, cwd, **options):
    identity = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for person in ("AUTHOR", "COMMITTER"):
        identity |= {f"GIT_{person}_NAME": "Ada", f"GIT_{person}_EMAIL": "ada@example.org"}
    # A submodule from a folder is refused, unless one says so.
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    environment = {**os.environ, **identity, **allowed, **options}
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def service(tmp_path):
    """A service that has the core's version 0.1.0 as its submodule, of which there is a 0.2.0."""
    core, service = tmp_path / "core", tmp_path / "service"
    for folder in (core, service):
        folder.mkdir()
        git("git", "init", "--quiet", cwd=folder)
    for version in ("0.1.0", "0.2.0"):
        if version == "0.2.0":
            git("git", "submodule", "--quiet", "add", str(core), "services/shared", cwd=service)
            git("git", "commit", "--quiet", "--message", "Add the core", cwd=service)
        (core / "CHANGELOG.md").write_text(f"## [{version}]\n")
        git("git", "add", "CHANGELOG.md", cwd=core)
        git("git", "commit", "--quiet", "--message", version, cwd=core)
        git("git", "tag", version, cwd=core)
    return service


class TestUpgrading:
    def test_the_commands_upgrade_a_service_and_go_back(self, service):
        changelog = service / "services" / "shared" / "CHANGELOG.md"
        taking = ["bash", "-euo", "pipefail", "-c", blocks("Take it", "sh")[0]]
        said = git(*taking, cwd=service, VERSION="0.2.0", GIT_PAGER="cat")

        assert "+## [0.2.0]" in said
        assert "0.2.0" in changelog.read_text()
        assert git("git", "status", "--porcelain", cwd=service) == ""

        git("bash", "-euo", "pipefail", "-c", blocks("Go back", "sh")[0], cwd=service)
        assert "0.1.0" in changelog.read_text()
        assert git("git", "status", "--porcelain", cwd=service) == ""

    def test_a_new_service_passes_the_checks_after_an_upgrade(self, tmp_path):
        commands = blocks("Take it", "sh")[1].splitlines()
        with database() as name, other_service() as url:
            generated = Generated.make(tmp_path, "ticket", name, USER_SERVICE_URL=url)
            said = [generated.manage(*command.removeprefix("python src/manage.py ").split()) for command in commands]
            doctor = generated.run("-m", "shared_core", "doctor").stdout

        assert "no issues" in said[0]
        assert "No changes detected" in said[1]
        assert "tickets.0001_initial" in said[2]
        assert "ok    " in doctor

    def test_the_package_has_no_tables_and_idempotency_has_one(self):
        from django.apps import apps

        assert list(apps.get_app_config("shared_core").get_models()) == []
        assert importlib.util.find_spec("shared_core.migrations") is None
        assert len(list(apps.get_app_config("shared_core_idempotency").get_models())) == 1

    def test_unique_active_constraint_replaces_djangos_without_a_migration(self):
        def state(constraint):
            fields = [("id", models.BigAutoField(primary_key=True)), ("email", models.EmailField())]
            fields.append(("is_deleted", models.BooleanField(default=False)))
            made = ProjectState()
            made.add_model(ModelState("tickets", "Ticket", fields, options={"constraints": [constraint]}))
            return made

        before = models.UniqueConstraint(fields=["email"], name="email", condition=Q(is_deleted=False))
        after = UniqueActiveConstraint(fields=["email"], name="email")

        assert MigrationAutodetector(state(before), state(after))._detect_changes() == {}
        path = ActiveParentConstraint(fields=["email"], name="x").deconstruct()[0]
        assert path == "shared_core.models.ActiveParentConstraint"

    def test_adopting_base_model_does_not_change_a_table_with_its_columns(self, db):
        def ticket(default):
            made = ProjectState()
            key = models.UUIDField(primary_key=True, default=default, editable=False)
            made.add_model(ModelState("tickets", "Ticket", [("id", key)]))
            return made

        (operation,) = (
            MigrationAutodetector(ticket(uuid.uuid4), ticket(uuid7))._detect_changes()["tickets"][0].operations
        )
        with connection.schema_editor(collect_sql=True) as editor:
            operation.database_forwards("tickets", editor, ticket(uuid.uuid4), ticket(uuid7))

        assert isinstance(operation, migrations.AlterField)
        assert editor.collected_sql == []

    def test_find_user_tells_an_outage_from_a_404_and_a_copy_reexports_names(self, users):
        page = run("From a copy of your own", users=users)
        with FakeService("user") as fake:
            fake.on("GET", "/api/v1/users/42").reply(404, times=1).reply(500)

            assert page["find_user"]("42") is None
            with pytest.raises(clients.ServerError):
                page["find_user"]("42")
        assert page["BaseModel"] is BaseModel
        assert page["generate_id"] is uuid7

    def test_old_processes_can_insert_during_the_migration_and_bad_rows_are_fixed(self, db):
        columns, mending = blocks("Models, in three releases")
        names = {"migrations": migrations, "models": models, "F": F}
        exec(columns, names)
        exec(mending, names)
        operations = names["operations"]
        before = ProjectState()
        fields = [("id", models.BigAutoField(primary_key=True)), ("updated_at", models.DateTimeField(auto_now=True))]
        before.add_model(ModelState("tickets", "Ticket", fields))
        insert = "INSERT INTO tickets_ticket (updated_at) VALUES ('2026-01-01Z') RETURNING id"
        with connection.schema_editor() as editor, connection.cursor() as cursor:
            editor.create_model(before.apps.get_model("tickets", "Ticket"))
            cursor.execute(insert)
            state = before.clone()
            for operation in operations:
                changed = state.clone()
                operation.state_forwards("tickets", changed)
                operation.database_forwards("tickets", editor, state, changed)
                if operation is operations[1]:
                    with pytest.raises(IntegrityError, match="null value"), transaction.atomic():
                        cursor.execute(insert)
                state = changed
            cursor.execute(insert)
            cursor.execute("UPDATE tickets_ticket SET is_deleted = true WHERE id = 1")
            cursor.execute("INSERT INTO tickets_ticket (updated_at, deleted_at) VALUES (now(), now())")
        names["agree"](state.apps, None)
        ticket = state.apps.get_model("tickets", "Ticket")
        rows = list(ticket.objects.order_by("id").values_list("is_deleted", "deleted_at", "updated_at"))

        assert [(is_deleted, deleted_at is None) for is_deleted, deleted_at, _ in rows] == [
            (True, False),
            *[(False, True)] * (len(rows) - 1),
        ]
        assert rows[0][1] == rows[0][2]
