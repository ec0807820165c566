"""How does one call proceed: its attempts and waits, and the one response or error that it ends with?

circuit open ──▶ refused
attempt ──▶ response below 400 ──▶ returned
   ▲    └─▶ failure ──▶ 401, and the token's provider has another ──┐
   │               └──▶ may be sent again, in time and budget ──▶ wait
   │               └──▶ neither ──▶ raised                          │
   └────────────────────────────────────────────────────────────────┘
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf

import requests

from shared_core.clients import transactions
from shared_core.clients.circuits import Lease, Verdict
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
from shared_core.clients.limits import Limit
from shared_core.clients.plan import Plan
from shared_core.clients.redirects import MAX_REDIRECTS, next_request
from shared_core.clients.report import Report
from shared_core.clients.response import StreamedResponse
from shared_core.clients.retry import backoff, retry_after, rewinder
from shared_core.clients.tokens import cache_of, fetch
from shared_core.clients.transport import Failure, exchange, failure_of
from shared_core.clients.urls import origin_of

REQUEST_DEADLINE = "X-Request-Deadline"

# Seconds in which no service answers: with less left, nothing is sent.
_TOO_LITTLE = 0.005

# Seconds. With less left, such a status may only pass on that the service itself had no time for a call.
_PASSED_ON = 0.1


class Call:
    """One call: `run` it once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report(
            plan.service, plan.request, plan.clock, limit=plan.policy.retries + 1, on_event=plan.on_event
        )
        self.ends = self.report.started + plan.deadline
        self.rewind = rewinder(plan.request.body)
        self.is_probe = False
        self.is_at_home = True  # not redirected to another origin
        self.verdict = Verdict.UNKNOWN

    def run[T](self, read: Callable[[requests.Response], T]) -> T:
        """Return what ``read`` makes of the response; where it raises ValueError, that is an InvalidResponse.

        Raises:
            ServiceError: There is no response, or its status is 400 or above, or it cannot be read.
        """
        try:
            if not self.plan.nested:
                self._check_transaction()
            response = self._run_unless_open()
            try:
                result = read(response)
            except ServiceError:
                raise
            except ValueError as exc:
                failure = Failure(InvalidResponse, str(exc), response=response)
                raise self.report.error(failure) from exc.__cause__
        except ServiceError as error:
            self.report.failure(error)
            raise
        self.report.success()
        return result

    def _check_transaction(self) -> None:
        alias = transactions.find_open_transaction()
        if alias is None or (rule := transactions.rule()) == "allow":
            return
        if rule == "raise":
            reason = f"inside transaction.atomic of database {alias!r}; call before or after it"
            raise self.report.error(Failure(CallInsideTransaction, reason))
        transactions.warn(self.plan.service, alias)

    def _run_unless_open(self) -> requests.Response:
        circuit, now = self.plan.circuit, self.plan.clock.monotonic
        if circuit is None:
            return self._run()
        # A deadline shorter than an attempt may take can cut it short, which shows nothing about the service.
        left = self._left()
        lease = circuit.enter(now(), inf if left >= self.plan.timeout.total else left)
        if not isinstance(lease, Lease):
            raise self.report.error(Failure(CircuitOpen, f"not tried: it failed, rests {lease:.1f} s"), wait=lease)
        self.is_probe = lease.is_probe
        try:
            return self._run()
        finally:
            circuit.leave(lease, self.verdict, now())

    def _run(self) -> requests.Response:
        plan, now = self.plan, self.plan.clock.monotonic
        if plan.purse is not None:
            plan.purse.earn()
        failure: Failure | None = None
        renewed, retries = False, 0
        self._check_deadline(failure)
        token = self._token()
        while True:
            self._check_deadline(failure)
            began = now()
            outcome = self._attempt(token)
            if isinstance(outcome, requests.Response):
                self.verdict = Verdict.UP
                self.report.attempt(began, outcome)
                return outcome
            failure = outcome
            verdict = failure.verdict if self.is_at_home else Verdict.UP  # a redirect is an answer
            if verdict is not Verdict.UNKNOWN:
                self.verdict = verdict
            if self._may_renew(failure, token) and not renewed:
                self.report.attempt(began, failure)
                token, renewed = self._token(stale=token), True
                continue
            wait = self._wait(failure, retries)
            self.report.attempt(began, failure, wait)
            if wait is None:
                raise self._error(failure) from failure.cause
            retries += 1
            plan.clock.sleep(wait)

    def _check_deadline(self, failure: Failure | None) -> None:
        """Raise where too little time is left: the last real failure, where there was one."""
        if self._left() <= _TOO_LITTLE:
            failure = failure or self._failure_of_deadline()
            raise self.report.error(failure) from failure.cause

    def _attempt(self, token: str | None) -> requests.Response | Failure:
        """Send the request once, and what it is redirected to."""
        plan = self.plan
        limit = Limit(plan.timeout, self._left())
        request = _copy(plan.request)
        hops: list[requests.Response] = []
        if token is not None:
            request.headers[plan.token_header] = f"Bearer {token}"
        request.headers.setdefault(REQUEST_DEADLINE, f"{self._left():.3f}")
        self.is_at_home = True
        while True:
            if self.rewind is not None:
                self.rewind()
            outcome = exchange(
                plan.adapter,
                request,
                limit=limit,
                max_bytes=plan.max_response_bytes,
                stream=plan.stream,
                options=plan.options if self.is_at_home else {**plan.options, "cert": None},
            )
            if isinstance(outcome, Failure):
                return self._explained(outcome)
            try:
                following = self._redirect(request, outcome)
            except UnsafeURL as exc:
                reason = f"redirected: {exc.args[0]}"
                return Failure(UnsafeURL, reason, response=outcome, retriable=False, verdict=Verdict.UP)
            if following is None:
                outcome.history = [*hops, *outcome.history]
                return self._judged(outcome, limit)
            if len(hops) == MAX_REDIRECTS:
                reason = f"more than {MAX_REDIRECTS} redirects"
                return Failure(TooManyRedirects, reason, response=outcome, retriable=False, verdict=Verdict.UP)
            hops.append(outcome)
            request = following
            self.is_at_home = origin_of(str(request.url)) == plan.origin

    def _redirect(
        self, request: requests.PreparedRequest, response: requests.Response
    ) -> requests.PreparedRequest | None:
        if not self.plan.follow_redirects:
            return None
        return next_request(request, response, replayable=self.rewind is not None)

    def _judged(self, response: requests.Response, limit: Limit) -> requests.Response | Failure:
        """Return ``response`` where its status is good, or what its status means."""
        status = response.status_code
        if status < 400 or status in self.plan.expected:
            if self.plan.stream and not response._content_consumed:  # type: ignore[attr-defined]  # requests'
                return StreamedResponse.of(response, lambda exc: self._broken(failure_of(exc, limit)))
            return response
        return Failure(
            error_for_status(status),
            describe_status(status),
            response=response,
            retriable=status in self.plan.policy.statuses,
            verdict=self._verdict_of(status),
        )

    def _verdict_of(self, status: int) -> Verdict:
        if status not in OUTAGE_STATUSES:
            return Verdict.UP
        return Verdict.DOWN if self._left() > _PASSED_ON else Verdict.UNKNOWN

    def _error(self, failure: Failure) -> ServiceError:
        error = self.report.error(failure)
        if isinstance(error, ResponseTooLarge):
            error.limit = self.plan.max_response_bytes
        return error

    def _broken(self, failure: Failure) -> ServiceError:
        """Return the error that a stream ends with; its call has ended well long before."""
        failure = self._explained(failure)
        error = self.report.error(failure)
        error.__cause__ = failure.cause
        self.report.failure(error)
        return error

    def _explained(self, failure: Failure) -> Failure:
        if failure.error is DeadlineExceeded:
            return replace(self._failure_of_deadline(), cause=failure.cause)
        return failure

    def _may_renew(self, failure: Failure, token: str | None) -> bool:
        """Say whether another token may help, and can be had."""
        if failure.response is None or failure.response.status_code != 401 or self.rewind is None:
            return False
        refused = failure.response.request.headers.get(self.plan.token_header)
        return token is not None and not isinstance(self.plan.token, str) and refused == f"Bearer {token}"

    def _wait(self, failure: Failure, retries: int) -> float | None:
        """Return the seconds until the next attempt, or None where there is none."""
        plan = self.plan
        policy = plan.policy
        if not failure.retriable or self.rewind is None or retries >= policy.retries or self.is_probe:
            return None
        if not (plan.repeatable or failure.nothing_sent):
            return None
        response = failure.response
        asked = None if response is None else retry_after(response.headers.get("Retry-After"), plan.clock.now())
        if asked is not None and asked > policy.retry_after_cap:
            return None
        wait = backoff(policy, retries + 1, plan.clock.random) if asked is None else asked
        if wait >= self._left():
            return None
        return wait if plan.purse is None or plan.purse.spend() else None

    def _token(self, stale: str | None = None) -> str | None:
        """Return the token to send, from its provider where it has one."""
        token = self.plan.token
        if token is None or isinstance(token, str):
            return token
        left = self._left()
        return cache_of(token).get(
            partial(fetch, token, partial(self.plan.ask, deadline=max(left, _TOO_LITTLE))),
            monotonic=self.plan.clock.monotonic,
            patience=left,
            stale=stale,
        )

    def _left(self) -> float:
        return self.ends - self.plan.clock.monotonic()

    def _failure_of_deadline(self) -> Failure:
        if self.plan.is_imposed:
            reason = "the time that the caller of this service will wait has passed"
        else:
            reason = f"the deadline of {self.plan.deadline:g} s has passed"
        return Failure(DeadlineExceeded, reason, retriable=False)


def _copy(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Copy ``request`` so that headers may be added; requests' own copy takes five times as long."""
    copied = requests.PreparedRequest()
    copied.__dict__.update(request.__dict__)
    copied.headers = request.headers.copy()
    return copied
