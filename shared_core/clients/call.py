"""How does one call proceed: its attempts and waits, and the one response or error that it ends with?

attempt ──▶ response below 400 ──▶ returned
   ▲    └─▶ failure ──▶ 401, and the token's provider has another ──┐
   │               └──▶ may be sent again, in time ──▶ wait ────────┤
   │               └──▶ neither ──▶ raised                          │
   └────────────────────────────────────────────────────────────────┘
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from shared_core import context
from shared_core.clients.arguments import Timeout
from shared_core.clients.exceptions import (
    Attempt,
    DeadlineExceeded,
    InvalidResponse,
    ServiceError,
    ServiceTimeout,
    TooManyRedirects,
    UnsafeURL,
    describe_status,
    error_for_status,
)
from shared_core.clients.redirects import MAX_REDIRECTS, next_request
from shared_core.clients.retry import Clock, RetryPolicy, backoff, retry_after, rewinder
from shared_core.clients.tokens import Token, cache_of, fetch
from shared_core.clients.transport import Failure, exchange
from shared_core.clients.urls import origin_of

logger = logging.getLogger("shared_core.http")


class AskTokenService(Protocol):
    """How a provider's token service is asked within a call."""

    def __call__(self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float) -> requests.Response:
        """Return the answer to ``form`` within ``deadline`` seconds."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one call needs to know, checked before it starts."""

    adapter: BaseAdapter
    request: requests.PreparedRequest  # without the token
    service: str
    policy: RetryPolicy
    timeout: Timeout
    deadline: float  # seconds, from the start
    max_response_bytes: int | None
    stream: bool
    follow_redirects: bool
    options: Mapping[str, Any]  # verify, cert and proxies, as requests takes them
    token: Token | None
    ask: AskTokenService
    repeatable: bool  # sending it twice has the effect of sending it once
    expected: Collection[int]  # statuses from 400 that are returned
    clock: Clock


