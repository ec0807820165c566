"""Files of tokens that break or change while a service runs, and tokens that anybody can read in this repository."""

import json
import os
import re
import resource
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.locmem import EmailBackend
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core import conf
from shared_core.auth import jwts, service_auth_required, tokens
from shared_core.auth.tokens import AcceptedTokens
from shared_core.checks.secrets import check_secrets
from shared_core.checks.services import check_callers
from shared_core.clients import ServiceToken
from shared_core.service_settings import accepted_tokens, fault_of_secret, get_service_settings, secret
from tests.auth.verifying import checked

ROOT = Path(__file__).parents[2]
SECRET = "Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6"
TICKET, FILE, NEW = (f"{name}-Qe7w1oZ9hZp3vT5yN8sX" for name in ("t", "f", "n"))


@service_auth_required()
def whoami(request):
    return HttpResponse(request.service)


def ask(token):
    """Return the calling service, or the status of the refusal."""
    response = whoami(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))
    return response.content.decode() if response.status_code == 200 else response.status_code


@pytest.fixture
def folder(tmp_path, settings, monkeypatch):
    """A folder of tokens, as a service has it: its settings are read, and no file is touched meanwhile."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "ticket").write_text(TICKET)
    (folder / "file").write_text(FILE)
    monkeypatch.delenv("SERVICE_ACCEPTED_TOKENS", raising=False)
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS_DIR", str(folder))
    settings.SERVICE_ACCEPTED_TOKENS = accepted_tokens()
    return folder


@pytest.fixture(params=["folder", "files"])
def files(request, folder, settings):
    """The same folder; or its files, written in the settings one by one."""
    if request.param == "files":
        settings.SERVICE_ACCEPTED_TOKENS = {name: [folder / name] for name in ("ticket", "file")}
    return folder


def errors(logs):
    return [
        line["fields"]["reason"] for line in logs if line["level"] == "ERROR" and line["logger"] == "shared_core.auth"
    ]


class Broken:
    """What becomes of the file of ticket."""

    def empty(self, path):
        path.write_text("")

    def blank(self, path):
        path.write_text("\n \n")

    def one_character(self, path):
        path.write_text("x")

    def binary(self, path):
        path.write_bytes(b"\xff" * 40)

    def another_services(self, path):
        path.write_text(path.with_name("other").read_text())

    def a_folder(self, path):
        path.unlink()
        path.mkdir()

    def a_link_to_nothing(self, path):
        path.unlink()
        path.symlink_to("nothing")

    def removed(self, path):
        path.unlink()

    def a_pipe(self, path):
        path.unlink()
        os.mkfifo(path)


BROKEN = [name for name in vars(Broken) if not name.startswith("_")]
SILENT_IN_A_FOLDER = {"removed", "a_folder", "a_link_to_nothing", "a_pipe"}  # no file is there, as where it is revoked


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_breaks_shuts_out_its_own_service_alone(files, settings, how, capture_logs):
    (files / "other").write_text(NEW)
    listed = settings.SERVICE_ACCEPTED_TOKENS
    settings.SERVICE_ACCEPTED_TOKENS = {**listed, **({} if "*" in listed else {"other": [files / "other"]})}
    assert [ask(TICKET), ask(FILE), ask(NEW)] == ["ticket", "file", "other"]

    getattr(Broken(), how)(files / "ticket")
    for _ in range(3):
        assert [ask(TICKET), ask(FILE)] == [401, "file"]
    told = errors(capture_logs)
    assert len(told) == (0 if "*" in listed and how in SILENT_IN_A_FOLDER else 1)
    assert ask(NEW) == (401 if how == "another_services" else "other")
    assert not any(token in str(capture_logs) for token in (TICKET, FILE, NEW))

    if (files / "ticket").is_dir():
        (files / "ticket").rmdir()
    (files / "ticket").unlink(missing_ok=True)
    (files / "ticket").write_text(TICKET)
    assert [ask(TICKET), ask(FILE), ask(NEW)] == ["ticket", "file", "other"]


def test_a_line_that_is_no_token_costs_no_other_line(files, capture_logs):
    (files / "ticket").write_text(f"{TICKET}\nshort\n{NEW}\n")

    assert [ask(TICKET), ask(NEW), ask("short")] == ["ticket", "ticket", 401]
    assert errors(capture_logs) == [f"{files / 'ticket'} line 2 has fewer than 16 characters"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_mark_of_an_editor_is_no_part_of_a_token(files, encoding, capture_logs):
    (files / "ticket").write_text(f"{TICKET}\r\n{NEW}\r\n", encoding=encoding)

    assert [ask(TICKET), ask(NEW)] == ["ticket", "ticket"]
    assert errors(capture_logs) == []


@pytest.mark.parametrize("inside", [" ", "\t", "\u00a0", "é", '"', "\x00", "==", ","])
def test_a_line_that_no_caller_can_send_is_a_fault(files, inside, capture_logs):
    (files / "ticket").write_text(f"{TICKET}{inside}x\n{NEW}\n")

    assert [ask(TICKET), ask(NEW), ask(FILE)] == [401, "ticket", "file"]
    reason = "line 1 holds a space or another character that no token has (RFC 6750 §2.1)"
    assert errors(capture_logs) == [f"{files / 'ticket'} {reason}"]


@pytest.mark.parametrize("environment", ["production", "test"])
def test_nor_is_such_a_token_one_in_settings_or_in_the_environment(exposed, environment, settings, monkeypatch):
    exposed(environment)
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"ticket={TICKET} x")
    with pytest.raises(ImproperlyConfigured, match="a token of ticket holds a space"):
        accepted_tokens()

    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [f"{TICKET} x", NEW]}
    assert [ask(NEW), ask(TICKET)] == ["ticket", 401]


WRONG_WAY = ["Tq3x9ZvLw7Rk2Mj8Yc5Nb", "a3f19c27be504d886a3f19c27be504d8", "3f19c27be504d886", "t0-Qe7w1oZ9hZp3vT5yN8sX"]


@pytest.fixture(params=["production", "test"])
def anywhere(request, exposed):
    exposed(request.param)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("token", WRONG_WAY)
def test_a_token_that_is_written_the_wrong_way_round_is_not_shown(token, settings, monkeypatch, capture_logs):
    for text in (f"{token}=ticket", f"gateway={FILE},{token}=gateway", f"{token}={token} x", f"{token}={'a' * 15}"):
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", text)
        with pytest.raises(ImproperlyConfigured, match=r"a token of entry [12] ") as raised:
            accepted_tokens()
        assert token not in str(raised.value)

    shared = {token: [FILE], "ticket": [FILE]}
    faulty = {token: "ticket"}, {token: ["short"]}, {token: None}, shared, {"ticket": [FILE], token: [FILE]}
    for accepted in faulty:
        settings.SERVICE_ACCEPTED_TOKENS = accepted
        with pytest.raises(ImproperlyConfigured) as raised:
            ask(NEW)
        assert token not in str(raised.value)
        assert token not in str(list(check_callers()))
    settings.SERVICE_ACCEPTED_TOKENS = {token: [f"{FILE} x", "a" * 16, NEW]}
    assert ask("x" * 16) == 401
    assert token not in str([*check_secrets(), *check_callers(), capture_logs])


def test_a_service_of_a_usual_name_is_named(settings):
    for name in ("ticket", "ticket-2", "communication-service"):
        settings.SERVICE_ACCEPTED_TOKENS = {name: ["short"]}
        with pytest.raises(ImproperlyConfigured, match=name):
            ask(NEW)


def test_a_token_of_two_services_is_neithers(files, settings, capture_logs):
    settings.SERVICE_ACCEPTED_TOKENS = {**settings.SERVICE_ACCEPTED_TOKENS, "cron": [NEW]}
    (files / "file").write_text(f"{TICKET}\n{NEW}\n{FILE}\n")

    assert [ask(TICKET), ask(NEW), ask(FILE)] == [401, 401, "file"]
    told = " ".join(errors(capture_logs))
    assert "is a token of cron too, and is accepted from neither" in told
    assert re.search("is a token of (ticket|file) too", told)
    (files / "file").write_text(FILE)
    assert [ask(TICKET), ask(NEW), ask(FILE)] == ["ticket", "cron", "file"]


def test_a_file_that_is_broken_when_the_service_starts_shuts_out_its_own_service_alone(files, capture_logs):
    (files / "ticket").write_text("x")

    assert [ask(TICKET), ask(FILE)] == [401, "file"]
    assert len(errors(capture_logs)) == 1


def test_what_breaks_is_told_by_the_check_too(files):
    (files / "ticket").write_text("x")
    (message,) = check_callers()

    assert message.id == "shared_core.E207"
    assert f"{files / 'ticket'} line 1 has fewer than 16 characters" in message.msg


def test_an_empty_folder_lets_nobody_in_and_the_check_says_so(folder, settings):
    for path in folder.iterdir():
        path.unlink()
    settings.MIDDLEWARE = [
        "shared_core.middleware.RequestContextMiddleware",
        "shared_core.auth.ServiceAuthMiddleware",
    ]

    assert ask(TICKET) == 401
    assert [message.id for message in check_callers()] == ["shared_core.W206"]


class TestAFolder:
    @pytest.mark.parametrize("name", ["ticket~", "ticket.bak", "#ticket#", "*", "Ticket", "ticket 2", "1ticket"])
    def test_a_file_that_no_service_is_named_like_lets_nobody_in(self, folder, name, capture_logs):
        revoked = f"{TICKET}-revoked"
        (folder / name).write_text(f"{revoked}\n{TICKET}\n")

        for _ in range(3):
            assert [ask(revoked), ask(TICKET), ask(FILE)] == [401, "ticket", "file"]
        reason = f"{folder} holds files that no service is named like, and that are not read: {name!r}"
        assert errors(capture_logs) == [reason]
        assert [message.id for message in check_callers()] == ["shared_core.E207"]
        (folder / name).unlink()
        assert list(check_callers()) == []

    def test_a_token_that_is_a_files_name_is_not_logged(self, folder, capture_logs):
        (folder / f"X{TICKET}").write_text("ticket")

        assert ask(TICKET) == "ticket"
        assert len(errors(capture_logs)) == 1
        assert TICKET not in str(capture_logs)

    def test_other_folders_and_hidden_files_are_no_fault(self, folder, capture_logs):
        (folder / "lost+found").mkdir()
        (folder / "..data").mkdir()
        (folder / ".ticket.swp").write_text(NEW)

        assert [ask(NEW), ask(TICKET)] == [401, "ticket"]
        assert errors(capture_logs) == []

    def test_an_entry_that_cannot_be_looked_at_shuts_out_its_own_service_alone(self, folder, monkeypatch, capture_logs):
        """As where a link leads into the folder of another user; who may do everything has to pretend."""
        stat, read_text = Path.stat, Path.read_text

        def refuse(what):
            def instead(path, *args, **kwargs):
                if path.name == "file":
                    raise PermissionError(13, "Permission denied")
                return what(path, *args, **kwargs)

            return instead

        monkeypatch.setattr(Path, "stat", refuse(stat))
        monkeypatch.setattr(Path, "read_text", refuse(read_text))

        for _ in range(3):
            assert [ask(TICKET), ask(FILE)] == ["ticket", 401]
        assert errors(capture_logs) == [f"{folder / 'file'} cannot be read: Permission denied"]

    def test_a_link_to_nothing_lets_in_once_it_leads_somewhere(self, folder, tmp_path, monkeypatch):
        monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
        (folder / "cron").symlink_to(tmp_path / "later")
        settle(folder, folder / "ticket", folder / "file")
        assert ask(NEW) == 401

        (tmp_path / "later").write_text(NEW)

        assert ask(NEW) == "cron"

    def test_a_new_callers_file_is_seen(self, folder):
        assert ask(NEW) == 401
        (folder / "cron").write_text(NEW)

        assert [ask(NEW), ask(TICKET)] == ["cron", "ticket"]

    def test_a_folder_that_is_gone_shuts_out_those_of_its_files(self, folder, settings, capture_logs):
        settings.SERVICE_ACCEPTED_TOKENS = {**settings.SERVICE_ACCEPTED_TOKENS, "cron": [NEW]}
        assert [ask(NEW), ask(TICKET)] == ["cron", "ticket"]

        folder.rename(folder.with_name("elsewhere"))
        for _ in range(3):
            assert [ask(NEW), ask(TICKET)] == ["cron", 401]
        assert errors(capture_logs) == [f"{folder} cannot be read: No such file or directory"]

        folder.with_name("elsewhere").rename(folder)
        assert ask(TICKET) == "ticket"

    def test_what_a_service_adds_to_the_dict_counts(self, folder, settings):
        accepted = accepted_tokens()
        accepted.setdefault("cron", []).append(NEW)
        settings.SERVICE_ACCEPTED_TOKENS = accepted

        assert [ask(NEW), ask(TICKET)] == ["cron", "ticket"]

    @pytest.mark.parametrize("own", [["a-token-that-is-long"], ["x"], [None]])
    def test_no_token_stands_where_a_folder_does(self, own):
        with pytest.raises(ImproperlyConfigured, match=r"\['\*'\] must be a list of folders") as raised:
            AcceptedTokens({"*": own})
        assert "a-token-that" not in str(raised.value)

    def test_nor_in_the_environment(self, monkeypatch):
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"*={TICKET}")

        with pytest.raises(ImproperlyConfigured, match="write service=token"):
            accepted_tokens()


def settle(*paths):
    """Wait until the clock of the file system has gone on so far that states are believed."""
    ends = time.monotonic() + 5
    while max(path.stat().st_ctime_ns for path in paths) > time.time_ns() - 20_000_000:
        assert time.monotonic() < ends
        time.sleep(0.005)


class TestAChangeIsSeen:
    def rewrite(self, path, text):
        before = path.stat()
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size)

    def test_though_size_and_time_are_what_they_were(self, files, monkeypatch):
        monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
        settle(files, files / "ticket", files / "file")
        assert ask(TICKET) == "ticket"

        self.rewrite(files / "ticket", NEW)

        assert [ask(TICKET), ask(NEW)] == [401, "ticket"]

    def test_however_fast_it_comes(self, files):
        path = files / "ticket"
        for number in range(200):
            token = f"{TICKET}{number:03}"
            path.write_text(token)
            assert ask(token) == "ticket"

    def test_by_a_file_system_that_counts_in_seconds(self, files, monkeypatch):
        def in_seconds(path):
            inode, modified, changed, size = state_of(path)
            return inode, modified // 10**9 * 10**9, changed // 10**9 * 10**9, size

        state_of = tokens.state_of
        monkeypatch.setattr(tokens, "state_of", in_seconds)

        self.test_however_fast_it_comes(files)

    def test_by_many_threads_at_once_and_told_by_one(self, files, capture_logs):
        assert ask(TICKET) == "ticket"
        (files / "ticket").write_text("x")
        together = threading.Barrier(8)

        def run(_):
            together.wait(10)
            return ask(FILE)

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(run, range(8))) == {"file"}
        assert len(errors(capture_logs)) == 1

    def test_by_kubernetes_which_swaps_a_link(self, folder, monkeypatch):
        monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
        for name in ("ticket", "file"):
            (folder / name).unlink()
        for version, token in (("..1", TICKET), ("..2", NEW)):
            (folder / version).mkdir()
            (folder / version / "ticket").write_text(token)
            os.utime(folder / version / "ticket", ns=(1, 1))
        (folder / "..2" / "cron").write_text(FILE)
        (folder / "..data").symlink_to("..1")
        (folder / "ticket").symlink_to("..data/ticket")
        settle(folder, folder / "ticket")
        assert [ask(TICKET), ask(NEW), ask(FILE)] == ["ticket", 401, 401]

        (folder / "..data_tmp").symlink_to("..2")
        (folder / "..data_tmp").rename(folder / "..data")
        (folder / "cron").symlink_to("..data/cron")

        assert [ask(TICKET), ask(NEW), ask(FILE)] == [401, "ticket", "cron"]

    def test_and_so_is_the_end_of_what_no_file_is_to_blame_for(self, files, monkeypatch):
        """A process without a free descriptor, as strangers with many connections leave it, reads no file."""
        monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
        (files / "ticket").write_text(f"{TICKET}\n{NEW}")
        settle(files, files / "ticket", files / "file")
        lowest_free = os.open(os.devnull, os.O_RDONLY)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, limits[1]))
        try:
            assert [ask(TICKET), ask(NEW), ask(FILE)] == [401, 401, 401]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            os.close(lowest_free)

        assert [ask(TICKET), ask(NEW), ask(FILE)] == ["ticket", "ticket", "file"]

    def test_and_nothing_is_read_where_there_is_none(self, folder, monkeypatch):
        monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
        settle(folder, folder / "ticket", folder / "file")
        accepted = AcceptedTokens({"*": [folder]})
        assert accepted.service_of(TICKET) == "ticket"

        monkeypatch.setattr(accepted, "read", None)

        assert accepted.service_of(FILE) == "file"


@pytest.mark.parametrize("is_started", [True, False], ids=["while the service runs", "before it starts"])
@pytest.mark.parametrize("broken", ["empty", "one_character", "binary", "a_folder", "removed", "a_pipe"])
def test_a_key_file_that_breaks_shuts_out_its_own_issuer_alone(tmp_path, settings, broken, is_started, capture_logs):
    """A worker that a server starts anew, hours later, is no other case."""
    keys = {name: tmp_path / name for name in ("ticket", "file")}
    for path in keys.values():
        path.write_text(SECRET)
    settings.SERVICE_ACCEPTED_TOKENS = {"cron": [NEW]}
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = keys, ["HS256"]
    settings.SERVICE_JWT_AUDIENCE = "user"
    jwts = [ServiceToken(name, "user", SECRET).mint().token for name in keys]
    if is_started:
        assert [ask(token) for token in (*jwts, NEW)] == ["ticket", "file", "cron"]

    getattr(Broken(), broken)(keys["ticket"])
    for _ in range(3):
        assert [ask(token) for token in (*jwts, NEW)] == [401, "file", "cron"]
    assert len(errors(capture_logs)) == 1
    assert [message.id for message in check_callers()] == ["shared_core.E207"]
    assert len(errors(capture_logs)) == 1

    keys["ticket"].rmdir() if keys["ticket"].is_dir() else keys["ticket"].unlink(missing_ok=True)
    keys["ticket"].write_text(SECRET)
    assert [ask(token) for token in (*jwts, NEW)] == ["ticket", "file", "cron"]
    assert list(check_callers()) == []


def test_a_key_file_that_changes_and_keeps_size_and_time_is_read_again(tmp_path, settings, monkeypatch):
    path = tmp_path / "key"
    path.write_text(SECRET)
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = {"ticket": path}, ["HS256"]
    settings.SERVICE_JWT_AUDIENCE = "user"
    monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
    settle(path)
    signed = ServiceToken("ticket", "user", SECRET).mint().token
    assert ask(signed) == "ticket"

    TestAChangeIsSeen().rewrite(path, SECRET[::-1])

    assert ask(signed) == 401


def test_a_broken_key_file_is_read_once_however_many_forged_tokens_come(tmp_path, settings, monkeypatch):
    """To load a private key of 4096 bits takes a quarter of a second, in which no other request is served."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path, reads = tmp_path / "key", []
    path.write_text(private)
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = {"ticket": path}, ["RS256"]
    settings.SERVICE_JWT_AUDIENCE = "user"
    monkeypatch.setattr(tokens, "_SETTLED_AFTER", 0.01)
    monkeypatch.setattr(jwts, "text_of", lambda path: reads.append(path) or tokens.text_of(path))
    settle(path)

    assert {ask("e30.eyJpc3MiOiJ0aWNrZXQifQ.AAAA") for _ in range(20)} == {401}  # {}.{"iss":"ticket"}
    assert len(reads) == 1
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert ask(ServiceToken("ticket", "user", private, algorithm="RS256").mint().token) == "ticket"


