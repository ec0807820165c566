"""The formatters of LOGGING: a LogRecord as a line of `shared_core.logs.line`, its JSON twin, or for a developer."""

import json
import logging
import math
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shared_core.logs import record as log_record
from shared_core.logs.line import escape, parse_line, write_line, write_value
from shared_core.logs.quick import QuickLines

__all__ = ["DevFormatter", "JsonFormatter", "TextFormatter", "parse_line"]

_RESET = "\x1b[0m"
_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_LONGEST_ID = 64  # characters, of a request id


class _RecordFormatter(logging.Formatter):
    """Gives a LogRecord as one line, and changes no record."""

    def __init__(
        self, *, service: str | None = None, mask_keys: Collection[str] = (), max_record_bytes: int = 65536
    ) -> None:
        """Prepare to format the records of a service.

        Args:
            service: The value of the field ``service``; None writes none.
            mask_keys: Further keys whose values are masked, in any spelling.
            max_record_bytes: A longer line has its texts cut to fit, then its fields left out, extras first and ids
                never. It bears ``truncated=true``.
        """
        super().__init__()
        self._service = {} if service is None else {"service": service}
        self._mask_keys = tuple(mask_keys)
        self._max_bytes = max_record_bytes

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``."""
        message, fields = log_record.read(record, self._service, self._mask_keys, self._max_bytes)
        line = self._render(record, message, fields)
        for text_limit, id_limit, left_out in self._cuts(len(fields)):
            # A character takes four bytes at most, so that most lines need not be encoded to be measured.
            if len(line) * 4 <= self._max_bytes or len(_encode(line)) <= self._max_bytes:
                break
            cut = {
                key: _cut(value, id_limit if key in log_record.IDS else text_limit)
                for place, (key, value) in enumerate(fields.items())
                if place >= left_out or key in log_record.IDS
            }
            line = self._render(record, message[:text_limit], cut | {"truncated": True})
        return line

    def _cuts(self, fields: int) -> Iterator[tuple[int, int, int]]:
        """Yield ever smaller bounds: characters of a text and of an id, and then how many fields are left out."""
        limit = self._max_bytes
        while limit > 16:
            limit //= 2
            yield limit, max(limit, _LONGEST_ID), 0
        kept = fields
        while kept:
            kept //= 2
            yield limit, _LONGEST_ID, fields - kept
        yield limit, limit, fields

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        head = (log_record.level(record), log_record.moment(record), log_record.logger(record))
        return write_line(*head, message, fields)


class TextFormatter(_RecordFormatter):
    """Gives a LogRecord as one line of `shared_core.logs.line`, without the line feed, and changes no record."""

    def __init__(
        self, *, service: str | None = None, mask_keys: Collection[str] = (), max_record_bytes: int = 65536
    ) -> None:
        """Prepare to format the records of a service; see the arguments of `get_logging_config`."""
        super().__init__(service=service, mask_keys=mask_keys, max_record_bytes=max_record_bytes)
        self._quick_line = QuickLines(self._service, self._mask_keys, max_record_bytes).line

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``."""
        return self._quick_line(record) or super().format(record)


class JsonFormatter(_RecordFormatter):
    """Gives a LogRecord as one flat JSON object: ``level``, ``time``, ``logger``, ``msg`` and the line's fields."""

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        time_ = f"{log_record.moment(record).replace(' ', 'T').replace(',', '.')}Z"
        head = {"level": log_record.level(record), "time": time_, "logger": log_record.logger(record), "msg": message}
        # JSON has no word for numbers that are none.
        body = {key: write_value(value) if _is_odd_float(value) else value for key, value in fields.items()}
        return json.dumps(head | body)


class DevFormatter(_RecordFormatter):
    """The text line for a developer's eyes: an exception as an indented block below it, colour on a terminal.

    Colour follows standard error, and NO_COLOR (https://no-color.org) turns it off.
    """

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        inline = {key: value for key, value in fields.items() if key != "trace"}
        line = super()._render(record, message, inline)
        colour = _COLOURS.get(record.levelname)
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            line = f"{colour}{line}{_RESET}"
        block = (f"\n    {escape(row)}" for row in str(fields.get("trace", "")).splitlines())
        return line + "".join(block)


def _cut(value: Any, limit: int) -> Any:
    return value[:limit] if isinstance(value, str) else value


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_odd_float(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
