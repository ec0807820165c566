"""When is a call made, repeated, and given up? As `shared_core.clients.call` has it, with its own rules."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from shared_core.clients.circuits import Circuit, CircuitBreaker, Permit, RetryBudget, RetryBudgetState, ServiceHealth
from shared_core.clients.retry import RetryPolicy, backoff
from tests.benchmarks.storm.servers import Events, Exchange, Outcome

TIMEOUT, DEADLINE = 5.0, 15.0  # seconds, an attempt and in all
_TOO_LITTLE = 0.005

type Send = Callable[[Exchange], None]


@dataclass(frozen=True)
class Rule:
    """How a caller behaves."""

    name: str
    policy: RetryPolicy
    budget: RetryBudget | None = None
    breaker: CircuitBreaker | None = None
    deadline: float = inf
    says_how_long: bool = False  # so that servers do not begin what it waits for no longer


ONCE = Rule("no retries", RetryPolicy(retries=0))
NAIVE = Rule("naive retries", RetryPolicy(jitter=0))
ALONE = Rule("ours, other servers", RetryPolicy(), RetryBudget(), CircuitBreaker(), DEADLINE)
OURS = replace(ALONE, name="ours", says_how_long=True)
RULES = (ONCE, NAIVE, ALONE, OURS)


class Known:
    """What a process knows of an origin."""

    __slots__ = ("circuit", "purse")

    def __init__(self, rule: Rule) -> None:
        self.circuit = Circuit(rule.breaker) if rule.breaker else None
        self.purse = RetryBudgetState(rule.budget) if rule.budget else None


class Call:
    """One call, from its start to its end."""

    __slots__ = ("_chance", "_ended", "_ends", "_events", "_known", "_lease", "_retries", "_rule", "_send", "_verdict")

    def __init__(
        self,
        rule: Rule,
        known: Known,
        events: Events,
        *,
        send: Send,
        ended: Callable[[bool], None],
        chance: Callable[[], float],
    ) -> None:
        """Make it; ``ended`` is told whether it was answered."""
        self._rule, self._known, self._events, self._send = rule, known, events, send
        self._ended, self._chance = ended, chance
        self._ends = events.now + rule.deadline
        self._retries = 0
        self._lease: Permit | None = None
        self._verdict = ServiceHealth.UNKNOWN

    def start(self) -> None:
        """Send the request, unless the circuit is open."""
        if self._known.circuit is not None:
            lease = self._known.circuit.acquire(self._events.now)
            if not isinstance(lease, Permit):
                self._ended(False)
                return
            self._lease = lease
        if self._known.purse is not None:
            self._known.purse.earn()
        self._attempt()

    def _attempt(self) -> None:
        left = self._ends - self._events.now
        if left <= _TOO_LITTLE:
            self._end(answered=False)
            return
        exchange = Exchange(self._met)
        self._events.after(min(TIMEOUT, left), lambda: exchange.ends(Outcome.TIMED_OUT))
        self._send(exchange)

    def _met(self, outcome: Outcome) -> None:
        if outcome is Outcome.ANSWERED:
            self._verdict = ServiceHealth.UP
            self._end(answered=True)
            return
        self._verdict = ServiceHealth.DOWN  # the first attempt is never one that the deadline cuts short
        wait = self._wait()
        if wait is None:
            self._end(answered=False)
        else:
            self._retries += 1
            self._events.after(wait, self._attempt)

    def _wait(self) -> float | None:
        policy = self._rule.policy
        if self._retries >= policy.retries or (self._lease is not None and self._lease.is_probe):
            return None
        wait = backoff(policy, self._retries + 1, self._chance)
        if wait >= self._ends - self._events.now:
            return None
        return wait if self._known.purse is None or self._known.purse.spend() else None

    def _end(self, *, answered: bool) -> None:
        if self._lease is not None and self._known.circuit is not None:
            self._known.circuit.release(self._lease, self._verdict, self._events.now)
        self._ended(answered)
