"""What was logged in a test, as readers of the log get it: formatted, masked, parsed.

def test_opening_a_ticket_is_logged(capture_logs):          # a fixture of the pytest plugin
    open_ticket(number=42)

    assert capture_logs[-1]["fields"]["ticket_id"] == 42
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared_core.logs import TextFormatter, parse_line


class _Keeping(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter())
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(parse_line(self.format(record)))


@contextmanager
def capture_logs(logger: str = "", level: int | str = logging.NOTSET) -> Iterator[list[dict[str, Any]]]:
    """Give a list that fills with what is logged in the block.

    Args:
        logger: This logger and those below it; by default all.
        level: What the logger writes for the length of the block; by default what it writes anyway.

    Returns:
        ``{"level", "time", "logger", "message", "fields"}`` a record, as `shared_core.logs.parse_line` gives it.
        Of the fields, ``service`` is none: the formatter of the settings adds it.
    """
    watched, handler = logging.getLogger(logger), _Keeping()
    before = watched.level
    if level:
        watched.setLevel(level)
    watched.addHandler(handler)
    try:
        yield handler.records
    finally:
        watched.removeHandler(handler)
        watched.setLevel(before)