@pytest.fixture
def exposed(monkeypatch, tmp_path, settings):
    """A service that strangers may reach: no tests, as far as it can know."""

    def set_environment(name):
        monkeypatch.setenv("ENVIRONMENT", name)

    monkeypatch.chdir(tmp_path)  # where no .env is
    monkeypatch.setattr(conf, "_is_test_run", False)
    settings.DEBUG = False
    settings.SECRET_KEY = secrets.token_urlsafe(50)
    set_environment("production")
    return set_environment


# Of the strings in the tests, those that somebody thought of: they are no random secrets, nor texts that say a thing.
_THOUGHT_OF = re.compile(r"(?=.*[a-z]{3})(?![0-9a-f]{8}-)[a-z0-9-]+")


def published():
    """Yield ``(file, secret)`` of what is read in this repository by everybody who looks for a key or a token."""
    folders = [ROOT, ROOT / "docs", *(ROOT / "tests" / "services").glob("*-service")]
    places = {path for folder in folders for name in ("*.md", "*.yml", ".env*") for path in folder.glob(name)}
    places |= {*(ROOT / ".github").rglob("*.yml"), *(ROOT / "tests").rglob("*.py")}
    places |= {path for path in (ROOT / "shared_core" / "scaffold" / "service_template").rglob("*") if path.is_file()}
    for path in sorted(places):
        text = path.read_text().replace("\\\n", "")
        text = re.sub(r"\{\{ .*? \}\}", "ticket", text)  # as the scaffold fills it in
        names = r"(?:KEY|TOKENS?|SECRET)\b['\"]?\s*[:=]\s*"
        values = r"\"(?P<one>[^\"]*)\"|'(?P<two>[^']*)'|(?P<three>[^\s'\"]+)"
        for found in re.finditer(rf"{names}(?:{values})|Bearer (?P<bearer>\S+)", text):
            value = next(filter(None, found.groups()), "")
            for part in re.split(r",\s*(?=[a-z-]+=)", value):  # service=token,service=token
                token = re.sub(r"^[a-z-]+=|[\"'`,.)]+$", "", part.strip())
                is_code = path.suffix == ".py" and (found["three"] or not _THOUGHT_OF.fullmatch(token))
                if len(token) >= 16 and not is_code and not re.search(r"[(<…${]", token):
                    yield path.relative_to(ROOT).as_posix(), token


