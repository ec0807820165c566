"""The four services, each way between them a link that can be cut, and what can be seen of them from outside."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from shared_core.clients import HTTPClient, ServiceError
from tests.chaos.proxy import Link, Network
from tests.services import fleet
from tests.services.fleet import NAMES, FleetError, Service
from tests.stack import Stack

LOG_DISK = 256  # megabytes
_POOL = 20
_SKEWED = Path(__file__).parent / "skewed"


class Fleet(fleet.Fleet):
    """One that is called, and that calls its databases, by links."""

    def __init__(self, folder: Path, network: Network, *, progress: Callable[[str], None] = lambda text: None) -> None:
        super().__init__(folder, progress=progress)
        self.network = network
        self.links: dict[str, Link] = {}
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)

    def _find_server(self) -> dict[str, str]:
        self._progress("starting PostgreSQL 16 and PgBouncer, with links before both")
        self.stack = Stack(_POOL)
        self.stack.start()
        found = self.stack.environment
        self.links["database"] = self.network.link("database", int(found["DB_DIRECT_PORT"]))
        self.stack.behind = self.links["database"].port
        self.stack.start_pgbouncer()
        self.links["pooler"] = self.network.link("pooler", int(found["DB_PORT"]))
        return {**found, "DB_PORT": str(self.links["pooler"].port)}

    def _url(self, service: Service) -> str:
        # Where it logs to is a disk of its own, which can be filled.
        service.log_file = self.logs / f"{service.name}.log"
        service.environment["LOG_FILE"] = str(service.log_file)
        service.environment |= {"PYTHONPATH": str(_SKEWED), "SKEW": str(self.skew(service.name))}
        self.links[service.name] = self.network.link(service.name, service.port)
        return self.entrance(service.name)

    def skew(self, name: str, seconds: int = 0) -> Path:
        """Set a service's wall clock wrong by so much, while it runs; return where it looks that up."""
        path = self.logs.parent / f"{name}.skew"
        (new := path.with_suffix(".new")).write_text(str(seconds))
        return new.replace(path)

    def entrance(self, name: str) -> str:
        """Return the URL by which a service is called."""
        return f"http://127.0.0.1:{self.links[name].port}"

    def query(self, service: str, statement: str) -> list[tuple]:
        """Ask the database of a service, round all links and the pooler."""
        with self.connect(service) as connection:
            return connection.execute(statement).fetchall()

    def query_at_once(self, service: str, *statements: str) -> list[list[tuple]]:
        """Ask it several things, of one moment."""
        with self.connect(service) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return [connection.execute(statement).fetchall() for statement in statements]

    def connect(self, service: str, *, direct: bool = True) -> psycopg.Connection:
        """Connect to a service's database, round the pooler or through it."""
        assert self.stack is not None
        environment = self.stack.environment
        return psycopg.connect(
            host="127.0.0.1",
            port=environment["DB_DIRECT_PORT" if direct else "DB_PORT"],
            user=environment["DB_USER"],
            password=environment["DB_PASSWORD"],
            dbname=self[service].environment["DB_NAME"],
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=5,
        )

    def wait_until_ready(self, seconds: float) -> None:
        """Return once all four answer ``/ready/`` with 200, by their links; FleetError where they do not in time."""
        end = time.monotonic() + seconds
        for name in NAMES:
            with HTTPClient(self.entrance(name), token=False, timeout=2, breaker=None) as client:
                while True:
                    try:
                        client.get("/ready/", retries=0)
                        break
                    except ServiceError as error:
                        if time.monotonic() > end:
                            raise FleetError(f"{name} is not ready {seconds:g} s after: {error}") from None
                        time.sleep(0.05)

    def wait_until_idle(self, seconds: float) -> None:
        """Return once no service does anything for a request any more: no transaction, and no statement."""
        end = time.monotonic() + seconds
        seen = 0
        while seen < 3:
            seen = seen + 1 if not self._busy() else 0
            if time.monotonic() > end:
                raise FleetError(f"requests are still being served {seconds:g} s after the last caller left")
            time.sleep(0.05)

    def _busy(self) -> int:
        return self.server_connections("state <> 'idle'")

    def server_connections(self, which: str = "true") -> int:
        """Return how many connections PostgreSQL has for the services' databases, but for the one that asks."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'hdms%' AND pid <> pg_backend_pid() AND "
        return int(self.query("ticket", asked + which)[0][0])

    def workers(self, name: str) -> list[psutil.Process]:
        """Return a service's gunicorn workers."""
        process = self[name].process
        assert process is not None
        return psutil.Process(process.pid).children()


@dataclass(frozen=True)
class Usage:
    """What the processes of the fleet hold: the most that a worker of each service has, by its name."""

    memory: dict[str, float]  # megabytes, resident
    files: dict[str, int]  # open descriptors, sockets among them
    threads: dict[str, int]
    half_closed: int  # sockets that the other side closed and ours did not, of all workers
    server_connections: int


def usage(fleet: Fleet) -> Usage:
    """Look at all workers."""
    memory, files, threads, half_closed = {}, {}, {}, 0
    for name in NAMES:
        workers = fleet.workers(name)
        memory[name] = max(worker.memory_info().rss for worker in workers) / 1e6
        files[name] = max(worker.num_fds() for worker in workers)
        threads[name] = max(worker.num_threads() for worker in workers)
        half_closed += sum(
            connection.status == psutil.CONN_CLOSE_WAIT for worker in workers for connection in worker.net_connections()
        )
    return Usage(memory, files, threads, half_closed, fleet.server_connections())


@contextlib.contextmanager
def log_disk(folder: Path) -> Iterator[bool]:
    """Give ``folder`` a small disk of its own, where that is possible; say whether.

    It is mounted in a name space of this process and its children, and so is gone with them.
    """
    # Only root may, and only where a container does not forbid it.
    is_mounted = False
    if os.geteuid() == 0 and hasattr(os, "unshare"):
        with contextlib.suppress(OSError):
            os.unshare(os.CLONE_NEWNS)
            private = ["mount", "--make-rprivate", "/"]
            mount = ["mount", "-t", "tmpfs", "-o", f"size={LOG_DISK}m", "tmpfs", str(folder)]
            is_mounted = all(
                subprocess.run(command, capture_output=True, check=False).returncode == 0
                for command in (private, mount)
            )
    yield is_mounted
