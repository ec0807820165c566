"""Circuit breakers and retry budgets: whether a call is sent, and whether it may be retried.

closed ── `failures` failed calls in a row ──▶ open ── after `rest` seconds ──▶ half-open: one call is the probe
   ▲                                            ▲                                  │              │
   │                                            └────────── it fails ──────────────┘              │
   └──────────────────────────────────────────────────────── it succeeds ─────────────────────────┘

A retry spends one of the budget's `reserve`. Each call earns `ratio` of one back. In an outage, the service therefore
receives little more than one request a call, instead of four.

The state is kept per origin and rule, for all clients of the process. A forked child starts with none.
"""

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from operator import itemgetter
from typing import Literal, Protocol

from shared_core.clients.arguments import check_count, check_seconds
from shared_core.origins import Origin
from shared_core.timing import reset_after_fork

# The state of so many named origins is kept, and of so many others. Users may choose the hosts that a client without a
# base URL calls, so this bounds memory.
_MAX_ORIGINS = 1024

# Seconds without a call after which a failure or a spent budget may be forgotten.
_KEPT = 600.0


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


class ServiceHealth(Enum):
    """What a call shows about the service."""

    UP = "it answered, for example with 404 or 500"
    DOWN = "it answered 502, 503 or 504, did not connect, broke off before an answer, or took longer than the timeout"
    UNKNOWN = "the call ended for a reason of the caller's, for example its deadline"


@dataclass(frozen=True, slots=True)
class Permit:
    """The permission to make one call, returned with the call's health."""

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
        self.used = -inf  # when the last call asked for it; kept by the registry
        self._rule = rule
        self._lock = threading.Lock()  # never held while anything is sent
        self._failures = 0
        self._opened: float | None = None  # when, by the caller's clock
        self._probe: Permit | None = None
        # Counts openings and closings: a call of an earlier generation shows nothing about this one.
        self._generation = 0
        self._permit = Permit(0)  # the same for all calls of a generation but its probes

    def acquire(self, now: float, seconds: float = inf) -> Permit | float:
        """Return a permit, or the seconds after which to ask again.

        Args:
            now: The time, by the caller's clock.
            seconds: How long the call may take, where that is less than the client's timeout.
        """
        with self._lock:
            if self._opened is None:
                return self._permit
            rest, probe = self._rule.rest, self._probe
            wait = self._opened + rest - now
            if wait > 0:
                return wait
            if probe is not None and now < probe.began + rest and seconds <= 2 * probe.seconds:
                return rest  # as long as it takes if the probe fails
            self._probe = Permit(self._generation, is_probe=True, began=now, seconds=seconds)
            return self._probe

    def release(self, permit: Permit, health: ServiceHealth, now: float) -> None:
        """Take ``permit`` back."""
        with self._lock:
            if permit.generation != self._generation:
                return
            if health is ServiceHealth.UP:
                self._failures = 0
                if permit.is_probe:
                    self._turn(opened=None)
            elif health is ServiceHealth.DOWN:
                self._failures += 1
                if self._failures >= self._rule.failures:  # a probe is one more
                    self._turn(opened=now)
            # A short probe goes on holding off its like: they would be cut short as well, one after the other.
            elif permit is self._probe and permit.seconds == inf:
                self._probe = None

    def _turn(self, *, opened: float | None) -> None:
        self._opened, self._probe = opened, None
        self._generation += 1
        self._permit = Permit(self._generation)

    def is_spare(self, now: float) -> bool:
        """Whether a new circuit can take its place: nothing failed, or no call was made for a long time."""
        if self._opened is None and not self._failures:
            return True
        return now - self.used > max(_KEPT, 10 * self._rule.rest)

    def state(self, now: float) -> tuple[Literal["closed", "open", "half-open"], int, float]:
        """Return the state, the failures in a row, and the seconds until a probe may go."""
        with self._lock:
            if self._opened is None:
                return "closed", self._failures, 0.0
            wait = self._opened + self._rule.rest - now
            return ("open" if wait > 0 else "half-open"), self._failures, max(0.0, wait)


