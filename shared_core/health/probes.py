"""How is something asked that may hang, by many at once, and within a time that is promised?

In a thread of its own, once at a time: who asks while it runs waits for the same answer, until its time is over. From
then on it has failed, for all who ask, until it ends; only then is it run again.
"""

import contextvars
import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.db import connections

from shared_core import context
from shared_core.logs.redaction import mask_text

logger = logging.getLogger("shared_core.health")

# They run side by side, so that /ready/ takes as long as the slowest, and an answer within 5 s can be promised.
LONGEST = 4.0  # seconds
_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,62}", re.ASCII)
_OURS = re.compile(r"(database|migrations)(:.*)?", re.ASCII)
_LONGEST_REASON = 300  # characters


_all: "weakref.WeakSet[Probe]" = weakref.WeakSet()


@dataclass(frozen=True)
class Finding:
    """What asking came to."""

    names: tuple[str, ...]
    failed: Mapping[str, str]  # {name: reason}; the reasons are for insiders
    ms: float


class Probe:
    """Something that is asked in a thread of its own, once at a time.

    Args:
        names: What it may say has failed; the first one where it raises, or does not end.
        timeout: Seconds that anybody waits for it.
    """

    def __init__(self, names: tuple[str, ...], timeout: float) -> None:
        self.names, self.timeout = names, timeout
        self._said: set[str] = set()  # what has failed, as the log knows it
        self.forget()
        _all.add(self)

    def ask(self) -> Mapping[str, str]:
        """Return ``{name: reason}`` of what has failed."""
        raise NotImplementedError

    def cut(self) -> None:
        """End what hangs, if that can be done; called from another thread, once its time is over."""

    def forget(self) -> None:
        """Begin anew, in a forked process: the thread has stayed behind."""
        self._lock = threading.Lock()
        self._asked: SimpleQueue[tuple[contextvars.Context, _Run]] = SimpleQueue()
        self._running: _Run | None = None
        self._has_thread = False

    def begin(self) -> "_Run":
        """Ask, or join those who have asked; ``wait()`` for what is returned."""
        with self._lock:
            if not self._has_thread:
                # Kept: to start one takes as long as a query. A daemon: one that hangs holds up no worker's end.
                threading.Thread(target=self._work, name=f"probe {self.names[0]}", daemon=True).start()
                self._has_thread = True
            if self._running is None:
                self._running = _Run(self)
                self._asked.put((contextvars.copy_context(), self._running))  # its log lines bear the caller's ids
            return self._running

    def _work(self) -> None:
        while True:
            of_caller, run = self._asked.get()
            of_caller.run(self._answer, run)
            del of_caller, run

    def _answer(self, run: "_Run") -> None:
        error = None
        try:
            # Others may wait for the same answer: it has nobody's deadline, and nobody's Authorization.
            with context.serve(context.Inbound(), context.bindings()):
                failed = self.ask()
        except BaseException as raised:  # noqa: BLE001  # whatever it raises, it has failed; the thread goes on
            failed, error = {self.names[0]: reason_of(raised)}, raised
        with self._lock:
            self._running = None
        if run.end(failed):
            self.tell(failed, error)
        run.ended.set()

    def tell(self, failed: Mapping[str, str], error: BaseException | None = None) -> None:
        """Log what has changed: orchestrators ask every few seconds, and an outage lasts."""
        with self._lock:
            before, self._said = self._said, set(failed)
        for name in sorted(set(failed) - before):
            logger.warning("Readiness check failed", extra={"check": name, "reason": failed[name]}, exc_info=error)
        for name in sorted(before - set(failed)):
            logger.info("Readiness check passes again", extra={"check": name})


class _Run:
    """One asking, and those who wait for it."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self._is_late = False
        self._finding: Finding | None = None

    def end(self, failed: Mapping[str, str]) -> bool:
        """Keep the answer for those who wait; say whether it is in time."""
        with self._lock:
            self._finding = self._made(failed)
            return not self._is_late

    def wait(self) -> Finding:
        """Return what it came to, when it has ended or its time is over."""
        self.ended.wait(max(self._began + self._probe.timeout - time.monotonic(), 0))
        with self._lock:
            if self._finding is not None:
                return self._finding
            is_first, self._is_late = not self._is_late, True
        failed = {self._probe.names[0]: f"no answer within {self._probe.timeout:g} s"}
        if is_first:
            self._probe.cut()
            self._probe.tell(failed)
        return self._made(failed)

    def _made(self, failed: Mapping[str, str]) -> Finding:
        return Finding(self._probe.names, failed, round((time.monotonic() - self._began) * 1000, 1))


def reason_of(error: BaseException) -> str:
    """Return what an insider is told of ``error``."""
    return mask_text(f"{type(error).__name__}: {error}")[:_LONGEST_REASON]


class _Registered(Probe):
    """A function of the service."""

    def __init__(self, name: str, timeout: float, function: Callable[[], Any]) -> None:
        self._function = function
        super().__init__((name,), timeout)

    def ask(self) -> Mapping[str, str]:
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
    if not isinstance(name, str) or not _NAME.fullmatch(name) or _OURS.fullmatch(name):
        raise ValueError(f'{name!r} is no name of a check: write @readiness_check("search"); database is ours')
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST:
        raise ValueError(f"timeout={timeout!r} of check {name!r} must be seconds, above 0 and up to {LONGEST:g}")

    def register(function: F) -> F:
        if iscoroutinefunction(function):
            raise TypeError(f"check {name!r} must be an ordinary function: it runs in a thread of its own")
        if name in registered:
            raise ValueError(f"there is a check {name!r} already: give each a name of its own")
        registered[name] = _Registered(name, timeout, function)
        return function

    return register


def _forget() -> None:
    for probe in _all:
        probe.forget()


os.register_at_fork(after_in_child=_forget)
