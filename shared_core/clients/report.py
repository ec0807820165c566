"""What is told of a call: a record of each attempt, events, log lines, and the error that it ends with."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import requests

from shared_core import context
from shared_core.clients.exceptions import Attempt, ServiceError
from shared_core.clients.retry import Clock, retry_after
from shared_core.clients.transport import Failure
from shared_core.logs.redaction import redact_url

logger = logging.getLogger("shared_core.http")


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call.

    ``attempt`` and ``retry`` come as often as there are attempts and retries; then each call, also one that is refused
    before anything is sent, ends with one ``success`` or ``failure``. A stream that breaks off later is a ``failure``
    too.
    """

    kind: Literal["attempt", "retry", "success", "failure"]
    service: str
    method: str
    url: str  # without userinfo, its query masked
    attempt: int  # its number, from 1; at the end, how many there were
    status: int | None  # of the last answer, None where there was none
    error: str | None  # the error's class
    elapsed: float  # seconds: of the attempt; at the end, of the call
    wait: float  # seconds before the next attempt, for a retry
    request_id: str | None


type OnEvent = Callable[[CallEvent], object]


class Report:
    """What is told of one call.

    Args:
        service: Who is called.
        request: What is sent.
        clock: The time.
        limit: How many attempts there may be.
        on_event: Is told of each event; what it raises is logged.
    """

    def __init__(
        self,
        service: str,
        request: requests.PreparedRequest,
        clock: Clock,
        *,
        limit: int = 1,
        on_event: OnEvent | None = None,
    ) -> None:
        self.service, self.request, self.history = service, request, list[Attempt]()
        self._clock, self._limit, self._on_event = clock, limit, on_event
        self.started = clock.monotonic()

    def elapsed(self) -> float:
        """Return for how many seconds the call has been under way."""
        return self._clock.monotonic() - self.started

    def attempt(self, began: float, outcome: requests.Response | Failure, wait: float | None = None) -> None:
        """Tell of an attempt, and of the retry that follows it in ``wait`` seconds."""
        failure = outcome if isinstance(outcome, Failure) else None
        response = outcome.response if isinstance(outcome, Failure) else outcome
        attempt = Attempt(
            number=len(self.history) + 1,
            status=None if response is None else response.status_code,
            error=None if failure is None else failure.error.__name__,
            elapsed=self._clock.monotonic() - began,
            wait=wait or 0.0,
        )
        self.history.append(attempt)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Attempt %d of %d of a call to %s", attempt.number, self._limit, self.service,
                extra={
                    "status": attempt.status, "error": attempt.error, "ms": round(attempt.elapsed * 1000),
                    "wait": attempt.wait,
                },
            )  # fmt: skip
        self._emit("attempt", attempt.status, attempt.error, attempt.elapsed)
        if wait is not None:
            self._emit("retry", attempt.status, attempt.error, attempt.elapsed, wait)

    def success(self) -> None:
        """Tell that the call has ended well: a WARNING where it needed more than one attempt."""
        status = self.history[-1].status if self.history else None
        self._log("Called %s", logging.INFO if len(self.history) == 1 else logging.WARNING, status)
        self._emit("success", status, None, self.elapsed())

    def failure(self, error: ServiceError) -> None:
        """Tell that the call has ended with ``error``."""
        status = self.history[-1].status if self.history else None
        self._log("Call to %s failed", logging.WARNING, status, type(error).__name__)
        self._emit("failure", status, type(error).__name__, self.elapsed())

    def error(self, failure: Failure, *, wait: float | None = None) -> ServiceError:
        """Return the error that ``failure`` is raised as; ``wait`` is its ``retry_after`` where no answer says one."""
        response = failure.response
        if response is not None:
            wait = retry_after(response.headers.get("Retry-After"), self._clock.now())
        return failure.error(
            failure.reason,
            url=str((response.url if response is not None else None) or self.request.url),
            method=str(self.request.method),
            service=self.service,
            elapsed=self.elapsed(),
            response=response,
            request=self.request,
            history=self.history,
            retry_after=wait,
            request_id=context.request_id(),
        )

    def _log(self, message: str, level: int, status: int | None, error: str | None = None) -> None:
        if not logger.isEnabledFor(level):
            return
        fields = {
            "method": self.request.method,
            # Not "service", which names the service that writes the line.
            "peer_service": self.service,
            "path": urlsplit(str(self.request.url)).path,
            "status": status,
            "ms": round(self.elapsed() * 1000),
            "attempts": len(self.history),
            "max_attempts": self._limit,
        }
        logger.log(level, message, self.service, extra=fields if error is None else {**fields, "error": error})

    def _emit(
        self,
        kind: Literal["attempt", "retry", "success", "failure"],
        status: int | None,
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
            status=status,
            error=error,
            elapsed=elapsed,
            wait=wait,
            request_id=context.request_id(),
        )
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event raised; the call goes on", extra={"peer_service": self.service, "kind": kind})
