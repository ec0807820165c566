"""How many requests does a service see while it is down?"""

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from shared_core.clients import HTTPClient, ServiceError
from shared_core.clients.circuits import registry
from tests.benchmarks.calls.outage import BUSY, FakeTime
from tests.benchmarks.calls.server import Running, serving
from tests.benchmarks.calls.turns import PATH
from tests.benchmarks.figures import Chart, Figure, Result

LENGTHS = (1, 3, 10, 30, 60, 120, 300)  # seconds
LIMIT = 1.2  # requests a call

type Call = Callable[[], object]


def outage() -> Result:
    """Count them, of a caller that calls ten times a second, or as soon as it can again."""
    makers: dict[str, Callable[[Running, FakeTime], Call]] = {
        "shared_core": _ours,
        "requests with urllib3's Retry": _retrying,
        "requests, once": _once,
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in makers}
    calls: dict[str, int] = {}
    lines = ["outage, requests that a service sees which answers 503:"]
    for length in LENGTHS:
        for name, make in makers.items():
            registry.reset()
            with serving(503) as server:
                calls[name] = _call(make, server, length)
                seen[name].append((length, server.seen().requests))
    lines += [f"  {name:<32} {'  '.join(f'{x:g} s: {y:,.0f}' for x, y in points)}" for name, points in seen.items()]
    last = {name: points[-1][1] for name, points in seen.items()}
    figures = [
        Figure(
            what="requests a call under an outage of 5 min, one busy caller",
            figure=last["shared_core"] / calls["shared_core"],
            limit=LIMIT,
            unit="",
        ),
        *(
            Figure(what=f"requests under an outage of 5 min beside {name}", figure=last["shared_core"] / number)
            for name, number in last.items()
            if name != "shared_core"
        ),
    ]
    chart = Chart(title="outage", x="seconds of outage", y="requests seen", lines=seen)
    return Result("outage", lines, figures, [chart])


def _call(make: Callable[[Running, FakeTime], Call], server: Running, length: float) -> int:
    time = FakeTime()
    call, ends, number = make(server, time), time.value + length, 0
    while time.value < ends:
        begun = time.value
        try:
            call()
        except (ServiceError, requests.RequestException):
            number += 1
        time.value = max(time.value, begun + BUSY)
    return number


def _ours(server: Running, time: FakeTime) -> Call:
    client = HTTPClient(server.url, service="user", token=False)
    client._clock = time.clock()
    return lambda: client.get(PATH)


def _retrying(server: Running, time: FakeTime) -> Call:
    class Waiting(Retry):
        def sleep(self, response: Any = None) -> None:  # Any: urllib3's
            time.sleep(self.get_backoff_time())

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(max_retries=Waiting(total=3, backoff_factor=0.5, status_forcelist=[503])))
    return lambda: session.get(server.url + PATH, timeout=5)


def _once(server: Running, time: FakeTime) -> Call:
    session = requests.Session()
    session.trust_env = False

    def call() -> None:
        session.get(server.url + PATH, timeout=5).raise_for_status()

    return call
