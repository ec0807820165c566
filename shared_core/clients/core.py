"""How a call proceeds: its attempts, waits and redirects, and the one response or error that it ends with.

    circuit open ──▶ CircuitOpen
    FetchToken ──▶ Send ──▶ below 400 ──▶ returned
                    ▲  └─▶ a redirect that is followed ──▶ Send
                    │  └─▶ 401, and the token's provider may have another ──▶ FetchToken ─┐
                    │  └─▶ may be sent again, in time and budget ──▶ Wait ────────────────┤
                    │  └─▶ neither ──▶ raised                                             │
                    └─────────────────────────────────────────────────────────────────────┘

The core decides and does nothing: it has no socket, no thread and no clock. `CallCore.run` is a generator that yields
what to do next. A driver does it, and sends back an `Event` with its outcome and the time. The generator returns the
result of the call, or raises its error. So every path can be tested by a script, and blocking and asynchronous clients
share it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import requests

from shared_core.clients.arguments import Timeout
from shared_core.clients.call import Call
from shared_core.clients.circuits import Permit, ServiceHealth
from shared_core.clients.exceptions import (
    OUTAGE_STATUSES,
    CallInsideTransaction,
    CircuitOpen,
    DeadlineExceeded,
    InvalidResponse,
    ResponseTooLarge,
    ServiceError,
    TooManyRedirects,
    UnsafeURL,
    describe_status,
    error_for_status,
)
from shared_core.clients.failures import Failure
from shared_core.clients.redirects import MAX_REDIRECTS, next_request
from shared_core.clients.report import Report
from shared_core.clients.retry import backoff
from shared_core.clients.tokens import Provider
from shared_core.origins import InvalidURLError, origin_of

REQUEST_DEADLINE = "X-Request-Deadline"

# Seconds in which no service answers: with less left, nothing is sent.
_TOO_LITTLE = 0.005

# Seconds. With less left, such a status may only pass on that the service itself had no time for a call.
_PASSED_ON = 0.1


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request. The outcome is a response, its body read unless it is streamed, or a `Failure`."""

    request: requests.PreparedRequest
    timeout: Timeout  # what is left of the attempt's own limits
    seconds: float  # what is left of the call
    with_certificate: bool  # the client's: not after a redirect to another origin


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait. There is no outcome."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Ask a provider, or the cache of what it gave. The outcome is a token; a `TokenError` is thrown."""

    provider: Provider
    seconds: float  # what is left of the call
    refused: str | None = None  # a token of this provider that the service has refused


type Action = Send | Wait | FetchToken


@dataclass(frozen=True, slots=True)
class Event:
    """That an action was done.

    Args:
        now: Seconds, on a clock that does not go backwards.
        outcome: As the action says.
        retry_after: What a response asks for, in seconds.
    """

    now: float
    outcome: Any = None  # Any: it depends on the action
    retry_after: float | None = None


type Steps[T] = Generator[Action, Event, T]


