"""What is reported of a call: a record of each attempt, events, log lines, and the error that the call ends with."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import requests

from shared_core import context
from shared_core.clients.exceptions import Attempt, ServiceError
from shared_core.clients.failures import Failure
from shared_core.logs.redaction import redact_url

logger = logging.getLogger("shared_core.http")


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call.

    There is an ``attempt`` for each attempt and a ``retry`` for each retry. Then each call ends with one ``success`` or
    ``failure``, also a call that was refused before anything was sent. A stream that breaks off later is a ``failure``
    too.
    """

    kind: Literal["attempt", "retry", "success", "failure"]
    service: str
    method: str
    url: str  # without userinfo, its query masked
    attempt: int  # its number, from 1; at the end, how many there were
    status: int | None  # of the last answer; None if there was none
    error: str | None  # the error's class
    elapsed: float  # seconds: of the attempt; at the end, of the call
    wait: float  # seconds before the next attempt, for a retry
    request_id: str | None


type OnEvent = Callable[[CallEvent], object]


class Report:
    """Reports one call.

    Args:
        service: The called service.
        request: What is sent.
        started: When the call started, in seconds on the call's clock; ``now`` is on the same clock.
        max_attempts: How many attempts there may be.
        on_event: Called with each event. What it raises is logged.
    """

    def __init__(
        self,
        service: str,
        request: requests.PreparedRequest,
        *,
        started: float = 0.0,
        max_attempts: int = 1,
        on_event: OnEvent | None = None,
    ) -> None:
        self.service, self.request, self.history = service, request, list[Attempt]()
        self._started, self._max_attempts, self._on_event = started, max_attempts, on_event

    def attempt(self, outcome: requests.Response | Failure, elapsed: float, wait: float | None = None) -> None:
        """Report an attempt that took ``elapsed`` seconds, and the retry that follows it in ``wait`` seconds."""
        failure = outcome if isinstance(outcome, Failure) else None
        response = outcome.response if isinstance(outcome, Failure) else outcome
        attempt = Attempt(
            number=len(self.history) + 1,
            status=None if response is None else response.status_code,
            error=None if failure is None else failure.error.__name__,
            elapsed=elapsed,
            wait=wait or 0.0,
        )
        self.history.append(attempt)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Attempt %d of %d of a call to %s", attempt.number, self._max_attempts, self.service,
                extra={
                    "status": attempt.status, "error": attempt.error, "ms": round(attempt.elapsed * 1000),
                    "wait": attempt.wait,
                },
            )  # fmt: skip
        self._emit("attempt", attempt.error, attempt.elapsed)
        if wait is not None:
            self._emit("retry", attempt.error, attempt.elapsed, wait)

    def success(self, now: float) -> None:
        """Report that the call succeeded: a WARNING if it took more than one attempt."""
        level = logging.INFO if len(self.history) == 1 else logging.WARNING
        self._log("Called %s", level, now)
        self._emit("success", None, now - self._started)

    def failure(self, error: ServiceError, now: float) -> None:
        """Report that the call ended with ``error``."""
        name = type(error).__name__
        self._log("Call to %s failed", logging.WARNING, now, name)
        self._emit("failure", name, now - self._started)

    def error(self, failure: Failure, now: float, *, retry_after: float | None = None) -> ServiceError:
        """Return the error that ``failure`` is raised as."""
        response = failure.response
        return failure.error(
            failure.reason,
            url=str((response.url if response is not None else None) or self.request.url),
            method=str(self.request.method),
            service=self.service,
            elapsed=now - self._started,
            response=response,
            request=self.request,
            history=self.history,
            retry_after=retry_after,
            request_id=context.request_id(),
        )

    @property
    def _status(self) -> int | None:
        return self.history[-1].status if self.history else None

    def _log(self, message: str, level: int, now: float, error: str | None = None) -> None:
        if not logger.isEnabledFor(level):
            return
        fields = {
            "method": self.request.method,
            # Not "service", which names the service that writes the line.
            "peer_service": self.service,
            "path": urlsplit(str(self.request.url)).path,
            "status": self._status,
            "ms": round((now - self._started) * 1000),
            "attempts": len(self.history),
            "max_attempts": self._max_attempts,
        }
        logger.log(level, message, self.service, extra=fields if error is None else {**fields, "error": error})

    def _emit(
        self,
        kind: Literal["attempt", "retry", "success", "failure"],
        error: str | None,
        elapsed: float,
        wait: float = 0.0,
    ) -> None:
        if self._on_event is None:
            return
        event = CallEvent(
            kind=kind,
            service=self.service,
            method=str(self.request.method),
            url=redact_url(str(self.request.url)),
            attempt=len(self.history),
            status=self._status,
            error=error,
            elapsed=elapsed,
            wait=wait,
            request_id=context.request_id(),
        )
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event raised; the call goes on", extra={"peer_service": self.service, "kind": kind})
