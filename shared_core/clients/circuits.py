"""Circuit breakers and retry budgets: whether a call is sent, and whether it may be retried.

closed ── `failures` failed calls in a row ──▶ open ── after `rest` seconds ──▶ half-open: one call is the probe
   ▲                                            ▲                                  │              │
   │                                            └────────── it fails ──────────────┘              │
   └──────────────────────────────────────────────────────── it succeeds ─────────────────────────┘

A retry spends one of the budget's `reserve`. Each call earns `ratio` of one back. In an outage, the service therefore
receives little more than one request a call, instead of four.

The state is kept per origin and rule, for all clients of the process. A forked child starts with none.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Literal

from shared_core.clients.arguments import check_count, check_seconds
from shared_core.clients.urls import Origin

# Origins whose state is kept at once, for clients that call any; the one that was met first makes room.
_MAX_ORIGINS = 1024


@dataclass(frozen=True, kw_only=True)
class CircuitBreaker:
    """When calls to an origin are no longer tried, and for how long.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A value is out of range.
    """

    failures: int = 5  # calls in a row that end with 502, 503, 504, no connection or a timeout
    rest: float = 10.0  # seconds before a probe; a probe without a result holds off others as long

    def __post_init__(self) -> None:
        check_count("failures", self.failures, minimum=1)
        check_seconds("rest", self.rest)


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    """How many retries an origin is sent, beside its calls.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A value is out of range.
    """

    ratio: float = 0.2  # of a retry, earned by each call
    reserve: float = 10.0  # retries at the start, and at most

    def __post_init__(self) -> None:
        check_seconds("ratio", self.ratio, zero=True)
        check_seconds("reserve", self.reserve, zero=True)


@dataclass(frozen=True, slots=True)
class OriginStats:
    """What a process knows of an origin that it calls."""

    circuit: Literal["closed", "open", "half-open", "off"]
    failures: int  # failed calls in a row
    retry_after: float  # seconds until an open circuit lets a probe through
    retries_left: float | None  # None where no budget is kept


class Verdict(Enum):
    """What a call shows about the service."""

    UP = "it answered, for example with 404 or 500"
    DOWN = "it answered 502, 503 or 504, did not connect, broke off before an answer, or took longer than the timeout"
    UNKNOWN = "the call ended for a reason of the caller's, for example its deadline"


@dataclass(frozen=True, slots=True)
class Lease:
    """The permission to make one call, returned with the call's verdict."""

    generation: int
    is_probe: bool = False
    began: float = 0.0  # of a probe: when, by the caller's clock
    seconds: float = inf  # of a probe: how long the call may take, where that is less than the client's timeout


