"""Probes: readiness checks that may hang, run for many callers at once within a time limit.

A probe runs in a thread of its own, once at a time. A caller that comes while it runs waits for the same result, until
the time limit of that run. From then on the probe has failed for all callers, until the run ends. Only then is it run
again.
"""

import contextvars
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.db import connections

from shared_core.context.bindings import current_bindings
from shared_core.context.inbound import Inbound, serving_request
from shared_core.logs.redaction import mask_text
from shared_core.timing import Deadline, reset_after_fork

logger = logging.getLogger("shared_core.health")

# They run side by side, so that /ready/ takes as long as the slowest, and an answer within 5 s can be promised.
MAX_TIMEOUT = 4.0  # seconds
_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,62}", re.ASCII)
_RESERVED_NAME = re.compile(r"(database|migrations)(:.*)?", re.ASCII)
_MAX_REASON_LENGTH = 300  # characters


@dataclass(frozen=True)
class ProbeResult:
    """The result of one run of a probe."""

    names: tuple[str, ...]
    failed: Mapping[str, str]  # {name: reason}; the reasons are for insiders
    ms: float


class Probe:
    """A check that runs in a thread of its own, once at a time.

    Args:
        names: What it may say has failed; the first one where it raises, or does not end.
        timeout: Seconds that a caller waits for a run.
    """

    def __init__(self, names: tuple[str, ...], timeout: float) -> None:
        self.names, self.timeout = names, timeout
        self._reported: set[str] = set()  # what has failed, as the log knows it
        self.reset_after_fork()
        reset_after_fork(self)

    def check(self) -> Mapping[str, str]:
        """Return ``{name: reason}`` of what has failed."""
        raise NotImplementedError

    def abort(self) -> None:
        """End a run that hangs, if that can be done; called from another thread, after the timeout."""

    def reset_after_fork(self) -> None:
        """Start anew: the thread runs in the parent only."""
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[contextvars.Context, _Run]] = SimpleQueue()
        self._running: _Run | None = None
        self._has_thread = False

    def start(self) -> "_Run":
        """Start a run, or return the one under way; its ``wait()`` returns the result."""
        with self._lock:
            if not self._has_thread:
                # Kept: to start one takes as long as a query. A daemon: one that hangs holds up no worker's end.
                threading.Thread(target=self._work, name=f"probe {self.names[0]}", daemon=True).start()
                self._has_thread = True
            if self._running is None:
                self._running = _Run(self)
                self._queue.put((contextvars.copy_context(), self._running))  # its log lines bear the caller's ids
            return self._running

    def _work(self) -> None:
        while True:
            of_caller, run = self._queue.get()
            of_caller.run(self._run, run)
            del of_caller, run

    def _run(self, run: "_Run") -> None:
        error = None
        try:
            # Others may wait for the same answer: it has nobody's deadline, and nobody's Authorization.
            with serving_request(Inbound(), current_bindings()):
                failed = self.check()
        except BaseException as raised:  # noqa: BLE001  # whatever it raises, it has failed; the thread goes on
            failed, error = {self.names[0]: describe_error(raised)}, raised
        with self._lock:
            self._running = None
        if run.finish(failed):
            self.log_changes(failed, error)
        run.ended.set()

    def log_changes(self, failed: Mapping[str, str], error: BaseException | None = None) -> None:
        """Log what has changed: orchestrators ask every few seconds, and an outage lasts."""
        with self._lock:
            before, self._reported = self._reported, set(failed)
        for name in sorted(set(failed) - before):
            logger.warning("Readiness check failed", extra={"check": name, "reason": failed[name]}, exc_info=error)
        for name in sorted(before - set(failed)):
            logger.info("Readiness check passes again", extra={"check": name})


class _Run:
    """One run of a probe, for all callers that wait for it."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._began = time.monotonic()
        self._deadline = Deadline(probe.timeout)
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self._has_timed_out = False
        self._result: ProbeResult | None = None

    def finish(self, failed: Mapping[str, str]) -> bool:
        """Store the result for the callers that wait; return whether the run ended in time."""
        with self._lock:
            self._result = self._as_result(failed)
            return not self._has_timed_out

    def wait(self) -> ProbeResult:
        """Return the result once the run has ended, or its failure once the timeout has passed."""
        self.ended.wait(self._deadline.left())
        with self._lock:
            if self._result is not None:
                return self._result
            is_first, self._has_timed_out = not self._has_timed_out, True
        failed = {self._probe.names[0]: f"no answer within {self._probe.timeout:g} s"}
        if is_first:
            self._probe.abort()
            self._probe.log_changes(failed)
        return self._as_result(failed)

    def _as_result(self, failed: Mapping[str, str]) -> ProbeResult:
        return ProbeResult(self._probe.names, failed, round((time.monotonic() - self._began) * 1000, 1))


def describe_error(error: BaseException) -> str:
    """Return what an insider is told of ``error``."""
    return mask_text(f"{type(error).__name__}: {error}")[:_MAX_REASON_LENGTH]


class _FunctionProbe(Probe):
    """A function of the service."""

    def __init__(self, name: str, timeout: float, function: Callable[[], Any]) -> None:
        self._function = function
        super().__init__((name,), timeout)

    def check(self) -> Mapping[str, str]:
        try:
            answer = self._function()
        finally:
            connections.close_all()  # this thread's: it may be long until it is asked again
        if answer is None or answer is True:
            return {}
        # What else is returned is no yes: a check that returns what it has found may have found nothing.
        said = "False" if answer is False else f"{type(answer).__name__}, which is neither True nor None"
        return {self.names[0]: f"it returned {said}"}


registered: dict[str, Probe] = {}


def readiness_check[F: Callable[[], Any]](name: str, *, timeout: float = 2.0) -> Callable[[F], F]:
    """Have /ready/ ask the function, too: it raises, or returns False, where this service cannot do its work.

        @readiness_check("search", timeout=1.0)
        def search_answers():
            search.ping()

    It runs in a thread of its own, once at a time however often /ready/ is asked. It is for what this service cannot do
    without; one of another service that is down would take this one down as well. Register it where Django imports it:
    in ``AppConfig.ready()``, or in a module that is imported there.

    Args:
        name: What /ready/ calls it where it fails, for everybody to see: ``a-z 0-9 _ . : -``.
        timeout: Seconds, 4 at most; one that has not ended by then has failed.

    Raises:
        ValueError: The name is none, or another function's; or the timeout is out of range.
        TypeError: The function is asynchronous.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _RESERVED_NAME.fullmatch(name):
        raise ValueError(f'{name!r} is no name of a check: write @readiness_check("search"); database is ours')
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(f"timeout={timeout!r} of check {name!r} must be seconds, above 0 and up to {MAX_TIMEOUT:g}")

    def register(function: F) -> F:
        if iscoroutinefunction(function):
            raise TypeError(f"check {name!r} must be an ordinary function: it runs in a thread of its own")
        if name in registered:
            raise ValueError(f"there is a check {name!r} already: give each a name of its own")
        registered[name] = _FunctionProbe(name, timeout, function)
        return function

    return register
