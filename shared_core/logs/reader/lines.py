"""Lines of a log: records, as text or as JSON, and other lines between them."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared_core.logs.line import parse_line

# As `shared_core.logs.line` has it.
_TEXT = re.compile(r'([A-Z][A-Z0-9_]*) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([^\s="]+)(?= |$)', re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
# "ticket-service-1  | ", as `docker compose logs` writes before each.
_COMPOSE = re.compile(r"[A-Za-z0-9._-]+ +\| ")

# Before a line that is not a record, which could otherwise look like one.
FOREIGN = "? "


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log.

    A line that is not a record, for example of a traceback, has the time of the line before it, so that it stays there.
    """

    text: str  # without the line feed, and printable
    time: str  # "2025-11-20 10:30:45,123", UTC; "" before the first record
    level: str = ""
    logger: str = ""
    is_record: bool = True

    def parsed(self) -> dict[str, Any]:  # Any: what was logged
        """Return the record, as `shared_core.logs.parse_line` does.

        Raises:
            ValueError: The line only looks like a record.
        """
        if not self.text.startswith("{"):
            return parse_line(self.text)
        try:
            said = json.loads(self.text)
        except RecursionError as error:  # here the stack is deeper than where the line was read
            raise ValueError("not a log record: it is nested too deeply") from error
        head = {name: said.pop(name) for name in ("level", "time", "logger", "msg")}
        text = f"{head['level']} {self.time} {head['logger']} -"
        return parse_line(text) | {"message": head["msg"], "fields": said}


def read(raw: Iterable[bytes], wanted: bytes = b"") -> Iterator[Line]:
    """Yield the lines that contain ``wanted``; with none, all of them.

    Args:
        raw: The lines of one log, in the order of their time; a long one in pieces, of which the last ends it.
        wanted: What a line must contain: looked for before anything is parsed, for that takes ten times as long.
    """
    time, ends = "", True
    for data in raw:
        goes_on, ends = not ends, data.endswith(b"\n")
        if wanted not in data:
            continue
        line = read_line(data, time, goes_on=goes_on)
        time = line.time
        yield line


def read_line(data: bytes, time: str = "", *, goes_on: bool = False) -> Line:
    """Return one line.

    Args:
        data: The line, or a piece of it.
        time: That of the line before it.
        goes_on: It is a further piece of a line, which is no record, whatever it looks like.
    """
    text = data.decode("utf-8", "replace").rstrip("\r\n")
    if goes_on:
        return Line(printable(text), time, is_record=False)
    if (prefix := _COMPOSE.match(text)) is not None:
        text = text[prefix.end() :]
    if (head := _TEXT.match(text)) is not None:
        return Line(printable(text), head[2], head[1], head[3])
    if text.startswith("{") and (line := _json(text)) is not None:
        return line
    return Line(printable(text), time, is_record=False)


def _json(text: str) -> Line | None:
    try:
        said = json.loads(text)
        level, time, logger, message = (said[name] for name in ("level", "time", "logger", "msg"))
        shown = text if text.isprintable() else json.dumps(said)
    except (ValueError, KeyError, RecursionError):
        return None
    # Of these none is in our own lines, and they could pass for another line's head.
    if not all(part.isprintable() and " " not in part for part in (level, logger) if isinstance(part, str)):
        return None
    if not all(isinstance(part, str) for part in (level, time, logger, message)) or not _TIME.fullmatch(time):
        return None
    return Line(shown, f"{time[:10]} {time[11:19]},{time[20:23]}", level, logger)


def printable(text: str) -> str:
    """Return ``text`` with what a terminal would obey written as it is escaped."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


# Kept: a million NUL bytes are then one text, and not a million.
@lru_cache(maxsize=1024)
def _shown(char: str) -> str:
    return char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode()