class Call:
    """One call: `run` it once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.history: list[Attempt] = []
        self.started = plan.clock.monotonic()
        self.rewind = rewinder(plan.request.body)

    def run[T](self, read: Callable[[requests.Response], T]) -> T:
        """Return what ``read`` makes of the response; where it raises ValueError, that is an InvalidResponse.

        Raises:
            ServiceError: There is no response, or its status is 400 or above, or it cannot be read.
        """
        try:
            response = self._run()
            try:
                result = read(response)
            except ValueError as exc:
                failure = Failure(InvalidResponse, str(exc), response=response)
                raise self._error(failure) from exc.__cause__
        except ServiceError as error:
            self._log(error)
            raise
        self._log(None)
        return result

    def _run(self) -> requests.Response:
        token, renewed, retries = self._token(), False, 0
        failure: Failure | None = None
        while True:
            if self._left() <= 0:
                # The last real failure, where there was one.
                failure = failure or self._failure_of_deadline()
                raise self._error(failure) from failure.cause
            began = self.plan.clock.monotonic()
            outcome = self._attempt(token)
            if isinstance(outcome, requests.Response):
                self._record(began, outcome)
                return outcome
            failure = outcome
            if self._may_renew(failure, token) and not renewed:
                self._record(began, failure)
                token, renewed = self._token(stale=token), True
                continue
            wait = self._wait(failure, retries)
            self._record(began, failure, wait or 0.0)
            if wait is None:
                raise self._error(failure) from failure.cause
            retries += 1
            self.plan.clock.sleep(wait)

    def _attempt(self, token: str | None) -> requests.Response | Failure:
        """Send the request once, and what it is redirected to."""
        plan, now = self.plan, self.plan.clock.monotonic
        ends = now() + min(plan.timeout.total, self._left())
        request = plan.request.copy()
        hops: list[requests.Response] = []
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        home = origin_of(str(request.url))
        while True:
            if self.rewind is not None:
                self.rewind()
            left = max(ends - now(), 0.001)  # 0 would mean not to wait at all
            at_home = origin_of(str(request.url)) == home
            outcome = exchange(
                plan.adapter,
                request,
                timeout=(min(plan.timeout.connect, left), min(plan.timeout.read, left)),
                ends=ends,
                max_bytes=plan.max_response_bytes,
                stream=plan.stream,
                options=plan.options if at_home else {**plan.options, "cert": None},
                monotonic=now,
            )
            if isinstance(outcome, Failure):
                timed_out = issubclass(outcome.error, ServiceTimeout) and self._left() <= 0
                return replace(self._failure_of_deadline(), cause=outcome.cause) if timed_out else outcome
            try:
                following = self._redirect(request, outcome)
            except UnsafeURL as exc:
                return Failure(UnsafeURL, f"redirected: {exc.args[0]}", response=outcome, retriable=False)
            if following is None:
                outcome.history = [*hops, *outcome.history]
                return self._verdict(outcome)
            if len(hops) == MAX_REDIRECTS:
                return Failure(
                    TooManyRedirects, f"more than {MAX_REDIRECTS} redirects", response=outcome, retriable=False
                )
            hops.append(outcome)
            request = following

    def _redirect(
        self, request: requests.PreparedRequest, response: requests.Response
    ) -> requests.PreparedRequest | None:
        if not self.plan.follow_redirects:
            return None
        return next_request(request, response, replayable=self.rewind is not None)

    def _verdict(self, response: requests.Response) -> requests.Response | Failure:
        """Return ``response`` where its status is good, or what its status means."""
        status = response.status_code
        if status < 400 or status in self.plan.expected:
            return response
        return Failure(
            error_for_status(status),
            describe_status(status),
            response=response,
            retriable=status in self.plan.policy.statuses,
        )

    def _may_renew(self, failure: Failure, token: str | None) -> bool:
        """Say whether another token may help, and can be had."""
        if failure.response is None or failure.response.status_code != 401 or self.rewind is None:
            return False
        refused = failure.response.request.headers.get("Authorization")
        return token is not None and not isinstance(self.plan.token, str) and refused == f"Bearer {token}"

    def _wait(self, failure: Failure, retries: int) -> float | None:
        """Return the seconds until the next attempt, or None where there is none."""
        policy = self.plan.policy
        if not failure.retriable or self.rewind is None or retries >= policy.retries:
            return None
        if not (self.plan.repeatable or failure.nothing_sent):
            return None
        asked = self._retry_after(failure)
        if asked is not None and asked > policy.retry_after_cap:
            return None
        wait = backoff(policy, retries + 1, self.plan.clock.random) if asked is None else asked
        return wait if wait < self._left() else None

    def _token(self, stale: str | None = None) -> str | None:
        """Return the token to send, from its provider where it has one."""
        token = self.plan.token
        if token is None or isinstance(token, str):
            return token
        left = self._left()
        return cache_of(token).get(
            partial(fetch, token, partial(self.plan.ask, deadline=max(left, 0.001))),
            monotonic=self.plan.clock.monotonic,
            patience=left,
            stale=stale,
        )

    def _left(self) -> float:
        return self.started + self.plan.deadline - self.plan.clock.monotonic()

    def _retry_after(self, failure: Failure) -> float | None:
        if failure.response is None:
            return None
        return retry_after(failure.response.headers.get("Retry-After"), self.plan.clock.now())

    def _failure_of_deadline(self) -> Failure:
        return Failure(DeadlineExceeded, f"the deadline of {self.plan.deadline:g} s has passed", retriable=False)

    def _record(self, began: float, outcome: requests.Response | Failure, wait: float = 0.0) -> None:
        failure = outcome if isinstance(outcome, Failure) else None
        response = outcome.response if isinstance(outcome, Failure) else outcome
        attempt = Attempt(
            number=len(self.history) + 1,
            status=None if response is None else response.status_code,
            error=None if failure is None else failure.error.__name__,
            elapsed=self.plan.clock.monotonic() - began,
            wait=wait,
        )
        self.history.append(attempt)
        logger.debug(
            "Attempt %d of a call to %s", attempt.number, self.plan.service,
            extra={"status": attempt.status, "error": attempt.error, "ms": round(attempt.elapsed * 1000), "wait": wait},
        )  # fmt: skip

    def _error(self, failure: Failure) -> ServiceError:
        plan, response = self.plan, failure.response
        return failure.error(
            failure.reason,
            url=str((response.url if response is not None else None) or plan.request.url),
            method=str(plan.request.method),
            service=plan.service,
            elapsed=self.plan.clock.monotonic() - self.started,
            response=response,
            request=plan.request,
            history=self.history,
            retry_after=self._retry_after(failure),
            request_id=context.request_id(),
        )

    def _log(self, error: ServiceError | None) -> None:
        request, elapsed = self.plan.request, self.plan.clock.monotonic() - self.started
        log_call(self.plan.service, str(request.method), str(request.url), self.history, elapsed=elapsed, error=error)


def log_call(
    service: str,
    method: str,
    url: str,
    history: Sequence[Attempt] = (),
    *,
    elapsed: float = 0.0,
    error: ServiceError | None = None,
) -> None:
    """Write a call's one line: a WARNING where it failed or needed more than one attempt."""
    logger.log(
        logging.INFO if error is None and len(history) == 1 else logging.WARNING,
        "Called %s" if error is None else "Call to %s failed",
        service,
        extra={
            "method": method,
            # Not "service", which names the service that writes the line.
            "peer_service": service,
            "path": urlsplit(url).path,
            "status": history[-1].status if history else None,
            "ms": round(elapsed * 1000),
            "attempts": len(history),
        }
        | ({} if error is None else {"error": type(error).__name__}),
    )
