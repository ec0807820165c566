"""The line of an ordinary record, for as little as the standard library takes for one without fields.

Ordinary are a text, extras and bound values that are scalars, and no exception. What is found out about a key, a value,
a logger or what is bound is kept: they come again. For every other record there is no quick line, and
`shared_core.logs.record` tells in full what it says; where both can, both give the same.
"""

import logging
from collections.abc import Collection, Mapping, Set
from math import isfinite
from uuid import UUID

from shared_core import context
from shared_core.logs import record as log_record
from shared_core.logs.extras import STANDARD
from shared_core.logs.line import write_message, write_value
from shared_core.logs.redaction import is_secret_key, mask_text

# The last attribute that a record has of its own; its extras come after, and what other formatters put on it.
_LAST_OWN = tuple(vars(logging.LogRecord("", 0, "", 0, "", (), None)))[-1]
_LEFT_BY_OTHERS = {"message", "asctime"}
_KEYS_OF_ALL = {_LAST_OWN}

_MOST = log_record.MAX_FIELDS // 2  # of what is bound, and of a record's attributes
_KEPT = 4096  # of each kind
_LONGEST_KEPT = 128  # characters
_LONGEST_LINE = 2500  # characters; no integer in it is so long that Python may refuse to write it

# Looked up once: each log line asks.
_LogRecord = logging.LogRecord
_second = log_record.second
_MILLISECONDS = tuple(f",{number:03d}" for number in range(1000))


class QuickLines:
    """Writes the lines of ordinary records, for one formatter."""

    def __init__(self, service: Mapping[str, str], mask_keys: Collection[str], max_record_bytes: int) -> None:
        """Prepare to write.

        Args:
            service: As `shared_core.logs.record.read` has it.
            mask_keys: Likewise.
            max_record_bytes: A record that may be longer is no ordinary one.
        """
        self._service = service
        self._mask_keys = mask_keys
        self._longest = min(max_record_bytes // 4, _LONGEST_LINE)  # a character takes four bytes at most
        self._levels: dict[str, str] = {}
        self._loggers: dict[str, str] = {}
        self._messages: dict[str, str] = {}
        self._names: dict[str, str | None] = {}
        self._texts: dict[str, str] = {}

    def line(self, record: logging.LogRecord) -> str | None:
        """Return the line of ``record``, without the line feed; None where it is no ordinary one."""
        if type(record) is not _LogRecord or record.exc_info or record.exc_text or record.stack_info:
            return None
        bindings = context.bindings()
        bound = bindings.written
        if bound is None or bound.by is not self:
            bound = bindings.written = self._write(log_record.inherited(bindings, self._service))
        own, message = record.__dict__, record.msg
        if type(message) is not str or len(own) > _MOST or not own.keys().isdisjoint(bound.keys):
            return None
        try:
            message = self._formatted(message % record.args) if record.args else self._messages[message]
            fields, names, texts = bound.text, self._names, self._texts
            for key in reversed(own):
                if key == _LAST_OWN:
                    break
                name, value = names[key], own[key]
                if name is None:
                    continue
                if type(value) is str:
                    text = texts.get(value) or self._text(value)
                else:
                    text = str(value) if type(value) is int else _scalar(value)
                fields = f"{name}{text}{fields}"
            moment = f"{_second(record.created // 1)}{_MILLISECONDS[int(record.msecs) % 1000]}"
            line = f"{self._levels[record.levelname]} {moment} {self._loggers[record.name]} {message}{fields}"
        except KeyError:  # something is not known yet
            self._learn(record)
            return None
        except Exception:  # noqa: BLE001  # the arguments' own, or a long text; it is told in full
            return None
        return line if len(line) <= self._longest else None

    def _learn(self, record: logging.LogRecord) -> None:
        """Keep what the next record of its kind will ask for."""
        _keep(self._levels, record.levelname, log_record.level(record))
        _keep(self._loggers, record.name, log_record.logger(record))
        # What is long or holds a secret is not kept.
        if not record.args and len(record.msg) <= _LONGEST_KEPT and mask_text(record.msg) == record.msg:
            _keep(self._messages, record.msg, write_message(record.msg))
        for key in vars(record):
            if self._is_plain(key):
                _keep(self._names, key, f" {key}=")
            elif key in _LEFT_BY_OTHERS:
                _keep(self._names, key, None)

    def _formatted(self, message: str) -> str:
        if len(message) > self._longest:
            raise ValueError(len(message))
        return write_message(mask_text(message))

    def _text(self, value: str) -> str:
        if len(value) > self._longest:
            raise ValueError(len(value))
        masked = mask_text(value)
        text = write_value(masked)
        if masked == value:
            _keep(self._texts, value, text)
        return text

    def _write(self, bound: Mapping[str, object]) -> "_Written":
        text = ""
        if len(bound) > _MOST:
            return _Written(self, _KEYS_OF_ALL, "")
        for key, value in bound.items():
            name = self._names.get(key)
            if name is None:
                if not self._is_plain(key):
                    return _Written(self, _KEYS_OF_ALL, "")
                _keep(self._names, key, name := f" {key}=")
            try:  # what is bound is another for each request: it is not kept
                if type(value) is not str:
                    its_text = _scalar(value)
                elif len(value) <= self._longest:
                    its_text = write_value(mask_text(value))
                else:
                    return _Written(self, _KEYS_OF_ALL, "")
            except (TypeError, ValueError):
                return _Written(self, _KEYS_OF_ALL, "")
            text = f"{text}{name}{its_text}"
        return _Written(self, bound.keys(), text)

    def _is_plain(self, key: object) -> bool:
        """Say whether an extra may stand under ``key`` as it is, whatever its value."""
        return (
            type(key) is str
            and key not in STANDARD
            and key not in log_record.TOLD_ELSEWHERE.values()
            and log_record.fit(key) == key
            and not is_secret_key(key, self._mask_keys)
        )


class _Written:
    """What is bound, as one formatter writes it, for records with none of ``keys``."""

    __slots__ = ("by", "keys", "text")

    def __init__(self, by: QuickLines, keys: Set[str], text: str) -> None:
        self.by, self.keys, self.text = by, keys, text


def _scalar(value: object) -> str:
    """Return the text of a value that is no string, tells its kind by its text and cannot change.

    Raises:
        TypeError: It is another.
    """
    if value is None or value is True or value is False:
        return write_value(value)
    if type(value) is int or type(value) is UUID:
        return str(value)
    if type(value) is float and isfinite(value):
        return repr(value)
    raise TypeError(type(value))


def _keep[T](kept: dict[str, T], key: str, text: T) -> None:
    if len(key) <= _LONGEST_KEPT:
        if len(kept) >= _KEPT:
            kept.clear()
        kept[key] = text
