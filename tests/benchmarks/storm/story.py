"""What happens to the servers, and the figures of each second."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared_core.clients.report import logger as http_logger
from tests.benchmarks.storm.callers import Process, Rule
from tests.benchmarks.storm.servers import Events, Exchange, Server

BROWN_OUT, WELL_AGAIN, OUTAGE, BACK, END = 60, 120, 180, 240, 360  # seconds
SLOWNESS = 2.5
WORKERS, BUSY, QUEUE = 4, 0.080, 2048
CALLS = 35.0  # a second, for each server
WELL = 0.95  # of the calls are answered
STEADY = 5  # seconds, over which that is looked at


@dataclass(frozen=True)
class Shape:
    """How many there are, and who knows whom."""

    processes: int = 10_000
    servers: int = 100
    is_one_service: bool = True  # one address for all servers, or one for each

    def __str__(self) -> str:
        return "one service" if self.is_one_service else f"{self.servers} services"


@dataclass
class Told:
    """What came of it: a figure for each second."""

    shape: Shape
    rule: str
    made: list[int] = field(default_factory=lambda: [0] * END)  # calls, by when they were made
    answered: list[int] = field(default_factory=lambda: [0] * END)  # of those that were made then
    good: list[int] = field(default_factory=lambda: [0] * END)  # calls answered, by when they were
    sent: list[int] = field(default_factory=lambda: [0] * END)  # requests
    wasted: int = 0  # answers that nobody waited for

    def load(self, start: int, end: int) -> float:
        """Return the requests that were sent between two seconds, for each call of good times."""
        return sum(self.sent[start:end]) / (CALLS * self.shape.servers * (end - start))

    def peak(self, start: int, end: int) -> float:
        """Return the highest load of a second between them."""
        return max(self.load(second, second + 1) for second in range(start, end))

    def goodput(self, start: int, end: int) -> float:
        """Return the share of the calls made between two seconds that were answered."""
        return sum(self.answered[start:end]) / sum(self.made[start:end])

    def recovery(self, back: int, end: int) -> int | None:
        """Return the seconds from ``back`` until calls are answered again, and stay so; None where they are not."""
        last = end - STEADY - int(max(5, STEADY))  # calls that are made at the very end have no time to be answered
        for second in range(last, back - 1, -1):
            if self.goodput(second, second + STEADY) < WELL:
                return None if second == last else second + 1 - back
        return 0


def tell(rule: Rule, shape: Shape, *, seed: int = 1) -> Told:
    """Let it happen, and return what came of it; the same for the same seed."""
    http_logger.disabled = True  # a million warnings, which nobody reads
    try:
        return _tell(rule, shape, seed)
    finally:
        http_logger.disabled = False


def _tell(rule: Rule, shape: Shape, seed: int) -> Told:
    chance, events = random.Random(seed), Events()
    servers = [
        Server(events, chance, workers=WORKERS, busy=BUSY, queue=QUEUE, skips=rule.says_how_long)
        for _ in range(shape.servers)
    ]
    told = Told(shape, rule.name)
    processes: dict[tuple[int, int], Process] = {}
    demand = CALLS * shape.servers

    def call() -> None:
        events.after(chance.expovariate(demand), call)
        began = int(events.now)
        told.made[began] += 1
        origin = 0 if shape.is_one_service else chance.randrange(shape.servers)

        def send(exchange: Exchange) -> None:
            told.sent[int(events.now)] += 1
            servers[chance.randrange(shape.servers) if shape.is_one_service else origin].take(exchange)

        def ended(answered: bool) -> None:  # a callback
            told.answered[began] += answered
            told.good[int(events.now)] += answered

        key = (chance.randrange(shape.processes), origin)
        process = processes.get(key) or processes.setdefault(key, Process(rule))
        process.call(events, send=send, ended=ended, chance=chance.random)

    events.after(0.0, call)
    for until, slowness, is_up in _weather():
        for server in servers:
            server.slowness = slowness
            if server.is_up and not is_up:
                server.fail()
            server.is_up = is_up
        events.run(until)
    told.wasted = sum(server.wasted for server in servers)
    return told


def _weather() -> Sequence[tuple[float, float, bool]]:
    """Return until when the servers are how slow, and up."""
    return [
        (BROWN_OUT, 1.0, True),
        (WELL_AGAIN, SLOWNESS, True),
        (OUTAGE, 1.0, True),
        (BACK, 1.0, False),
        (END, 1.0, True),
    ]
