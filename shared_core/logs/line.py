r"""The grammar of a log line, written and parsed: one line a record, readable by people and exact for tools.

    INFO 2025-11-20 10:30:45,123 apps.tickets Ticket opened ticket_id=42 request_id=0f8fad5b service=ticket

    line    = LEVEL SP date SP time SP logger [SP message] *(SP key "=" value) LF     time in UTC
    LEVEL   = [A-Z][A-Z0-9_]*     logger = [^\s="]+     key = [A-Za-z0-9_.-]{1,64}     (others are changed to be)
    message = printable, not empty, holds no "=", does not begin with '"', no edge spaces; else the first field, msg="…"
    value   = run of printables without space, quote, "=" | JSON string in which every non-printable is \uXXXX
    bare null, true, false and numbers are typed; a string that reads as one of them, or is empty, is quoted
    an exception is the last fields: exc_type= exc_msg= trace="…\n…"

A key occurs once in a line. The record's extras win over what is bound, and that over ``service``.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

# Numbers as JSON writes them, and the three that it has no word for.
_NUMBER = re.compile(r"-?+(?:(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?+\d++)?+|Infinity)|NaN", re.ASCII)
_WORDS: Mapping[str, object] = {"null": None, "true": True, "false": False}
_NUMBERS_BEGIN_WITH = frozenset("-0123456789IN")
_FIELD = re.compile(r' ([A-Za-z0-9_.-]{1,64})=("(?:[^"\\]|\\.)*"|[^\s"=]+)')
_HEAD = re.compile(r'([A-Z][A-Z0-9_]*) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([^\s="]+)', re.ASCII)
_NO_JSON = frozenset({"NaN", "Infinity", "-Infinity"})
_json_string = json.JSONEncoder(ensure_ascii=False).encode
_ascii_json_string = json.JSONEncoder().encode


def write_message(text: str) -> str:
    """Return the message as it is written: itself, or the field ``msg``."""
    return text if is_message(text) else f"msg={_quoted(text)}"


def write_value(value: str | float | None) -> str:
    """Return the text of a field's value."""
    return _write_text(value) if isinstance(value, str) else _write_scalar(value)


def write_json(value: str | float | None) -> str:
    """Return the value as JSON; a number for which JSON has no word is a string."""
    if isinstance(value, str):
        return _ascii_json_string(value)
    text = _write_scalar(value)
    return f'"{text}"' if text in _NO_JSON else text


def is_message(text: str) -> bool:
    """Return whether ``text`` is a message of the grammar."""
    return bool(text) and text.isprintable() and "=" not in text and text[0] not in '" ' and text[-1] != " "


def escape(text: str) -> str:
    r"""Write every character that is not printable as the ``\uXXXX`` of its UTF-16 units."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1].replace("\x7f", r"\u007f")
        for character in text
    )


def parse_line(line: str) -> dict[str, Any]:
    """Return the record that a line holds.

    Returns:
        ``{"level": "INFO", "time": aware datetime, "logger": "apps", "message": "…", "fields": {key: value}}``.

    Raises:
        ValueError: ``line`` is not a record of this grammar.
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
    if end and not (rest.startswith(" ") and is_message(message)):
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
    time = dt.datetime.strptime(head[2] + "+0000", "%Y-%m-%d %H:%M:%S,%f%z")
    return {"level": head[1], "time": time, "logger": head[3], "message": message, "fields": fields}


def _typed(text: str) -> Any:
    if text.startswith('"'):
        return json.loads(text)
    if text in _WORDS:
        return _WORDS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _write_scalar(value: float | None) -> str:
    if isinstance(value, float):
        return float.__repr__(value) if isfinite(value) else json.dumps(value)
    if value is None:
        return "null"
    return int.__repr__(value) if value is not True and value is not False else "true" if value else "false"


def _write_text(text: str) -> str:
    # A space is the only printable that separates words.
    if not text or " " in text or "=" in text or '"' in text or not text.isprintable() or text in _WORDS:
        return _quoted(text)
    return _quoted(text) if text[0] in _NUMBERS_BEGIN_WITH and _NUMBER.fullmatch(text) else text


def _quoted(text: str) -> str:
    return escape(_json_string(text))
