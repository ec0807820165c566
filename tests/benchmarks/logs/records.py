"""What is logged: the same for all."""

import logging
import uuid
from collections.abc import Iterator
from typing import Any

REQUEST_ID = "0f8fad5bd9cb469fa16570867728950e"
MESSAGE = "Ticket opened by %s"
_TICKETS = [str(uuid.uuid4()) for _ in range(1000)]


def extras(count: int) -> list[dict[str, Any]]:
    """Return the extras of so many records."""
    return [
        {"ticket_id": _TICKETS[number % 1000], "status": "open", "attempt": number, "ms": number / 8}
        for number in range(count)
    ]


def records(count: int) -> Iterator[logging.LogRecord]:
    """Make so many records, as a logger does."""
    logger = logging.Logger("apps.tickets")  # not the process's
    for number, extra in enumerate(extras(count)):
        yield logger.makeRecord(
            "apps.tickets", logging.INFO, "services.py", 7, MESSAGE, (f"user{number}",), None, "open_ticket", extra
        )