PUBLISHED = sorted({token for _, token in published()})


def test_what_is_published_is_found():
    assert {
        "gateway-on-this-machine-only",
        "ticket-on-this-machine-only",
        "gateway-for-a-developers-machine-and-ci-only",
        "ticket-for-a-developers-machine-and-ci-only",
        "for-a-developers-machine-and-ci-only-0123456789",
        "a-token-of-the-tests",
        "of-this-job-alone-0123456789-0123456789-0123456789",
    } <= set(PUBLISHED)


def test_what_is_published_to_be_run_says_that_it_is_for_development_or_tests():
    places = {path for path, _ in published() if path.endswith((".yml", ".example"))}
    said = {path: set(re.findall(r"\bENVIRONMENT[:=] *(\w+)", (ROOT / path).read_text())) for path in places}

    assert len(said) == 8
    assert [path for path, names in said.items() if not names or names - {"development", "test"}] == []


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("token", PUBLISHED)
def test_what_is_published_is_refused_at_the_start_wherever_strangers_come(exposed, environment, token, monkeypatch):
    exposed(environment)
    for name in ("SERVICE_AUTH_TOKEN", "SECRET_KEY"):
        monkeypatch.setenv(name, token)
        with pytest.raises(ImproperlyConfigured, match=f"{name} is too weak"):
            secret(name, shortest=16)
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"gateway={token}")
    with pytest.raises(ImproperlyConfigured, match="a token of gateway "):
        accepted_tokens()


