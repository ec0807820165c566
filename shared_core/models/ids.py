"""Make keys that no other process makes, and that sort by age.

    0                   48    52           64     66                    96            128
    | Unix time in ms   | ver | counter, 12| var  | counter, 30         | random, 32  |

UUID version 7, RFC 9562 section 5.7, with the counter of section 6.2, method 1. The counter starts at a random
value each millisecond, its highest bit clear, so that it has room to grow; 32 fresh random bits end every id.
"""

import secrets
import threading
import time
import uuid

from shared_core.timing import reset_after_fork

_COUNTER_BITS = 42
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


class _Generator:
    """The last millisecond and counter given out by this process."""

    def __init__(self) -> None:
        self._millisecond = 0
        self._counter = 0
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Leave the parent's sequence: a child that went on counting from it would differ in 32 bits only."""
        self._lock = threading.Lock()  # the parent's may have been held by a thread that is not here
        self._inherited = True

    def next(self, now: int) -> tuple[int, int]:
        """Return ``(millisecond, counter)``, greater than any returned before."""
        with self._lock:
            if now > self._millisecond:
                self._millisecond = now
                self._counter = secrets.randbits(_COUNTER_BITS - 1)
            else:  # the same millisecond, or a clock that was set back
                self._counter += 1
                if self._inherited or self._counter >> _COUNTER_BITS:
                    self._millisecond += 1
                    self._counter = secrets.randbits(_COUNTER_BITS - 1)
            self._inherited = False
            return self._millisecond, self._counter


_generator = _Generator()
reset_after_fork(_generator)


def uuid7() -> uuid.UUID:
    """Return a new UUID of version 7, greater than any that this process has returned before.

    Safe in threads and after ``fork``. Ids of different processes sort by their clocks, to the millisecond.

    See: RFC 9562, sections 5.7 and 6.2.
    """
    millisecond, counter = _generator.next(time.time_ns() // 1_000_000)
    value = millisecond << 80 | (counter >> 30) << 64 | (counter & 0x3FFF_FFFF) << 32 | secrets.randbits(32)
    return uuid.UUID(int=value | _VERSION_AND_VARIANT)


# Migrations write this function by its import path, which must outlive any move of this file.
uuid7.__module__ = "shared_core.models"
