"""What is done to the fleet: each fault is a context manager, in whose block it lasts.

What a fault kills outright is started again at its end, as an orchestrator would; nothing else is.
"""

import contextlib
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.fleet import Fleet
from tests.services.fleet import NAMES

Do = Callable[[Fleet, random.Random], Iterator[None]]
_SKEWED = Path(__file__).parent / "skewed"
_FROZEN = 2.5  # seconds: longer than an attempt, shorter than a call


@dataclass(frozen=True)
class Fault:
    """A kind of fault: ``name`` as the table has it, and how many ``seconds`` it lasts."""

    name: str
    seconds: float
    do: Callable[[Fleet, random.Random], AbstractContextManager[None]]


ALL: list[Fault] = []


def _fault(name: str, seconds: float) -> Callable[[Do], Do]:
    def keep(do: Do) -> Do:
        ALL.append(Fault(name, seconds, contextlib.contextmanager(do)))
        return do

    return keep


@_fault("kill -9 PostgreSQL", 1.0)
def _kill_postgres(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    assert fleet.stack is not None
    assert fleet.stack.postgres is not None
    postmaster = psutil.Process(fleet.stack.postgres.pid)
    # All of it, as with a machine that is lost: the backends too.
    for process in [postmaster, *postmaster.children()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    yield
    fleet.stack.start_postgres()


@_fault("kill -9 PgBouncer", 1.0)
def _kill_pgbouncer(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    assert fleet.stack is not None
    assert fleet.stack.pgbouncer is not None
    fleet.stack.pgbouncer.kill()
    yield
    fleet.stack.start_pgbouncer()


def _kill_service(name: str) -> Do:
    def do(fleet: Fleet, choice: random.Random) -> Iterator[None]:
        fleet[name].kill()
        yield
        fleet[name].stop()
        fleet[name].start()

    return do


def _restart(fleet: Fleet, name: str, **environment: str) -> None:
    service = fleet[name]
    service.stop()
    for key in ("PYTHONPATH", "SKEW"):
        service.environment.pop(key, None)
    service.environment |= environment
    service.start()
    service.wait_until_ready()


for _name in NAMES:
    _fault(f"kill -9 {_name}-service", 1.0)(_kill_service(_name))


@_fault("kill -9 a gunicorn worker", 0.5)
def _kill_worker(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    choice.choice(fleet.workers(choice.choice(NAMES))).kill()
    yield  # gunicorn starts another


@_fault("freeze PostgreSQL", _FROZEN)
def _freeze_postgres(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    assert fleet.stack is not None
    assert fleet.stack.postgres is not None
    postmaster = psutil.Process(fleet.stack.postgres.pid)
    with _frozen([postmaster, *postmaster.children()]):
        yield


@_fault("freeze PgBouncer", _FROZEN)
def _freeze_pgbouncer(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    assert fleet.stack is not None
    assert fleet.stack.pgbouncer is not None
    with _frozen([psutil.Process(fleet.stack.pgbouncer.pid)]):
        yield


@_fault("freeze a service", _FROZEN)
def _freeze_service(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    process = fleet[choice.choice(NAMES)].process
    assert process is not None
    master = psutil.Process(process.pid)
    with _frozen([master, *master.children()]):
        yield


@_fault("freeze a gunicorn worker", _FROZEN)
def _freeze_worker(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    with _frozen([choice.choice(fleet.workers(choice.choice(NAMES)))]):
        yield


@contextlib.contextmanager
def _frozen(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def _on_link(name: str, what: str) -> Do:
    def do(fleet: Fleet, choice: random.Random) -> Iterator[None]:
        link = fleet.links[name or choice.choice(NAMES)]
        if what == "cut":
            link.cut()
        elif what == "freeze":
            link.freeze()
        else:
            link.slow(0.1)
        try:
            yield
        finally:
            link.mend()

    return do


for _link, _way in (("", "to a service"), ("pooler", "to PgBouncer"), ("database", "from PgBouncer to PostgreSQL")):
    _fault(f"cut the way {_way}", 1.0)(_on_link(_link, "cut"))
    _fault(f"let nothing through on the way {_way}", _FROZEN)(_on_link(_link, "freeze"))
    _fault(f"slow the way {_way}", _FROZEN)(_on_link(_link, "slow"))


@_fault("fill the log disk", 2.0)
def _fill_logs(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    if fleet.logs.is_mount():
        filler = fleet.logs / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        try:
            yield
        finally:
            filler.unlink()
        return
    # No disk can be mounted: no worker may make a file any longer, which fails as it does on a full disk.
    with contextlib.ExitStack() as stack:
        for name in NAMES:
            for worker in fleet.workers(name):
                stack.enter_context(_limited(worker, resource.RLIMIT_FSIZE, fleet[name].log_file.stat().st_size))
        yield


@_fault("skew a service's clock by days", 2.0)
def _skew(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    name = choice.choice(NAMES)
    seconds = choice.choice([-2, -1, 1, 2]) * 86400
    _restart(fleet, name, PYTHONPATH=str(_SKEWED), SKEW=str(seconds))
    try:
        yield
    finally:
        _restart(fleet, name)


@_fault("leave a service's workers no descriptor", 2.0)
def _exhaust_files(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for worker in fleet.workers(choice.choice(NAMES)):
            stack.enter_context(_limited(worker, resource.RLIMIT_NOFILE, worker.num_fds()))
        yield


@contextlib.contextmanager
def _limited(process: psutil.Process, what: int, most: int) -> Iterator[None]:
    before = process.rlimit(what)
    process.rlimit(what, (most, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(what, before)


@_fault("hold every server connection of a pool", _FROZEN)
def _exhaust_pool(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    name = choice.choice(NAMES)
    held = []
    try:
        end = time.monotonic() + 5
        for _ in range(20):
            connection = fleet.connect(name, direct=False)
            held.append(connection)
            connection.execute("BEGIN")
            if time.monotonic() > end:
                break
        yield
    finally:
        for connection in held:
            connection.close()


def named(text: str) -> list[Fault]:
    """Return the faults whose names have the text in them."""
    return [fault for fault in ALL if text in fault.name]


# Each lasts half a second, and they leave few circuits open: what a suite has the time for.
SHORT = (
    "kill -9 PostgreSQL",
    "kill -9 PgBouncer",
    "kill -9 a gunicorn worker",
    "freeze a gunicorn worker",
    "cut the way to PgBouncer",
    "slow the way to a service",
    "fill the log disk",
    "leave a service's workers no descriptor",
    "hold every server connection of a pool",
)