@pytest.mark.parametrize("token", PUBLISHED)
def test_and_is_told_apart_where_settings_and_files_hold_it(exposed, token, settings, tmp_path, capture_logs):
    (tmp_path / "ticket").write_text(f"{token}\n{TICKET}\n")
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": [token], "ticket": [tmp_path / "ticket"], "file": [FILE]}
    settings.SERVICE_AUTH_TOKEN = token

    assert [ask(token), ask(TICKET), ask(FILE)] == [401, "ticket", "file"]
    assert len(errors(capture_logs)) == 2
    assert sorted(message.id for message in check_secrets()) == ["shared_core.E202", "shared_core.E211"]
    assert [message.id for message in check_callers()] == ["shared_core.E207"]
    assert not any(token in text for text in (str(capture_logs), *map(str, [*check_secrets(), *check_callers()])))


@pytest.mark.parametrize(
    "token",
    [
        "a" * 16,
        "changeme-changeme",
        "ticket-token-0123456789",
        "GATEWAY on_this machine ONLY",
        "qwertyuiopasdfgh",
        "zyxwvutsrqponmlk",
        "1q2w3e4r5t6y7u8i",
        "abcdefghijklmnop",
        "0123456789abcdef",
        "ticket-gateway-1234",
        "gateway-gateway-gateway",
        "ticketticket12345",
        "00000000000000000000abcde",
        "hdms-7hdms-7hdms-7",
    ],
)
def test_a_weak_token_is_refused_as_a_weak_secret_is(exposed, token, monkeypatch, settings):
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"gateway={token}")
    with pytest.raises(
        ImproperlyConfigured, match=r"a token of gateway (has fewer|is made|is published|holds a)"
    ) as raised:
        accepted_tokens()
    assert token not in str(raised.value)

    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": [token, FILE]}
    assert [ask(token), ask(FILE)] == [401, "gateway"]