class CallCore:
    """Decides how one call proceeds: `run` it once.

    Args:
        call: What to send.
        now: When the call starts.
        chance: Returns a number in ``[0, 1)``, for the jitter of waits.
    """

    def __init__(self, call: Call, *, now: float, chance: Callable[[], float]) -> None:
        self._call, self._chance, self._now = call, chance, now
        self._ends = now + call.seconds
        self._report = Report(
            call.service,
            call.request,
            started=now,
            max_attempts=call.options.policy.retries + 1,
            on_event=call.config.on_event,
        )
        self._permit: Permit | None = None
        self._health = ServiceHealth.UNKNOWN
        self._retry_after: float | None = None  # what the last response asked for

    def run[T](self, read: Callable[[requests.Response], T]) -> Steps[T]:
        """Yield what to do; return what ``read`` makes of the response.

        Raises:
            ServiceError: There is no response, its status is 400 or above, or ``read`` raised ValueError.
        """
        try:
            if self._call.open_transaction is not None:
                where = f"inside transaction.atomic of database {self._call.open_transaction!r}"
                raise self._error(Failure(CallInsideTransaction, f"{where}; call before or after it"))
            response = yield from self._run_unless_open()
            try:
                result = read(response)
            except ServiceError:
                raise
            except ValueError as exc:
                failure = Failure(InvalidResponse, str(exc), response=response)
                raise self._error(failure) from exc.__cause__
        except ServiceError as error:
            self._report.failure(error, self._now)
            raise
        self._report.success(self._now)
        return result

    def stream_error(self, failure: Failure, now: float) -> ServiceError:
        """Return the error that a stream ends with, after the call itself has succeeded; it is reported."""
        self._now = now
        failure = self._with_deadline_reason(failure)
        error = self._error(failure)
        error.__cause__ = failure.cause
        self._report.failure(error, now)
        return error

    def _run_unless_open(self) -> Steps[requests.Response]:
        circuit = self._call.circuit
        if circuit is None:
            return (yield from self._run())
        # A deadline shorter than an attempt may take can cut it short, which shows nothing about the service.
        left = self._left()
        permit = circuit.acquire(self._now, inf if left >= self._call.options.timeout.total else left)
        if not isinstance(permit, Permit):
            self._retry_after = permit
            raise self._error(Failure(CircuitOpen, f"not tried: it failed, rests {permit:.1f} s"))
        self._permit = permit
        try:
            return (yield from self._run())
        finally:
            circuit.release(permit, self._health, self._now)

    def _run(self) -> Steps[requests.Response]:
        failure: Failure | None = None
        retries, is_renewed = 0, False
        self._check_deadline(failure)
        token = yield from self._fetch_token()
        while True:
            self._check_deadline(failure)
            if failure is None and self._call.budget is not None:
                self._call.budget.earn()  # not before: a call that sends nothing costs the service nothing
            began = self._now
            outcome = yield from self._attempt(token)
            elapsed = self._now - began
            if isinstance(outcome, requests.Response):
                self._health = ServiceHealth.UP
                self._report.attempt(outcome, elapsed)
                return outcome
            failure = outcome
            if failure.health is not ServiceHealth.UNKNOWN:
                self._health = failure.health
            if token is not None and not is_renewed and self._may_renew_token(failure, token):
                self._report.attempt(failure, elapsed)
                token, is_renewed = (yield from self._fetch_token(refused=token)), True
                continue
            wait = self._wait_before_retry(failure, retries)
            self._report.attempt(failure, elapsed, wait)
            if wait is None:
                raise self._error(failure) from failure.cause
            retries += 1
            self._now = (yield Wait(wait)).now

    def _attempt(self, token: str | None) -> Steps[requests.Response | Failure]:
        """Send the request once, and follow its redirects."""
        call, began = self._call, self._now
        request = call.request.copy()
        if token is not None:
            request.headers[call.token_header] = f"Bearer {token}"
        request.headers.setdefault(REQUEST_DEADLINE, f"{self._left():.3f}")
        hops: list[requests.Response] = []
        limits = call.options.timeout
        is_same_origin = True
        while True:
            timeout = Timeout(limits.connect, limits.read, limits.total - (self._now - began))
            event = yield Send(request, timeout, self._left(), with_certificate=is_same_origin)
            self._now, self._retry_after = event.now, event.retry_after
            outcome: requests.Response | Failure = event.outcome
            if isinstance(outcome, Failure):
                outcome = self._with_deadline_reason(outcome)
                # The origin that was called has answered, with a redirect to another one.
                return outcome if is_same_origin else replace(outcome, health=ServiceHealth.UP)
            following = self._redirected(request, outcome, len(hops))
            if isinstance(following, Failure):
                return following
            if following is None:
                outcome.history = [*hops, *outcome.history]
                return self._classify_response(outcome, is_same_origin=is_same_origin)
            hops.append(outcome)
            request = following
            is_same_origin = origin_of(str(request.url)) == call.origin

    def _redirected(
        self, request: requests.PreparedRequest, response: requests.Response, hops: int
    ) -> requests.PreparedRequest | Failure | None:
        """Return the request that ``response`` redirects to; None if it is not followed."""
        if not self._call.options.follow_redirects:
            return None
        error: type[ServiceError]
        try:
            following = next_request(request, response, is_replayable=self._call.rewind is not None)
            if following is None or hops < MAX_REDIRECTS:
                return following
            error, reason = TooManyRedirects, f"more than {MAX_REDIRECTS} redirects"
        except InvalidURLError as exc:
            error, reason = UnsafeURL, f"redirected: {exc.reason}"
        return Failure(error, reason, response=response, is_retriable=False, health=ServiceHealth.UP)

    def _classify_response(self, response: requests.Response, *, is_same_origin: bool) -> requests.Response | Failure:
        """Return ``response`` if its status is good, else what its status means."""
        status = response.status_code
        if status < 400 or status in self._call.options.expected:
            return response
        health = ServiceHealth.UP
        if status in OUTAGE_STATUSES and is_same_origin:
            health = ServiceHealth.DOWN if self._left() > _PASSED_ON else ServiceHealth.UNKNOWN
        return Failure(
            error_for_status(status),
            describe_status(status),
            response=response,
            is_retriable=status in self._call.options.policy.statuses,
            health=health,
        )

    def _fetch_token(self, refused: str | None = None) -> Steps[str | None]:
        """Return the token to send, from its provider if it has one."""
        token = self._call.token
        if token is None or isinstance(token, str):
            return token
        event = yield FetchToken(token, max(self._left(), _TOO_LITTLE), refused)
        self._now = event.now
        fetched: str = event.outcome
        return fetched

    def _may_renew_token(self, failure: Failure, token: str) -> bool:
        """Return whether another token may help, and can be fetched."""
        if failure.response is None or failure.response.status_code != 401 or self._call.rewind is None:
            return False
        sent = failure.response.request.headers.get(self._call.token_header)
        return not isinstance(self._call.token, str) and sent == f"Bearer {token}"

    def _wait_before_retry(self, failure: Failure, retries: int) -> float | None:
        """Return the seconds until the next attempt, or None if there is none."""
        call, policy = self._call, self._call.options.policy
        is_probe = self._permit is not None and self._permit.is_probe
        if not failure.is_retriable or call.rewind is None or retries >= policy.retries or is_probe:
            return None
        if not (call.is_repeatable or failure.nothing_sent):
            return None
        asked = self._retry_after
        if asked is not None and asked > policy.retry_after_cap:
            return None
        wait = backoff(policy, retries + 1, self._chance) if asked is None else asked
        if wait >= self._left():
            return None
        return wait if call.budget is None or call.budget.spend() else None

    def _check_deadline(self, failure: Failure | None) -> None:
        """Raise if too little time is left: the last failure, if there was one."""
        if self._left() <= _TOO_LITTLE:
            failure = failure or self._deadline_failure()
            raise self._error(failure) from failure.cause

    def _left(self) -> float:
        return self._ends - self._now

    def _error(self, failure: Failure) -> ServiceError:
        error = self._report.error(failure, self._now, retry_after=self._retry_after)
        if isinstance(error, ResponseTooLarge):
            error.limit = self._call.config.max_response_bytes
        return error

    def _with_deadline_reason(self, failure: Failure) -> Failure:
        if failure.error is DeadlineExceeded:
            return replace(self._deadline_failure(), cause=failure.cause)
        return failure

    def _deadline_failure(self) -> Failure:
        if self._call.is_imposed:
            reason = "the time that the caller of this service waits has passed"
        else:
            reason = f"the deadline of {self._call.seconds:g} s has passed"
        return Failure(DeadlineExceeded, reason, is_retriable=False)