class Circuit:
    """The state of a breaker at one origin.

    One probe at a time is sent. A probe holds off other calls until it ends, and at most for `rest`: its thread may
    have died. A call whose deadline is shorter than the client's timeout may be the probe too. If that deadline cuts
    the probe short, the service may still be up. So a short probe holds off only calls with at most twice its time.
    """

    def __init__(self, rule: CircuitBreaker) -> None:
        self._rule = rule
        self._lock = threading.Lock()  # never held while anything is sent
        self._failures = 0
        self._opened: float | None = None  # when, by the caller's clock
        self._probe: Lease | None = None
        # Counts openings and closings: a call of an earlier generation shows nothing about this one.
        self._generation = 0
        self._lease = Lease(0)  # the same for all calls of a generation but its probes

    def enter(self, now: float, seconds: float = inf) -> Lease | float:
        """Return a lease, or the seconds after which to ask again.

        Args:
            now: The time, by the caller's clock.
            seconds: How long the call may take, where that is less than the client's timeout.
        """
        with self._lock:
            if self._opened is None:
                return self._lease
            rest, probe = self._rule.rest, self._probe
            wait = self._opened + rest - now
            if wait > 0:
                return wait
            if probe is not None and now < probe.began + rest and seconds <= 2 * probe.seconds:
                return rest  # as long as it takes if the probe fails
            self._probe = Lease(self._generation, is_probe=True, began=now, seconds=seconds)
            return self._probe

    def leave(self, lease: Lease, verdict: Verdict, now: float) -> None:
        """Take ``lease`` back."""
        with self._lock:
            if lease.generation != self._generation:
                return
            if verdict is Verdict.UP:
                self._failures = 0
                if lease.is_probe:
                    self._turn(opened=None)
            elif verdict is Verdict.DOWN:
                self._failures += 1
                if self._failures >= self._rule.failures:  # a probe is one more
                    self._turn(opened=now)
            # A short probe goes on holding off its like: they would be cut short as well, one after the other.
            elif lease is self._probe and lease.seconds == inf:
                self._probe = None

    def _turn(self, *, opened: float | None) -> None:
        self._opened, self._probe = opened, None
        self._generation += 1
        self._lease = Lease(self._generation)

    def state(self, now: float) -> tuple[Literal["closed", "open", "half-open"], int, float]:
        """Return the state, the failures in a row, and the seconds until a probe may go."""
        with self._lock:
            if self._opened is None:
                return "closed", self._failures, 0.0
            wait = self._opened + self._rule.rest - now
            return ("open" if wait > 0 else "half-open"), self._failures, max(0.0, wait)


class Purse:
    """What is left of a budget at one origin."""

    def __init__(self, rule: RetryBudget) -> None:
        self._rule = rule
        self._lock = threading.Lock()
        self._left = rule.reserve

    def earn(self) -> None:
        """Take in what a call earns."""
        with self._lock:
            self._left = min(self._rule.reserve, self._left + self._rule.ratio)

    def spend(self) -> bool:
        """Pay for a retry, or say that it cannot be paid for."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    @property
    def left(self) -> float:
        """Retries that can be paid for."""
        return self._left


class Ledger:
    """What is known of each origin: the process has one, and a service that stands in for another one of its own."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._lock = threading.Lock()
        self._circuits: dict[tuple[Origin, CircuitBreaker], Circuit] = {}
        self._purses: dict[tuple[Origin, RetryBudget], Purse] = {}

    def circuit(self, origin: Origin, rule: CircuitBreaker) -> Circuit:
        """Return the state of ``rule`` at ``origin``."""
        return self._circuits.get((origin, rule)) or self._add(self._circuits, (origin, rule), Circuit(rule))

    def purse(self, origin: Origin, rule: RetryBudget) -> Purse:
        """Return what is left of ``rule`` at ``origin``."""
        return self._purses.get((origin, rule)) or self._add(self._purses, (origin, rule), Purse(rule))

    def stats(self, now: float) -> Mapping[str, OriginStats]:
        """Return what is known of each origin; where clients' rules differ, the circuit that refuses longest."""
        with self._lock:
            circuits, purses = list(self._circuits.items()), list(self._purses.items())
        left: dict[str, float] = {}
        for (origin, _), purse in purses:
            left[str(origin)] = min(purse.left, left.get(str(origin), purse.left))
        found = {name: OriginStats("off", 0, 0.0, retries) for name, retries in left.items()}
        for (origin, _), circuit in circuits:
            name = str(origin)
            state, failures, wait = circuit.state(now)
            known = found.get(name)
            if known is None or known.circuit == "off" or (wait, failures) > (known.retry_after, known.failures):
                found[name] = OriginStats(state, failures, wait, left.get(name))
        return found

    def _add[K, V](self, states: dict[K, V], key: K, new: V) -> V:
        with self._lock:
            if len(states) >= _MAX_ORIGINS:
                del states[next(iter(states))]
            return states.setdefault(key, new)


# What this process has met.
ledger = Ledger()

# Another thread of the parent may have held a lock, or been the probe.
os.register_at_fork(after_in_child=ledger.forget)
