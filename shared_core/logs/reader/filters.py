"""Filters: which records are shown."""

import datetime as dt
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared_core.logs.reader.lines import Line

_AGO = re.compile(r"([0-9]+)([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEVELS = logging.getLevelNamesMapping()


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The conditions that a record must meet; without any, every line passes."""

    request_id: str = ""  # or the beginning of one
    level: str = ""  # this one, or one above it
    logger: str = ""  # this one, or one below it
    since: str = ""  # "2025-11-20 10:30:45,123", UTC
    until: str = ""
    where: Sequence[tuple[str, str]] = ()  # fields and their values, as they are written

    @property
    def asks(self) -> bool:
        """Whether there are conditions."""
        return self != Filter()

    @property
    def wanted(self) -> bytes:
        """What each line that passes contains."""
        return self.request_id.encode()

    def passes(self, line: Line) -> bool:
        """Return whether ``line`` meets the conditions."""
        if not line.is_record:
            return not self.asks
        if (self.since and line.time < self.since) or (self.until and line.time > self.until):
            return False
        # A record of an unknown level is shown: it may be worse than CRITICAL.
        if self.level and _LEVELS.get(line.level, logging.CRITICAL) < _LEVELS[self.level]:
            return False
        if self.logger and not f"{line.logger}.".startswith(f"{self.logger}."):
            return False
        return not (self.request_id or self.where) or self._has_fields(line)

    def _has_fields(self, line: Line) -> bool:
        try:
            fields: Mapping[str, object] = line.parsed()["fields"]
        except ValueError:
            return False
        if self.request_id and not str(fields.get("request_id", "")).startswith(self.request_id):
            return False
        return all(key in fields and written(fields[key]) == value for key, value in self.where)


def written(value: object) -> str:
    """Return a field's value as a person would ask for it: texts as they are, others as JSON writes them."""
    return value if isinstance(value, str) else json.dumps(value)


def parse_time(text: str, now: dt.datetime) -> str:
    """Return the time that ``text`` means: ISO 8601, in UTC unless it names a zone, or ``10m``: so long before ``now``.

    Raises:
        ValueError: ``text`` is not a time.
    """
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            time = now - dt.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            time = dt.datetime.fromisoformat(text)
            time = time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
    except (ValueError, OverflowError):  # longer ago than the calendar reaches
        raise ValueError(f"{text!r} is not a time: write 10m, 2h, or 2025-11-20T10:30 (UTC)") from None
    return f"{time:%Y-%m-%d %H:%M:%S},{time.microsecond // 1000:03d}"


def parse_condition(text: str) -> tuple[str, str]:
    """Return the field and the value of ``key=value``.

    Raises:
        ValueError: ``text`` has no key or no ``=``.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"{text!r} is not key=value: write ticket_id=42")
    return key, value
