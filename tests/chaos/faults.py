"""What is done to the fleet: each fault is a context manager, in whose block it lasts.

What a fault kills outright is started again at its end, as an orchestrator would; nothing else is.
"""

import contextlib
import datetime as dt
import itertools
import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.fleet import Fleet
from tests.services.fleet import NAMES, FleetError

Do = Callable[[Fleet, random.Random], Iterator[None]]
_FROZEN = 4.0  # seconds: longer than a caller may have to wait
_turns: defaultdict[str, Iterator[str]] = defaultdict(lambda: itertools.cycle(NAMES))


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


for _name in NAMES:
    _fault(f"kill -9 {_name}-service", 1.0)(_kill_service(_name))


@_fault("kill -9 a gunicorn worker", 0.5)
def _kill_worker(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    choice.choice(fleet.workers(next(_turns["kill"]))).kill()
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
    process = fleet[next(_turns["freeze"])].process
    assert process is not None
    master = psutil.Process(process.pid)
    with _frozen([master, *master.children()]):
        yield


@_fault("freeze a gunicorn worker", _FROZEN)
def _freeze_worker(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    with _frozen([choice.choice(fleet.workers(next(_turns["freeze a worker"])))]):
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
        link = fleet.links[name or next(_turns[what])]
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
    name = next(_turns["skew"])
    skew = dt.timedelta(days=choice.choice([-2, -1, 1, 2]))
    begin = fleet[name].log_file.stat().st_size
    fleet.skew(name, int(skew.total_seconds()))
    try:
        yield
    finally:
        fleet.skew(name)
    _must_be_seen(f"{dt.datetime.now(dt.UTC) + skew:%Y-%m-%d}", fleet[name].log_file, begin)


@_fault("leave a service's workers no descriptor", 2.0)
def _exhaust_files(fleet: Fleet, choice: random.Random) -> Iterator[None]:
    name = next(_turns["descriptors"])
    begin = fleet[name].console.stat().st_size
    with contextlib.ExitStack() as stack:
        for worker in fleet.workers(name):
            # Below what is open: the next file or socket is refused, whatever its number would be.
            stack.enter_context(_limited(worker, resource.RLIMIT_NOFILE, 3))
        fleet.links[name].cut()  # or all would go on with the connections that they have
        fleet.links[name].mend()
        yield
    _must_be_seen("Too many open files", fleet[name].console, begin)


def _must_be_seen(text: str, log: Path, begin: int) -> None:
    """Make sure that the fault was one: it left a trace behind ``begin``, in bytes."""
    if text.encode() not in log.read_bytes()[begin:]:
        raise FleetError(f"the fault did nothing: {log} says nothing of {text!r}")


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
    name = next(_turns["hold"])
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
