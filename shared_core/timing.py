"""Deadlines on a clock, functions that repeat in the background, and objects that start anew after a fork.

deadline = Deadline(4.0)
...
event.wait(deadline.left())
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Deadline:
    """A moment on a clock.

    Args:
        seconds: How far away it is now.
        clock: Returns seconds. It must not go backwards.
    """

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Return the seconds until then; 0 once it has passed."""
        return max(0.0, self._at - self._clock())

    @property
    def has_passed(self) -> bool:
        """Whether no time is left."""
        return self.left() <= 0


# A function that hangs in the background does not hold up the block that has ended.
_JOIN_TIMEOUT = 10.0  # seconds


@contextmanager
def repeating(function: Callable[[], object], *, after: float, every: float) -> Iterator[None]:
    """Call ``function`` in a thread of its own until the block ends: after ``after`` seconds, then each ``every``.

    An exception ends the thread, not the block.
    """
    done = threading.Event()

    def work() -> None:
        seconds = after
        while not done.wait(seconds):
            function()
            seconds = every

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_JOIN_TIMEOUT)


class ResetsAfterFork(Protocol):
    """An object that holds locks, threads or connections of its process."""

    def reset_after_fork(self) -> None:
        """Start anew: another thread of the parent may have held a lock, and its connections are the parent's."""


# Insertion-ordered, as a dict is. Without a lock: another thread of the parent may have held it.
_resetting: weakref.WeakKeyDictionary[ResetsAfterFork, None] = weakref.WeakKeyDictionary()


def reset_after_fork(instance: ResetsAfterFork) -> None:
    """Call ``instance.reset_after_fork()`` in each forked child, for as long as the instance lives.

    The last one registered is reset first: what an instance holds is registered after it.
    """
    _resetting[instance] = None


def _reset_all() -> None:
    for instance in reversed(list(_resetting)):
        instance.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all)
