"""The formatters of LOGGING: a LogRecord as a line of `shared_core.logs.line`, as JSON, or for a developer."""

import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import ClassVar

from shared_core.logs.line import escape, write_json, write_message, write_value
from shared_core.logs.record import IDS, RecordReader, read_head
from shared_core.logs.values import Value

_RESET = "\x1b[0m"
_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_LONGEST_ID = 64  # characters, of a request id


class _RecordFormatter(logging.Formatter):
    """Formats a LogRecord as one line, without the line feed, and changes no record."""

    # How a field is written.
    _prefix: ClassVar[str]
    _write_value: Callable[[Value], str]

    def __init__(
        self, *, service: str | None = None, mask_keys: Collection[str] = (), max_record_bytes: int = 65536
    ) -> None:
        """Prepare to format the records of a service.

        Args:
            service: The value of the field ``service``; None writes none.
            mask_keys: Further keys whose values are masked, in any spelling.
            max_record_bytes: The texts of a longer line are truncated, then its fields dropped, extras first and ids
                never. The line has ``truncated=true``.
        """
        super().__init__()
        self._reader = RecordReader(service, mask_keys, max_record_bytes, self._prefix, self._write_value)
        self._max_bytes = max_record_bytes

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``. If it cannot be read, that is its line, with its ids."""
        try:
            return self._format(record)
        except Exception as error:  # noqa: BLE001  # a record must not break its caller, nor be lost
            safe, fields = self._reader.replace(record, error)
            return self._line(safe, safe.msg, "", fields)

    def _format(self, record: logging.LogRecord) -> str:
        message, text, extras, bound, last = self._reader.read(record)
        line = self._line(record, message, text, last)
        # A character takes four bytes at most, so that most lines need not be encoded to be measured.
        if len(line) * 4 > self._max_bytes and _size(line) > self._max_bytes:
            return self._truncated(record, message, {**extras, **bound, **last})
        return line

    def _truncated(self, record: logging.LogRecord, message: str, fields: Mapping[str, Value]) -> str:
        """Return the line with its texts truncated, and fields dropped, until it is short enough."""
        line = ""
        for text_limit, id_limit, dropped in self._limits(len(fields)):
            kept = {
                key: _cut(value, id_limit if key in IDS else text_limit)
                for place, (key, value) in enumerate(fields.items())
                if place >= dropped or key in IDS
            }
            line = self._line(record, message[:text_limit], "", kept | {"truncated": True})
            if _size(line) <= self._max_bytes:
                break
        return line

    def _limits(self, fields: int) -> Iterator[tuple[int, int, int]]:
        """Yield ever smaller limits: characters of a text and of an id, and then how many fields are dropped."""
        limit = self._max_bytes
        while limit > 16:
            limit //= 2
            yield limit, max(limit, _LONGEST_ID), 0
        kept = fields
        while kept:
            kept //= 2
            yield limit, _LONGEST_ID, fields - kept
        yield limit, limit, fields

    def _line(self, record: logging.LogRecord, message: str, text: str, fields: Mapping[str, Value]) -> str:
        """Return the line of a message, of fields that are written already, and of further fields."""
        raise NotImplementedError


class TextFormatter(_RecordFormatter):
    """Formats a LogRecord as one line of `shared_core.logs.line`, without the line feed, and changes no record."""

    _prefix = " {}="
    _write_value = staticmethod(write_value)

    def _line(self, record: logging.LogRecord, message: str, text: str, fields: Mapping[str, Value]) -> str:
        level, time, logger = read_head(record)
        if fields:
            text += self._reader.write(fields)
        return f"{level} {time} {logger} {write_message(message)}{text}"


class JsonFormatter(_RecordFormatter):
    """Formats a LogRecord as one flat JSON object: ``level``, ``time``, ``logger``, ``msg`` and the line's fields."""

    _prefix = ', "{}": '
    _write_value = staticmethod(write_json)

    def _line(self, record: logging.LogRecord, message: str, text: str, fields: Mapping[str, Value]) -> str:
        level, time, logger = read_head(record)
        time = f"{time.replace(' ', 'T').replace(',', '.')}Z"
        if fields:
            text += self._reader.write(fields)
        head = f'"level": "{level}", "time": "{time}", "logger": {write_json(logger)}, "msg": {write_json(message)}'
        return f"{{{head}{text}}}"


class DevFormatter(TextFormatter):
    """Formats a LogRecord as the text line, with an exception as an indented block below it, in colour on a terminal.

    Colour follows standard error, and NO_COLOR (https://no-color.org) turns it off.
    """

    def _line(self, record: logging.LogRecord, message: str, text: str, fields: Mapping[str, Value]) -> str:
        line = super()._line(record, message, text, {key: value for key, value in fields.items() if key != "trace"})
        colour = _COLOURS.get(record.levelname)
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            line = f"{colour}{line}{_RESET}"
        return line + "".join(f"\n    {escape(row)}" for row in str(fields.get("trace", "")).splitlines())


def _cut(value: Value, limit: int) -> Value:
    return value[:limit] if isinstance(value, str) else value


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
