"""Starts PostgreSQL, PgBouncer and the four services as a shop runs them: one process each, real HTTP, real database.

    with Fleet(folder) as fleet:
        HTTPClient(fleet["ticket"].url).get_json("/api/v1/tickets")

Each service is a Django project of its own under gunicorn, with a database of its own on the server that DB_HOST
names, else on a stack started for the fleet. Everything that was started is stopped at the end of the block, and also
where the caller is killed.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from shared_core.clients import HTTPClient, ServiceError
from tests.stack import Stack, StackError
from tests.stack.process import Process
from tests.stack.servers import free_port

NAMES = ("user", "file", "communication", "ticket")
# Who may call each of them. Behind the gateway are people.
CALLERS = {
    "user": ("gateway", "ticket"),
    "file": ("gateway", "ticket"),
    "communication": ("gateway", "ticket"),
    "ticket": ("gateway",),
}
WORKERS = 2
_HERE = Path(__file__).parent
_START_WITHIN = 30.0  # seconds
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")


class FleetError(StackError):
    """The fleet cannot be started; the message is one line that says what to do."""


class Service:
    """One of the four, as a process."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], tokens: dict[str, str]) -> None:
        """Prepare it; ``tokens`` are those of each caller, by name."""
        self.name = name
        self.tokens = {caller: tokens[caller] for caller in CALLERS[name]}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = folder / f"{name}.log"
        self.console = folder / f"{name}.console.log"
        self.source = _HERE / f"{name}-service" / "src"
        self.environment = {
            **environment,
            "ALLOWED_HOSTS": "127.0.0.1",
            "DB_NAME": f"{environment['DB_NAME']}_{name}",
            "DJANGO_SETTINGS_MODULE": "core.settings.prod",
            "FILE_STORAGE": str(folder / f"{name}-storage"),
            "LOG_FILE": str(self.log_file),
            "SECRET_KEY": secrets.token_hex(32),
            "SERVICE_ACCEPTED_TOKENS": ",".join(f"{caller}={token}" for caller, token in self.tokens.items()),
            "SERVICE_AUTH_TOKEN": tokens[name],
            "SERVICE_NAME": name,
        }
        self.process: Process | None = None

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py`` of the service and return what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=self.source, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise FleetError(f"{self.name}-service: manage.py {' '.join(arguments)} failed: {lines[-1]}")
        return done.stdout

    def start(self) -> None:
        """Start the service's gunicorn; `wait_until_ready` says when it answers."""
        command = [sys.executable, "-m", "gunicorn", "core.wsgi", "--chdir", str(self.source)]
        command += ["--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS), "--threads", "4"]
        # SIGQUIT: at once. Connections that are kept alive would hold a graceful end up for seconds.
        stop = signal.SIGQUIT
        self.process = Process(command, log=self.console, env=self.environment, cwd=self.source, stop_signal=stop)
        self.process.start()

    def kill(self) -> None:
        """End all processes of the service at once, as a lost machine would."""
        assert self.process is not None
        self.process.kill_all(signal.SIGKILL)

    def wait_until_ready(self) -> None:
        """Return once ``/ready/`` answers 200; FleetError where it does not in time."""
        assert self.process is not None
        end = time.monotonic() + _START_WITHIN
        with HTTPClient(self.url, token=False, timeout=2, breaker=None) as client:
            while True:
                try:
                    client.get("/ready/", retries=0)
                except ServiceError as error:
                    if not self.process.running:
                        raise FleetError(f"{self.name}-service ended at its start: {self.process.tail()}") from None
                    if time.monotonic() > end:
                        raise FleetError(f"{self.name}-service is not ready ({error}); see {self.console}") from None
                    time.sleep(0.1)
                else:
                    return

    def stop(self) -> None:
        """Stop the service, if it runs."""
        if self.process is not None:
            self.process.stop()
            self.process = None


class Fleet:
    """The four services and what they stand on."""

    def __init__(self, folder: Path, *, progress: Callable[[str], None] = lambda text: None) -> None:
        """Prepare a fleet with its logs and files in ``folder``, which exists; ``progress`` is told each step."""
        self._folder = folder
        self._progress = progress
        self._services: dict[str, Service] = {}
        self._databases: dict[str, str] = {}
        self._made: list[str] = []
        self.stack: Stack | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __getitem__(self, name: str) -> Service:
        return self._services[name]

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services.values())

    def _start(self) -> None:
        self._databases = self._find_server()
        prefix = f"hdms_{secrets.token_hex(4)}"
        shared = {**plain_environment(), **self._databases, "DB_NAME": prefix}
        tokens = {caller: secrets.token_hex(16) for caller in ("gateway", *NAMES)}
        self._services = {name: Service(name, self._folder, shared, tokens) for name in NAMES}
        urls = {f"{service.name.upper()}_SERVICE_URL": self._url(service) for service in self}
        for service in self:
            service.environment.update(urls)
        self._progress("creating four databases and running their migrations")
        for service in self:
            self._execute("CREATE DATABASE {}", service.environment["DB_NAME"])
            self._made.append(service.environment["DB_NAME"])
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda service: service.manage("migrate", "--verbosity", "0"), self))
        self._progress("starting four services, two gunicorn workers each")
        for service in self:
            service.start()
        for service in self:
            service.wait_until_ready()

    def _find_server(self) -> dict[str, str]:
        """Return the DB_* variables of the server that stands, or of a stack that is started."""
        if os.environ.get("DB_HOST"):
            names = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME")
            return {name: os.environ.get(name, "") for name in names}
        self._progress("starting PostgreSQL 16 and PgBouncer")
        self.stack = Stack()
        self.stack.start()
        return self.stack.environment

    def _url(self, service: Service) -> str:
        """Return where the others find a service."""
        return service.url

    def stop(self) -> None:
        """Stop the services, drop their databases, stop the stack."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Service.stop, self))
        if self.stack is not None:
            self.stack.stop()
            self.stack = None
        else:
            for name in self._made:
                self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made = []

    def _execute(self, statement: str, database: str) -> None:
        values = self._databases
        try:
            connection = psycopg.connect(
                host=values["DB_HOST"],
                port=values["DB_PORT"] or None,
                user=values["DB_USER"],
                password=values["DB_PASSWORD"],
                dbname=values["DB_NAME"],
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            raise FleetError(f"The server DB_HOST names cannot be used ({reason}): fix DB_*, or unset them.") from None
        with connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))


def plain_environment() -> dict[str, str]:
    """Return what a program needs of this process's environment, and nothing that a service would take for its own."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
