r"""One line a record, readable by people and exact for tools: its grammar, its formatters, its parser.

    INFO 2025-11-20 10:30:45,123 apps.tickets Ticket opened ticket_id=42 request_id=0f8fad5b service=ticket

    line    = LEVEL SP date SP time SP logger [SP message] *(SP key "=" value) LF     time in UTC
    LEVEL   = [A-Z][A-Z0-9_]*     logger = [^\s="]+     key = [A-Za-z0-9_.-]{1,64}     (others are made to fit)
    message = printable, not empty, holds no "=", does not begin with '"', no edge spaces; else the first field, msg="…"
    value   = run of printables without space, quote, "=" | JSON string in which every non-printable is \uXXXX
    bare null, true, false and numbers are typed; a string that reads as one of them, or is empty, is quoted
    an exception is the last fields: exc_type= exc_msg= trace="…\n…"

A key stands once in a line: the record's extras win over what is bound to the request, that over ``service``.
"""

import datetime as dt
import json
import logging
import math
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shared_core import log_record

# Numbers as JSON writes them, and the three that it has no word for.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|-?Infinity|NaN", re.ASCII)
_WORDS: Mapping[str, object] = {"null": None, "true": True, "false": False}
_BARE = re.compile(r'[^\s"=]+')
_KEY = r"[A-Za-z0-9_.-]{1,64}"
_FIELD = re.compile(rf' ({_KEY})=("(?:[^"\\]|\\.)*"|[^\s"=]+)')
_HEAD = re.compile(r'([A-Z][A-Z0-9_]*) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([^\s="]+)', re.ASCII)
_RESET = "\x1b[0m"
_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}


class TextFormatter(logging.Formatter):
    """Gives a LogRecord as one line of the grammar, without the line feed, and changes no record."""

    def __init__(
        self, *, service: str | None = None, mask_keys: Collection[str] = (), max_record_bytes: int = 65536
    ) -> None:
        """Prepare to format the records of a service.

        Args:
            service: The value of the field ``service``; None writes none.
            mask_keys: Further keys whose values are masked, in any spelling.
            max_record_bytes: A longer line has its texts, then its fields cut to fit, and bears ``truncated=true``.
        """
        super().__init__()
        self._service = {} if service is None else {"service": service}
        self._mask_keys = tuple(mask_keys)
        self._max_bytes = max_record_bytes

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``."""
        message = log_record.message(record)
        fields = log_record.fields(record, self._service, self._mask_keys)
        line = self._render(record, message, fields)
        for text_limit, field_limit in self._cuts(len(fields)):
            # A character takes four bytes at most, so that most lines need not be encoded to be measured.
            if len(line) * 4 <= self._max_bytes or len(_encode(line)) <= self._max_bytes:
                break
            cut = {key: _cut(value, text_limit) for key, value in list(fields.items())[:field_limit]}
            line = self._render(record, message[:text_limit], cut | {"truncated": True})
        return line

    def _cuts(self, fields: int) -> Iterator[tuple[int, int]]:
        """Yield ever smaller bounds: characters of a text, and then the number of fields."""
        limit = self._max_bytes
        while limit > 16:
            limit //= 2
            yield limit, fields
        while fields:
            fields //= 2
            yield limit, fields

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        head = (log_record.level(record), log_record.moment(record), log_record.logger(record))
        return _line(*head, message, fields)


class JsonFormatter(TextFormatter):
    """Gives a LogRecord as one flat JSON object: ``level``, ``time``, ``logger``, ``msg`` and the line's fields."""

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        time_ = f"{log_record.moment(record).replace(' ', 'T').replace(',', '.')}Z"
        head = {"level": log_record.level(record), "time": time_, "logger": log_record.logger(record), "msg": message}
        # JSON has no word for numbers that are none.
        body = {key: _value(value) if _is_odd_float(value) else value for key, value in fields.items()}
        return json.dumps(head | body)


class DevFormatter(TextFormatter):
    """The text line for a developer's eyes: an exception as an indented block below it, colour on a terminal.

    Colour follows standard error, and NO_COLOR (https://no-color.org) turns it off.
    """

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        inline = {key: value for key, value in fields.items() if key != "trace"}
        line = super()._render(record, message, inline)
        colour = _COLOURS.get(record.levelname)
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            line = f"{colour}{line}{_RESET}"
        block = (f"\n    {_escape(row)}" for row in str(fields.get("trace", "")).splitlines())
        return line + "".join(block)


def parse_line(line: str) -> dict[str, Any]:
    """Return what a line of `TextFormatter` says.

    Returns:
        ``{"level": "INFO", "time": aware datetime, "logger": "apps", "message": "…", "fields": {key: value}}``.

    Raises:
        ValueError: ``line`` is no record of this grammar.
    """
    line = line.removesuffix("\n")
    head = _HEAD.match(line)
    if head is None:
        raise ValueError(f"not a log record: {line[:80]!r}")
    rest = line[head.end() :]
    # The message holds no "=", so the first one ends the first field's key.
    equals = rest.find("=")
    end = len(rest) if equals < 0 else max(rest.rfind(" ", 0, equals), 0)
    message = rest[1:end]
    if end and not (rest.startswith(" ") and _is_message(message)):
        raise ValueError(f"not a log record, by its message: {line[:80]!r}")
    fields: dict[str, Any] = {}
    while end < len(rest):
        field = _FIELD.match(rest, end)
        if field is None or field[1] in fields or not field[0].isprintable():
            raise ValueError(f"not a log record, from its field {rest[end : end + 80]!r}")
        fields[field[1]] = _typed(field[2])
        end = field.end()
    if not message and next(iter(fields), "") == "msg":
        message = str(fields.pop("msg"))
    moment = dt.datetime.strptime(head[2] + "+0000", "%Y-%m-%d %H:%M:%S,%f%z")
    return {"level": head[1], "time": moment, "logger": head[3], "message": message, "fields": fields}


def _typed(text: str) -> Any:
    if text.startswith('"'):
        return json.loads(text)
    if text in _WORDS:
        return _WORDS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _line(level: str, time_: str, logger: str, message: str, fields: Mapping[str, Any]) -> str:
    first = message if _is_message(message) else f"msg={_quoted(message)}"
    return " ".join([level, time_, logger, first, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _is_message(text: str) -> bool:
    return bool(text) and text.isprintable() and "=" not in text and text[0] not in '" ' and text[-1] != " "


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return json.dumps(value)
    bare = _BARE.fullmatch(value) and value.isprintable() and value not in _WORDS and not _NUMBER.fullmatch(value)
    return value if bare else _quoted(value)


def _quoted(text: str) -> str:
    return _escape(json.dumps(text, ensure_ascii=False))


def _escape(text: str) -> str:
    r"""Write every character that is not printable as the ``\uXXXX`` of its UTF-16 units."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1].replace("\x7f", r"\u007f")
        for character in text
    )


def _cut(value: Any, limit: int) -> Any:
    return value[:limit] if isinstance(value, str) else value


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_odd_float(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
