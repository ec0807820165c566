"""How many requests does a service see that is down?"""

from collections.abc import Callable
from dataclasses import dataclass

from shared_core.clients import CircuitBreaker, CircuitOpen, HTTPClient, RetryBudget, ServiceError
from shared_core.clients.retry import Clock
from tests.benchmarks.calls.server import serving
from tests.benchmarks.calls.service import TOKEN, serving_a_request
from tests.benchmarks.calls.turns import PATH, WrongResultError
from tests.benchmarks.figures import Figure, Result

CALLS = 1000
LIMIT = 1.2  # requests a call
BUSY = 0.1  # seconds from one call to the next
# The breaker's worst: whenever a call comes, its rest has just passed, and the call is let through as a probe.
SPARSE = CircuitBreaker().rest + 1
EPOCH = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
COLUMNS = "  {:<46} {:>16} {:>16}  {}"


@dataclass
class FakeTime:
    """Time that passes only while someone sleeps; the dice always show 0."""

    value: float = 1000.0

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.value += seconds

    def clock(self) -> Clock:
        """Return what a client takes for a clock."""
        return Clock(monotonic=lambda: self.value, now=lambda: EPOCH + self.value, sleep=self.sleep, random=lambda: 0.0)


@dataclass(frozen=True)
class Outage:
    """What came of the calls."""

    requests: float  # a call
    refused: int  # calls for which nothing was sent


def outage() -> Result:
    """Call a service that answers 503 to everything, with and without what spares it."""
    rule = RetryBudget()
    most = 1 + rule.ratio + rule.reserve / CALLS
    lines = [
        f"outage, {CALLS:,} calls to a service that answers 503:",
        COLUMNS.format("", "requests a call", "refused unsent", ""),
    ]
    figures: list[Figure] = []
    for what, apart in (("10 calls a second", BUSY), (f"a call in {SPARSE:g} s", SPARSE)):
        seen = _call(lambda url: HTTPClient(url, service="user", token=TOKEN), apart)
        figures.append(
            Figure(what=f"requests a call under an outage, {what}", figure=seen.requests, limit=LIMIT, unit="")
        )
        lines.append(_line(f"everything on, {what}", seen, figures[-1].said))
    seen = _call(lambda url: HTTPClient(url, service="user", token=TOKEN, breaker=None), BUSY)
    said = f"{rule.reserve:g} and {rule.ratio:g} a call: {most:g} at most"
    lines.append(_line("breaker=None", seen, said))
    seen = _call(lambda url: HTTPClient(url, service="user", token=TOKEN, breaker=None, budget=None), BUSY)
    lines.append(_line("breaker=None, budget=None", seen, "as naive retries"))
    return Result("outage", [*lines, ""], figures)


def _call(make: Callable[[str], HTTPClient], apart: float) -> Outage:
    """Make the calls, so many seconds apart; nothing is known yet of the server, which is a new one.

    Raises:
        WrongResultError: One succeeded, or was let through for nothing.
    """
    time, refused, attempts = FakeTime(), 0, 0
    with serving(503) as server, make(server.url) as client, serving_a_request():
        client._clock = time.clock()
        for _ in range(CALLS):
            time.sleep(apart)
            try:
                client.get(PATH)
            except CircuitOpen:
                refused += 1
            except ServiceError as error:
                attempts += error.attempts
            else:
                raise WrongResultError("a call to a service that is down succeeded")
        seen = server.seen().requests
    if seen != attempts:
        raise WrongResultError(f"the server saw {seen} requests, the client told of {attempts} attempts")
    return Outage(seen / CALLS, refused)


def _line(what: str, seen: Outage, said: str) -> str:
    return COLUMNS.format(what, f"{seen.requests:.3f}", f"{seen.refused:,}", said)