@pytest.mark.parametrize("environment", ["development", "test"])
def test_in_development_and_tests_what_is_published_works(exposed, environment, settings, monkeypatch):
    exposed(environment)
    token = "gateway-on-this-machine-only"
    monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", f"gateway={token}")
    settings.SERVICE_ACCEPTED_TOKENS = accepted_tokens()

    assert ask(token) == "gateway"
    assert list(check_secrets()) == []


def test_the_key_that_get_service_settings_has_for_development_is_no_other_services(exposed, monkeypatch):
    exposed("test")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/n")
    for name in ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT", "DB_DIRECT_HOST", "DB_DIRECT_PORT"):
        monkeypatch.delenv(name, raising=False)
    key = get_service_settings("user")["SECRET_KEY"]
    exposed("production")
    monkeypatch.setenv("SECRET_KEY", key)

    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is too weak for production: it is published"):
        secret("SECRET_KEY", unsafe="another")


def test_tokens_that_are_made_as_we_say_are_accepted(exposed, settings):
    for _ in range(300):
        made = [secrets.token_urlsafe(32), secrets.token_hex(8)]
        settings.SERVICE_ACCEPTED_TOKENS = {"gateway": made}

        assert [ask(token) for token in made] == ["gateway", "gateway"]


def test_a_guessable_or_published_secret_of_jwts_is_refused(exposed, settings):
    settings.SERVICE_JWT_ALGORITHMS, settings.SERVICE_JWT_AUDIENCE = ["HS256"], "user"
    settings.SERVICE_JWT_ISSUER = "ticket"
    for key in ("a" * 40, "for-a-developers-machine-and-ci-only", "a secret of 32 bytes or more, from the environment"):
        settings.SERVICE_JWT_KEY = key
        with pytest.raises(ImproperlyConfigured, match=r"SERVICE_JWT_KEY (has fewer|is published)") as raised:
            ask("a.b.c")
        assert key not in str(raised.value)

    settings.SERVICE_JWT_KEY = secrets.token_urlsafe(32)
    assert ask("a.b.c") == 401


