"""PostgreSQL 16 and PgBouncer, in transaction pooling, on loopback ports and in a temporary folder.

    with Stack() as stack:
        os.environ.update(stack.environment)      # DB_HOST and DB_PORT are PgBouncer's, DB_DIRECT_… PostgreSQL's

Both end with the process that started them, however it ends, and the folder goes with them.
"""

import atexit
import functools
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.stack import servers
from tests.stack.process import Process, StackError

__all__ = ["Stack", "StackError", "ensure_database"]


class Stack:
    """One PostgreSQL and one PgBouncer before it, which has so many server connections for each database."""

    def __init__(self, pool_size: int = 20) -> None:
        self._pool_size = pool_size
        self._password = secrets.token_hex(16)
        self._ports = {"postgres": 0, "pgbouncer": 0}
        self._programs = Path()
        self._keeper: Process | None = None
        self.folder = Path()
        self.behind = 0  # the port by which PgBouncer goes to PostgreSQL; by default PostgreSQL's own
        self.postgres: Process | None = None
        self.pgbouncer: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The DB_* variables of a service that stands on this stack."""
        return {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self._ports["pgbouncer"]),
            "DB_DIRECT_HOST": "127.0.0.1",
            "DB_DIRECT_PORT": str(self._ports["postgres"]),
            "DB_USER": servers.USER,
            "DB_PASSWORD": self._password,
            "DB_NAME": "postgres",
        }

    def start(self) -> None:
        """Start both; they answer when this returns.

        Raises:
            StackError: PgBouncer is missing, or something cannot be started or written; nothing is left running.
        """
        servers.find_pgbouncer()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="stack-"))
        except OSError as error:
            raise StackError(f"No folder can be made ({error}): set TMPDIR to one that can be written.") from None
        try:
            # A program that does nothing, whose guard removes the folder when this process is gone.
            self._keeper = Process(["tail", "-f", "/dev/null"], log=self.folder / "keeper.log", remove=self.folder)
            self._keeper.start()
            servers.give_to_ordinary_user(self.folder)
            servers.check_access(self.folder)
            self._programs = servers.postgres_programs(self.folder)
            servers.initialise(self._programs, self.folder, self._password)
            self.start_postgres()
            self.start_pgbouncer()
        except BaseException:
            self.stop()
            raise

    def start_postgres(self) -> None:
        """Start PostgreSQL; again, after it was killed, on the same port and with what was committed."""
        if self.postgres is not None:
            self.postgres.stop()
        self.postgres, self._ports["postgres"] = servers.start(
            lambda port: servers.postgres(self._programs, self.folder, port), self._login, self._ports["postgres"]
        )

    def start_pgbouncer(self) -> None:
        """Start PgBouncer; again, after it was killed, on the same port."""
        if self.pgbouncer is not None:
            self.pgbouncer.stop()
        program, behind = servers.find_pgbouncer(), self.behind or self._ports["postgres"]
        self.pgbouncer, self._ports["pgbouncer"] = servers.start(
            lambda port: servers.pgbouncer(program, self.folder, port, behind, self._password, self._pool_size),
            self._login,
            self._ports["pgbouncer"],
        )

    @property
    def _login(self) -> dict[str, str]:
        return {"user": servers.USER, "password": self._password, "dbname": "postgres"}

    def stop(self) -> None:
        """Stop both and remove their folder."""
        for process in (self.pgbouncer, self.postgres, self._keeper):
            if process is not None:
                process.stop()
        self.pgbouncer = self.postgres = self._keeper = None


def ensure_database() -> dict[str, str]:
    """Return the DB_* variables of a stack of this process, started by the first call; empty where DB_HOST is set."""
    if os.environ.get("DB_HOST"):
        return {}
    return _stack_of(os.getpid()).environment


@functools.cache
def _stack_of(pid: int) -> Stack:
    stack = Stack()
    stack.start()
    atexit.register(stop_in(pid, stack))
    return stack


def stop_in(pid: int, stack: Stack) -> Callable[[], None]:
    """Return a function that stops ``stack``, but not in a child that this process forked."""

    def stop() -> None:
        if os.getpid() == pid:
            stack.stop()

    return stop
