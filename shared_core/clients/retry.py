"""Retries: which responses are retried, and after how long.

Two questions decide: may the server have acted on it (a method that is not idempotent is repeated only where it
cannot have), and can the very same bytes be sent again?
"""

import random
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from shared_core.clients.arguments import check_count, check_seconds

# RFC 9110 §9.2.2: repeating these requests has the effect of sending them once.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

# RFC 9110 §10.2.3: Retry-After is a number of seconds or a date.
_DELAY_SECONDS = re.compile(r"[0-9]+", re.ASCII)

# Seconds. RFC 9110 sets no maximum, and callers sleep for what they get: time.sleep(inf) raises OverflowError.
_MAX_RETRY_AFTER = 86_400.0


@dataclass(frozen=True)
class Clock:
    """Time, waiting and chance, as a call sees them."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time  # seconds since the epoch
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often, on what, and after how long a request is sent again.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A value is out of range.
    """

    retries: int = 3  # after the first attempt
    backoff_factor: float = 0.5  # seconds before the first retry; doubles
    max_backoff: float = 8.0  # seconds
    jitter: float = 0.5  # 0: wait in full; 1: anything between nothing and that
    statuses: Collection[int] = frozenset({429, 500, 502, 503, 504})
    retry_after_cap: float = 10.0  # seconds; a Retry-After above it ends the call

    def __post_init__(self) -> None:
        check_count("retries", self.retries)
        for name in ("backoff_factor", "max_backoff", "jitter", "retry_after_cap"):
            check_seconds(name, getattr(self, name), zero=True)
        if self.jitter > 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter!r}")
        if isinstance(self.statuses, str) or not all(isinstance(status, int) for status in self.statuses):
            raise TypeError(f"statuses must be numbers, not {self.statuses!r}")
        object.__setattr__(self, "statuses", frozenset(self.statuses))


def backoff(policy: RetryPolicy, attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Return how long to wait before the next attempt.

    Args:
        policy: Limits, in seconds.
        attempt: Number of the attempt that just failed, from 1.
        chance: Gives a number in ``[0, 1)``.

    Returns:
        Seconds, uniform in ``((1 - jitter) * d, d]``, ``d = min(max_backoff, backoff_factor * 2**(attempt - 1))``.

    See: "equal jitter", AWS Architecture Blog, 2015.
    """
    # Doubled 60 times, any factor has passed any limit; a float cannot double for ever.
    full = min(policy.max_backoff, policy.backoff_factor * 2.0 ** min(attempt - 1, 60))
    return full * (1 - policy.jitter * chance())


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, or None if it is absent or in neither form.

    Args:
        value: The header.
        now: Seconds since the epoch, for a header that is a date.

    Returns:
        Seconds from 0, for a date in the past, to 86,400: a longer wait counts as one day.
    """
    text = (value or "").strip()
    if _DELAY_SECONDS.fullmatch(text):
        return min(float(text), _MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    wait = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return min(max(0.0, wait), _MAX_RETRY_AFTER)


def rewinder(body: Any) -> Callable[[], object] | None:  # Any: whatever requests takes as a body
    """Return what makes ``body`` ready to be sent from where it stands now, or None where it can be sent only once."""
    if body is None or isinstance(body, str | bytes | bytearray):
        return lambda: None
    try:
        return partial(body.seek, body.tell()) if body.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None
