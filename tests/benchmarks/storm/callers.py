"""Callers: `CallCore` decides about each call, and the simulation's events take the place of sockets and sleep."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import requests

from shared_core.clients import ServiceError
from shared_core.clients.arguments import Timeout
from shared_core.clients.call import Call as ClientCall
from shared_core.clients.circuits import Circuit, CircuitBreaker, RetryBudget, RetryBudgetState
from shared_core.clients.config import ClientConfig
from shared_core.clients.core import CallCore, Event, Send, Wait
from shared_core.clients.failures import Failure
from shared_core.clients.limits import Limit
from shared_core.clients.retry import RetryPolicy
from shared_core.clients.transport import failure_of
from shared_core.clients.wire import NotConnectedError
from shared_core.origins import origin_of
from tests.benchmarks.storm.servers import Events, Exchange, Outcome

TIMEOUT, DEADLINE = 5.0, 15.0  # seconds, an attempt and in all

type SendExchange = Callable[[Exchange], None]

_REQUEST = requests.Request("GET", "http://storm.internal:8000/x").prepare()
_ORIGIN = origin_of(str(_REQUEST.url))
_EXCEPTIONS: dict[Outcome, Exception] = {
    Outcome.REFUSED: NotConnectedError(),
    Outcome.BROKEN: ConnectionResetError("the connection broke"),
    Outcome.TIMED_OUT: TimeoutError("timed out"),
}
_EXCEPTIONS[Outcome.REFUSED].__cause__ = ConnectionRefusedError("connection refused")


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


class Process:
    """A process that calls an origin: its circuit and its retry budget, and calls that are ready to run."""

    __slots__ = ("_call",)

    def __init__(self, rule: Rule) -> None:
        config = ClientConfig(timeout=Timeout.of(TIMEOUT), policy=rule.policy, deadline=DEADLINE)
        self._call = ClientCall(
            config=config,
            options=config.options(),
            request=_REQUEST,
            origin=_ORIGIN,
            service="storm",
            seconds=rule.deadline,
            is_imposed=False,
            is_repeatable=True,
            rewind=_rewind,
            token=None,
            token_header="Authorization",
            circuit=Circuit(rule.breaker) if rule.breaker else None,
            budget=RetryBudgetState(rule.budget) if rule.budget else None,
        )

    def call(
        self, events: Events, *, send: SendExchange, ended: Callable[[bool], None], chance: Callable[[], float]
    ) -> None:
        """Make a call; ``ended`` is told whether it was answered."""
        _Driver(self._call, events, send=send, ended=ended, chance=chance)


class _Driver:
    """Does what the core asks for, as events."""

    __slots__ = ("_ended", "_events", "_limit", "_send", "_steps")

    def __init__(
        self,
        call: ClientCall,
        events: Events,
        *,
        send: SendExchange,
        ended: Callable[[bool], None],
        chance: Callable[[], float],
    ) -> None:
        self._events, self._send, self._ended = events, send, ended
        self._steps = CallCore(call, now=events.now, chance=chance).run(_read)
        self._go_on(None)

    def _go_on(self, event: Event | None) -> None:
        try:
            action = next(self._steps) if event is None else self._steps.send(event)
        except StopIteration:
            self._ended(True)
        except ServiceError:
            self._ended(False)
        else:
            if isinstance(action, Wait):
                self._events.after(action.seconds, lambda: self._go_on(Event(self._events.now)))
            elif isinstance(action, Send):
                self._exchange(action)

    def _exchange(self, action: Send) -> None:
        self._limit = Limit(action.timeout, action.seconds, self._now)
        exchange = Exchange(self._met)
        self._events.after(self._limit.left(), lambda: exchange.ends(Outcome.TIMED_OUT))
        self._send(exchange)

    def _met(self, outcome: Outcome) -> None:
        self._go_on(Event(self._events.now, self._outcome_of(outcome)))

    def _outcome_of(self, outcome: Outcome) -> requests.Response | Failure:
        if outcome is not Outcome.ANSWERED:
            return failure_of(_EXCEPTIONS[outcome], self._limit)
        response = requests.Response()
        response.status_code = 200
        return response

    def _now(self) -> float:
        return self._events.now


def _rewind() -> None:
    """Nothing: there is no body."""


def _read(_: requests.Response) -> None:
    """Nothing: the answer is not looked at."""