@pytest.mark.parametrize("key", ["a" * 40, "for-a-developers-machine-and-ci-only", "changeme" * 5, "\x01\x02" * 20])
def test_and_so_is_one_in_a_jwks(exposed, tmp_path, key):
    exposed("production")
    path = tmp_path / "jwks.json"

    def verifier(*keys):
        jwks = [{"kty": "oct", "k": urlsafe_b64encode(one).decode().rstrip("="), "kid": str(at)} for at, one in keys]
        path.write_text(json.dumps({"keys": jwks}))
        return checked(path, ["HS256"], "user", "ticket", 10)

    good = secrets.token_bytes(32)
    verifier((1, good), (2, secrets.token_urlsafe(32).encode()))
    for keys in ([(1, key.encode())], [(1, good), (2, key.encode())]):
        with pytest.raises(ImproperlyConfigured, match=r"SERVICE_JWT_KEY (has fewer|is published|is made)") as raised:
            verifier(*keys)
        assert key not in str(raised.value)

    exposed("test")
    verifier((1, key.encode()))


def test_random_bytes_are_no_weak_secret(exposed, tmp_path):
    path = tmp_path / "jwks.json"
    for _ in range(300):
        k = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        path.write_text(json.dumps({"keys": [{"kty": "oct", "k": k}]}))
        checked(path, ["HS256"], "user", "ticket", 10)


def test_random_tokens_are_not_weak():
    makers = (secrets.token_hex, secrets.token_urlsafe)
    refused = [token for make in makers for _ in range(3000) if fault_of_secret(token := make(16), 16)]

    assert refused == []


def test_a_mailbox_in_production_makes_no_suite(exposed, settings, monkeypatch):
    monkeypatch.delattr(mail, "outbox")
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": ["gateway-on-this-machine-only", FILE]}
    EmailBackend()

    assert hasattr(mail, "outbox")
    assert [ask("gateway-on-this-machine-only"), ask(FILE)] == [401, "gateway"]
