"""What programs show on a terminal: colour where it is wanted, progress, and an exit without a traceback."""

import datetime as dt
import errno
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

# What shells make of a signal: 128 and its number.
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Terminal(Protocol):
    """A stream, or what Django wraps one in."""

    def isatty(self) -> bool:
        """Say whether a person looks at it."""

    def flush(self) -> object:
        """Show what was written."""


def requested_colour() -> bool | None:
    """Return what the environment says of colour, or None where it says nothing.

    See: https://no-color.org, https://force-color.org; in this order, as Python's own programs have them.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def uses_colour(stream: Terminal) -> bool:
    """Say whether what is written to ``stream`` is to be in colour."""
    asked = requested_colour()
    return stream.isatty() and os.environ.get("TERM") != "dumb" if asked is None else asked


@contextmanager
def graceful_exit(*, unread: int = 0) -> Iterator[None]:
    """End the program without a traceback after Ctrl-C, where nobody reads what it says, or where its disk is full.

    Args:
        unread: The exit status where a reader has left, as ``| head`` does: 0 where to be read is all that it is for.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # while there is somebody to see that it fails
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        if not _silence_broken_pipes():  # it was somebody else's pipe
            raise
        sys.exit(unread)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        _redirect_to_null(sys.stdout.fileno())
        sys.exit(f"{error.strerror}: make room, or write elsewhere.")


def _silence_broken_pipes() -> bool:
    """Have what nobody reads go nowhere, lest Python complains at its end; say whether there is any."""
    streams = select.poll()
    for stream in (sys.stdout, sys.stderr):
        streams.register(stream, 0)  # an error is told in any case
    unread = streams.poll(0)
    for number, _ in unread:
        _redirect_to_null(number)
    return bool(unread)


def _redirect_to_null(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


@contextmanager
def interrupt_event() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set the event that is returned, and a second one interrupt at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # Python gives signals to the main thread only
        yield event
        return

    def handle(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)  # None: set by what is not Python


@dataclass
class Progress:
    """How far a piece of work is.

        tickets.Ticket [#########...........] 4,500/10,000  45% 900 rows/s ETA 0:00:06

    ``total`` is a number of rows, or of another unit, and so is what `advance` is told.
    """

    label: str
    total: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    unit: str = "rows"
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def advance(self, units: int) -> None:
        """Note that more is done."""
        self.done += units
        self.total = max(self.total, self.done)  # it was counted before, and others go on working

    def line(self, width: int = 80) -> str:
        """Return the bar as text that is shorter than ``width`` columns."""
        elapsed = self.clock() - self.started
        rate = self.done / elapsed if elapsed > 0 else 0.0
        left = str(dt.timedelta(seconds=round((self.total - self.done) / rate))) if rate else "-:--:--"
        share = self.done / self.total if self.total else 1.0
        filled = int(share * 20)
        bar = "#" * filled + "." * (20 - filled)
        facts = f"{self.done:,}/{self.total:,} {share:4.0%} {rate:,.0f} {self.unit}/s ETA {left}"
        return f"{self.label} [{bar}] {facts}" if len(self.label) + len(facts) + 25 < width else facts[: width - 1]


@dataclass
class ProgressBar:
    """A `Progress` on a terminal, on one line, by no escape sequences."""

    write: Callable[[str], object]
    progress: Progress
    is_shown: bool = field(default=False, init=False)

    def advance(self, units: int) -> None:
        """Note that more is done, and show it."""
        self.progress.advance(units)
        self.is_shown = True
        width = shutil.get_terminal_size().columns
        self.write(f"\r{self.progress.line(width):<{width - 1}}")

    def clear(self) -> None:
        """Leave the line empty."""
        if not self.is_shown:
            return
        self.is_shown = False
        self.write(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r")
