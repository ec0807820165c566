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
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from shared_core import context
from shared_core.redaction import MASK, is_secret_key

RESERVED = frozenset({"msg", "exc_type", "exc_msg", "trace", "level", "time", "logger"})

# What a LogRecord has of its own; whatever else its __dict__ holds came by `extra`.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

# Python writes no longer integers as text: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_BITS = 10_000

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
        message, fields = _message(record), self._fields(record)
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
        return _line(_level(record), _time(record), _logger(record), message, fields)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of the line, each a str, a number, a bool or None, in their order."""
        extras = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        sources: dict[str, Any] = extras | {
            key: value for key, value in chain(context.current().items(), self._service.items()) if key not in extras
        }
        fields: dict[str, Any] = {}
        for key, value in sources.items():
            name = _key(str(key))
            while name in fields:
                name = f"{name[:63]}_"
            fields[name] = MASK if self._is_secret(str(key)) else self._plain(value)
        if bad_arguments := _bad_arguments(record):
            fields["args_"] = bad_arguments
        return fields | _exception(record)

    def _is_secret(self, key: str) -> bool:
        return is_secret_key(key, self._mask_keys)

    def _plain(self, value: Any) -> str | int | float | bool | None:
        """Return ``value`` as a field can hold it: containers as their JSON text, other objects as their ``str()``."""
        if value is None or isinstance(value, bool | float):
            return value
        if type(value) is int and abs(value).bit_length() < _MAX_BITS:
            return value
        if isinstance(value, Mapping | list | tuple):
            try:
                return json.dumps(self._masked(value), default=_as_text, ensure_ascii=False)
            except RecursionError:
                return f"<{type(value).__name__}: nested too deep>"
        return _as_text(value)

    def _masked(self, value: Any) -> Any:
        """Return ``value`` with what stands under secret keys in it replaced, in copies of its containers."""
        if isinstance(value, Mapping):
            return {
                str(key): MASK if self._is_secret(str(key)) else self._masked(inner) for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._masked(inner) for inner in value]
        return value


class JsonFormatter(TextFormatter):
    """Gives a LogRecord as one flat JSON object: ``level``, ``time``, ``logger``, ``msg`` and the line's fields."""

    def _render(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        time_ = f"{_time(record).replace(' ', 'T').replace(',', '.')}Z"
        head = {"level": _level(record), "time": time_, "logger": _logger(record), "msg": message}
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


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # whatever an object's __str__ does, its record must be written
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"


def _message(record: logging.LogRecord) -> str:
    return _as_text(record.msg) if _bad_arguments(record) else _as_text(record.getMessage())


def _bad_arguments(record: logging.LogRecord) -> str:
    """Return the arguments of a record whose message cannot take them; empty for every other."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001  # as above
        return _as_text(record.args)
    return ""


def _exception(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, _ = record.exc_info
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        fields = {"exc_type": name, "exc_msg": _as_text(error)}
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    if record.stack_info:
        trace = f"{trace}\n{record.stack_info}".lstrip("\n")
    return fields | ({"trace": trace} if trace else {})


def _level(record: logging.LogRecord) -> str:
    level = re.sub(r"[^A-Z0-9_]", "_", record.levelname.upper())
    return level if level[:1].isalpha() else f"LEVEL_{level}"


def _time(record: logging.LogRecord) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
    return f"{moment},{int(record.msecs):03d}"


def _logger(record: logging.LogRecord) -> str:
    name = "".join(c if c.isprintable() and c not in ' "=' else "_" for c in record.name)
    return name or "root"


def _key(key: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", key)[:64] or "_"
    return f"{name}_" if name in RESERVED else name