class RetryBudgetState:
    """The retries that are left at one origin."""

    def __init__(self, rule: RetryBudget) -> None:
        self.used = -inf  # when the last call asked for it; kept by the registry
        self._rule = rule
        self._lock = threading.Lock()
        self._left = rule.reserve

    def earn(self) -> None:
        """Add what a call earns."""
        with self._lock:
            self._left = min(self._rule.reserve, self._left + self._rule.ratio)

    def spend(self) -> bool:
        """Spend one retry; return whether one was left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    @property
    def left(self) -> float:
        """Retries that are left."""
        return self._left

    def is_spare(self, now: float) -> bool:
        """Whether a new one can take its place: nothing is spent, or no call was made for a long time."""
        return self._left >= self._rule.reserve or now - self.used > _KEPT


class _State(Protocol):
    used: float

    def is_spare(self, now: float) -> bool: ...


class _States[K, S: _State](dict[K, S]):
    """The states of at most `_MAX_ORIGINS` origins; reading one takes no lock."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._full_until = -inf

    def add(self, key: K, new: S, now: float) -> S:
        """Return what is kept under ``key``, which is ``new`` if nothing was.

        If there is no room and nothing is spare, ``new`` is returned but not kept: what protects other calls stays.
        """
        with self._lock:
            if len(self) >= _MAX_ORIGINS and now >= self._full_until:
                # Searching all of them takes long: remove several at once, and search at most once a second.
                spare = [(state.used, key) for key, state in self.items() if state.is_spare(now)]
                for _, unused in heapq.nsmallest(_MAX_ORIGINS // 8, spare, key=itemgetter(0)):
                    del self[unused]
                if not spare:
                    self._full_until = now + 1.0
            return self.setdefault(key, new) if len(self) < _MAX_ORIGINS else self.get(key, new)

    def listed(self) -> list[tuple[K, S]]:
        """Return what is kept, as it is now."""
        with self._lock:
            return list(self.items())


class _Table[R, S: _State]:
    """The states of origins by rule. Those that users may choose take no place from those that the service names."""

    def __init__(self, make: Callable[[R], S]) -> None:
        self._make = make
        self.named: _States[tuple[Origin, R], S] = _States()
        self.others: _States[tuple[Origin, R], S] = _States()

    def find(self, origin: Origin, rule: R, now: float, *, is_named: bool) -> S:
        """Return the one state of ``rule`` at ``origin``, whoever calls it."""
        key = (origin, rule)
        state = self.named.get(key)
        if state is None:
            state = self.others.get(key) or self._make(rule)
            state = (self.named if is_named else self.others).add(key, state, now)
        state.used = now
        return state

    def listed(self) -> list[tuple[Origin, S]]:
        """Return what is kept, as it is now."""
        return [(origin, state) for (origin, _), state in (*self.named.listed(), *self.others.listed())]


class OriginRegistry:
    """The circuits and retry budgets of all origins. The process has one, and each `TransportOverride` its own."""

    def __init__(self) -> None:
        self.reset()
        # Another thread of the parent may have held a lock, or been the probe.
        reset_after_fork(self)

    def reset(self) -> None:
        """Start anew, with closed circuits and whole budgets."""
        self._circuits = _Table[CircuitBreaker, Circuit](Circuit)
        self._budgets = _Table[RetryBudget, RetryBudgetState](RetryBudgetState)

    reset_after_fork = reset

    def circuit(self, origin: Origin, rule: CircuitBreaker, now: float, *, is_named: bool = False) -> Circuit:
        """Return the state of ``rule`` at ``origin``.

        Args:
            origin: What is called.
            rule: The client's.
            now: The time, by the caller's clock.
            is_named: Code or settings name the origin; else a user may have chosen it.
        """
        return self._circuits.find(origin, rule, now, is_named=is_named)

    def budget(self, origin: Origin, rule: RetryBudget, now: float, *, is_named: bool = False) -> RetryBudgetState:
        """Return what is left of ``rule`` at ``origin``; see `circuit`."""
        return self._budgets.find(origin, rule, now, is_named=is_named)

    def stats(self, now: float) -> Mapping[str, OriginStats]:
        """Return what is known of each origin; where clients' rules differ, the circuit that refuses longest."""
        circuits, budgets = self._circuits.listed(), self._budgets.listed()
        left: dict[str, float] = {}
        for origin, budget in budgets:
            left[str(origin)] = min(budget.left, left.get(str(origin), budget.left))
        found = {name: OriginStats("off", 0, 0.0, retries) for name, retries in left.items()}
        for origin, circuit in circuits:
            name = str(origin)
            state, failures, wait = circuit.state(now)
            known = found.get(name)
            if known is None or known.circuit == "off" or (wait, failures) > (known.retry_after, known.failures):
                found[name] = OriginStats(state, failures, wait, left.get(name))
        return found


registry = OriginRegistry()  # the process's own
