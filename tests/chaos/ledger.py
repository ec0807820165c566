"""What callers were told: what was acknowledged must be there, what was not may be."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

ATTACHED = 5000  # bytes of each attachment
State = Literal["live", "deleted", "unknown"]


@dataclass
class Comment:
    """A comment, by its text, which no other has."""

    text: str
    is_written: bool = False  # acknowledged
    is_deletion_asked: bool = False
    is_deleted: bool = False  # acknowledged
    pk: str = ""


@dataclass
class Ticket:
    """A ticket that was asked for, by its key."""

    key: str
    requestor: str = ""
    attachment: str | None = None
    pk: str = ""  # acknowledged, once it has one
    state: State = "unknown"
    is_doubtful: bool = False  # a deletion or restore may still be under way, which nobody waits for any more
    comments: list[Comment] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One call, as its caller saw it."""

    what: str
    began: float  # time.monotonic()
    seconds: float
    error: str = ""  # the class of what was raised
    status: int = 0


class Ledger:
    """What became of every call; each ticket is one caller's alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tickets: list[Ticket] = []
        self.beside: list[Comment] = []  # acknowledged, on tickets of others
        self.users: list[str] = []  # ids
        self.attachments: list[str] = []  # ids
        self.calls: list[Call] = []
        self.lies: list[str] = []  # answers that contradict what was acknowledged
        self.acknowledged = 0

    def add(self, call: Call, *, is_write: bool) -> None:
        """Note a call that has ended."""
        with self._lock:
            self.calls.append(call)
            self.acknowledged += is_write and not call.error

    def lie(self, text: str) -> None:
        """Note an answer that cannot be true."""
        with self._lock:
            self.lies.append(text)

    def errors(self, since: int = 0) -> Counter[str]:
        """Return how often each error was raised, and with which status, from the call of that number on."""
        return Counter(
            f"{call.error} {call.status}" if call.status else call.error for call in self.calls[since:] if call.error
        )


class Lag:
    """How late this process itself is woken up, in a thread: what a slow machine adds to everybody's waiting."""

    _EVERY = 0.02  # seconds
    _MOST = 1.0  # seconds that it excuses of a call: a library that keeps others from running cannot excuse itself

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._is_over.is_set():
            time.sleep(self._EVERY)
            now = time.monotonic()
            if (late := now - before - self._EVERY) > self._EVERY:
                self._seen.append((now, late))
            before = now

    def during(self, began: float, seconds: float) -> float:
        """Return all the time by which it was late while a call took place, but at most a second."""
        return min(sum(late for at, late in self._seen if at >= began and at - late <= began + seconds), self._MOST)

    def stop(self) -> None:
        """End the thread."""
        self._is_over.set()
        self._thread.join()
