"""A service that ``python -m shared_core startservice`` makes, on the suite's PostgreSQL, and what runs in it."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
from psycopg import sql

from shared_core.clients import HTTPClient, ServiceError
from tests.services.fleet import plain_environment
from tests.stack.process import Process
from tests.stack.servers import free_port

TOKEN = secrets.token_urlsafe(32)  # a production would refuse a weaker one
OWNER = "01990000-0000-7000-8000-000000000001"
_DATABASE = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_DIRECT_HOST", "DB_DIRECT_PORT")
_START_WITHIN = 30.0  # seconds


def shared_core(*arguments: str, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m shared_core``."""
    options.setdefault("env", plain_environment())
    return subprocess.run(
        [sys.executable, "-m", "shared_core", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


def database_environment() -> dict[str, str]:
    """Return the variables of the suite's database, but for its name."""
    return {variable: os.environ[variable] for variable in _DATABASE if variable in os.environ}


@contextmanager
def database() -> Iterator[str]:
    """Yield the name of a new, empty database on the suite's server."""
    name = f"generated_{secrets.token_hex(4)}"
    _execute("CREATE DATABASE {}", name)
    try:
        yield name
    finally:
        _execute("DROP DATABASE {} WITH (FORCE)", name)


def _execute(statement: str, name: str) -> None:
    login = {part: os.environ[f"DB_{part.upper()}"] for part in ("host", "port", "user", "password")}
    with psycopg.connect(**login, dbname=os.environ["DB_NAME"], autocommit=True, prepare_threshold=None) as connection:  # type: ignore[call-overload]
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def other_service() -> Iterator[str]:
    """Yield the URL of a service that is alive and knows OWNER."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Other(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/" or self.path.endswith(f"/{OWNER}") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Generated:
    """The service in ``folder``; its environment is all that what runs in it sees."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, parent: Path, name: str, database_name: str, **environment: str) -> "Generated":
        """Have it made, with the environment of a developer's machine."""
        done = shared_core("startservice", name, cwd=parent)
        assert done.returncode == 0, done.stderr
        values = {
            **database_environment(),
            "DB_NAME": database_name,
            "SERVICE_ACCEPTED_TOKENS": f"gateway={TOKEN}",
            **environment,
        }
        return cls(parent / f"{name}-service", {**plain_environment(), **values})

    @property
    def production(self) -> dict[str, str]:
        """The environment as it is in production."""
        return {
            **self.environment,
            "ENVIRONMENT": "production",
            "DJANGO_SETTINGS_MODULE": "core.settings.prod",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "127.0.0.1",
            "SERVICE_AUTH_TOKEN": secrets.token_urlsafe(32),
        }

    def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python in its folder."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=env or self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def manage(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Run its manage.py and return all that is printed."""
        done = self.run("src/manage.py", *arguments, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def serving(self, log: Path) -> Iterator[str]:
        """Yield its URL, served by gunicorn in production, with its console in ``log``."""
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "core.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "2"]
        process = Process(command, log=log, env=self.production, cwd=self.folder / "src", stop_signal=signal.SIGQUIT)
        process.start()
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stop()


def _wait_until_ready(url: str, process: Process) -> None:
    end = time.monotonic() + _START_WITHIN
    with HTTPClient(url, token=False, timeout=2, breaker=None) as client:
        while not _is_ready(client):
            assert process.running, process.tail()
            assert time.monotonic() < end, process.tail()
            time.sleep(0.1)


def _is_ready(client: HTTPClient) -> bool:
    try:
        client.get("/ready/", retries=0)
    except ServiceError:
        return False
    return True
