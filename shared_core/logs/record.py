"""What a LogRecord says: a message and fields, in values that one line can hold, with secrets masked.

    logger.info("Ticket %s opened", "T-1", extra={"count": 3, "password": "hunter2"})
        message                  Ticket T-1 opened
        fields  extras           count=3 password=***
                bound fields     request_id=0f8fad5b service=ticket
                last fields      exc_type= exc_msg= trace=, truncated=true

A record is read in one pass, ordinary or not. What is found out about a key is kept, because keys come again; what is
bound is read once for each binding. Nothing here raises for what was logged, and nothing that was logged is changed.
"""

import logging
import re
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from math import isfinite
from traceback import TracebackException, format_tb
from typing import Any, NamedTuple
from uuid import UUID

from shared_core.context.bindings import Bindings, current_bindings
from shared_core.logs.extras import STANDARD, unique_name
from shared_core.logs.redaction import MASK, KeyKind, mask_text
from shared_core.logs.values import (
    ALWAYS_READ,
    Value,
    ValueReader,
    as_text,
    begin_of,
    cut_text,
    is_hidden,
    is_short,
    is_short_error,
    kind_of,
)

# Keys that mean something else in a line.
RESERVED = frozenset({"msg", "exc_type", "exc_msg", "trace", "level", "time", "logger"})

# {logger and all below it: an extra for its own handlers}. The request is an object whose text holds the query, and so
# perhaps a token; Celery's data hold a task's arguments.
DROPPED_EXTRAS = {"django": "request", "celery": "data"}

# A record has no more extras and bound fields together. Extras are dropped first, and IDS never.
MAX_FIELDS = 256
IDS = ("request_id", "trace_id", "span_id", "service")

_TRUNCATED = "truncated"

# A width or precision of 10,000 or more. No log line needs one: it came with input that is a part of the message.
_WIDE = re.compile(r"%(?:\([^()]*\))?[-#0 +]*+(?:[0-9]*\.)?(?:\*|[0-9]{5})")

_MAX_INT = 2**64  # a larger integer is not an ordinary one, and its length is looked at

# Values of these types cannot change.
_CONSTANTS = frozenset({str, int, float, bool, type(None), UUID})

# `logging.LogRecord.__init__` sets its own attributes first, always in this order. Extras come after them.
_OWN = tuple(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
_OWN_COUNT, _LAST_OWN = len(_OWN), _OWN[-1]

_MILLISECONDS = tuple(f",{number:03d}" for number in range(1000))

_KEPT = 4096  # of each kind
_LONGEST_KEPT = 128  # characters


class _Key(NamedTuple):
    """What is known about the key of an extra or of a bound field."""

    name: str  # valid in a line
    prefix: str  # the name as it is written
    rule: "_Rule | None"  # None: the key is its own name, and its value is written


class _Rule(NamedTuple):
    is_valid: bool  # the key is its own name
    kind: KeyKind | None  # of what stands under the key
    dropped_by: str | None  # the logger whose records drop this extra; "": every one, as for an attribute of its own


class Bound:
    """What is bound to the work at hand, and the service, as the fields of one formatter's lines."""

    __slots__ = ("fields", "is_cut", "keys", "reader", "text")

    def __init__(
        self, reader: "RecordReader", keys: Collection[str], fields: dict[str, Value], text: str, *, is_cut: bool
    ) -> None:
        self.reader, self.keys, self.fields, self.text, self.is_cut = reader, keys, fields, text, is_cut


class RecordReader:
    """Reads the records of one formatter, and writes their fields."""

    def __init__(
        self,
        service: str | None,
        mask_keys: Collection[str],
        max_length: int,
        prefix: str,
        write: Callable[[Value], str],
    ) -> None:
        """Prepare to read.

        Args:
            service: The value of the field ``service``; None for no such field.
            mask_keys: Keys that are secret in addition to those that `redaction` knows.
            max_length: Characters and items that are read of the message, of the extras together, of the bound fields
                together, and of the exception.
            prefix: What is written before a value, for example ``" {}="``.
            write: Writes a value.
        """
        self._service = {} if service is None else {"service": service}
        self._mask_keys = tuple(mask_keys)
        self._max_length = max_length
        self._prefix, self._value = prefix, write
        self._keys: dict[str, _Key] = {}
        self._texts: dict[str, str] = {}  # {text: as it is written}, unless something in it is masked

    def read(
        self, record: logging.LogRecord
    ) -> tuple[str, str, Mapping[str, Value], Mapping[str, Value], dict[str, Value]]:
        """Return what ``record`` says.

        Returns:
            The message; the extras and the bound fields as they are written; the extras; the bound fields; the fields
            that come last. No name occurs twice. If the message cannot take its arguments, it comes without them.
        """
        own = record.__dict__
        bindings = current_bindings()
        bound: Bound = bindings.written
        if bound is None or bound.reader is not self:
            bound = self._bound(bindings)
        keys = list(own)
        if len(keys) >= _OWN_COUNT and keys[_OWN_COUNT - 1] == _LAST_OWN:
            del keys[:_OWN_COUNT]
        is_cut = False
        if len(keys) + len(bound.fields) > MAX_FIELDS:
            keys, is_cut = self._within_limit(keys, record.name, bound)
        extras, text, are_valid, is_value_cut = self._fields(keys, own, record.name, own, bound.keys)
        if not (are_valid and extras.keys().isdisjoint(bound.fields)):
            replaced = {key for key in keys if not _is_dropped(self._key(key).rule, record.name)}
            bound = self._bound(bindings, replaced, extras, own)

        last: dict[str, Value] = {}
        try:
            message, is_message_cut = self._message(record)
            is_cut = is_cut or is_message_cut
        except Exception:  # noqa: BLE001  # whatever it holds, the record must be written
            message = self._text_of(record.msg)
            values = ValueReader(self._mask_keys, self._max_length)
            last[unique_name("args_", {}, extras, bound.fields)] = values.field(record.args)
            is_cut = is_cut or values.is_cut
        if type(message) is not str:
            message = as_text(message)  # a subclass may say of itself that it has no line break
        if len(message) > self._max_length:
            message, is_cut = begin_of(message, self._max_length), True
        message = mask_text(message, self._mask_keys)
        if record.exc_info or record.exc_text or record.stack_info:
            values = ValueReader(self._mask_keys, self._max_length)
            last |= _exception(record, values, self._max_length)
            is_cut = is_cut or values.is_cut
        if is_cut or is_value_cut or bound.is_cut:
            last[_TRUNCATED] = True
            if _TRUNCATED in extras or _TRUNCATED in bound.fields:
                extras = {name: value for name, value in (extras | bound.fields).items() if name != _TRUNCATED}
                return message, self.write(extras), extras, {}, last
        return message, f"{text}{bound.text}", extras, bound.fields, last

    def replace(self, record: logging.LogRecord, error: Exception) -> tuple[logging.LogRecord, dict[str, Value]]:
        """Return a record to write in place of one that cannot be read, and its fields: the ids, and why."""
        name, level, message = (
            one if type(one) is str else other
            for one, other in (
                (record.name, "root"),
                (record.levelname, "ERROR"),
                (record.msg, "A record is unreadable"),
            )
        )
        safe = logging.LogRecord(
            name, logging.ERROR, "", 0, mask_text(message[: self._max_length], self._mask_keys), None, None
        )
        safe.levelname = level
        bound = {**self._service, **current_bindings().fields}
        ids: dict[str, Value] = {
            key: mask_text(one, self._mask_keys) for key in IDS if type(one := bound.get(key)) is str
        }
        return safe, ids | {"unreadable": type(error).__name__, _TRUNCATED: True}

    def _message(self, record: logging.LogRecord) -> tuple[str, bool]:
        """Return the message with its arguments, of which those that are too long are cut, and whether one was."""
        message, args = record.msg, record.args
        if args:
            if issubclass(type(message), str) and (_WIDE.search(message) or message.count("%(") > MAX_FIELDS):
                raise ValueError("the text of the message is too long")  # it is written without its arguments
            # One mapping stands for all of them, as `logging.LogRecord` has it.
            each = args if type(args) is tuple else (args,)
            if any(type(one) not in _CONSTANTS and not is_short(one, self._max_length) for one in each):
                return str(message) % tuple(self._text_of(one) for one in each), True
        elif type(message) is not str and not is_short(message, self._max_length):
            return cut_text(message), True
        return record.getMessage(), False

    def _text_of(self, value: object) -> str:
        return as_text(value) if is_short(value, self._max_length) else cut_text(value)

    def write(self, fields: Mapping[str, Value]) -> str:
        """Return the fields as they are written."""
        return "".join(f"{self._prefix.format(name)}{self._value(value)}" for name, value in fields.items())

    def _fields(
        self, keys: Iterable[str], source: Mapping[str, object], logger: str | None, *taken: Container[str]
    ) -> tuple[dict[str, Value], str, bool, bool]:
        """Return the fields of ``keys`` in ``source``.

        Args:
            keys: What to read, in this order.
            source: A record's attributes, or what is bound.
            logger: Whose records drop some extras; None drops nothing.
            taken: Names that a key which is not valid must not get.

        Returns:
            Their values, how they are written, whether each key is its own name, and whether a value was cut.
        """
        found: dict[str, Value] = {}
        tried: dict[str, int] = {}
        text, are_valid = "", True
        values: ValueReader | None = None
        known, texts = self._keys, self._texts
        for key in keys:
            name, prefix, rule = known.get(key) or self._key(key)
            value: Any = source[key]  # Any: whatever was logged
            under = None
            if rule is not None:
                if _is_dropped(rule, logger):
                    continue
                if not rule.is_valid:
                    are_valid = False
                    name = unique_name(name, tried, found, *taken)
                    prefix = self._prefix.format(name)
                under = rule.kind
                if under is not None and is_hidden(value, under):
                    value = MASK
            kind = type(value)
            if kind is str:
                written = texts.get(value)
                if written is None and len(value) <= ALWAYS_READ:
                    value, written = self._short_text(value)
                elif written is None:
                    values = values or ValueReader(self._mask_keys, self._max_length)
                    value = values.field(value)
                    written = self._value(value)
            elif kind is int and -_MAX_INT < value < _MAX_INT:
                written = str(value)
            elif kind is float and isfinite(value):
                written = repr(value)
            else:
                values = values or ValueReader(self._mask_keys, self._max_length)
                value = values.field(value, under)
                written = self._value(value)
            found[name] = value
            text = f"{text}{prefix}{written}"
        return found, text, are_valid, values is not None and values.is_cut

    def _short_text(self, text: str) -> tuple[str, str]:
        """Return a text, masked, and how it is written."""
        masked = mask_text(text, self._mask_keys)
        written = self._value(masked)
        if masked == text:  # what holds a secret is not kept
            _remember(self._texts, text, written)
        return masked, written

    def _key(self, key: object) -> _Key:
        """Return what is known about ``key``, which is no text if somebody has put it on the record by hand."""
        name = valid_key(mask_text(begin_of(as_text(key), ALWAYS_READ), self._mask_keys))
        drops = (logger for logger, extra in DROPPED_EXTRAS.items() if extra == key)
        rule = _Rule(
            is_valid=name == key,
            kind=kind_of(key, self._mask_keys, self._max_length),
            dropped_by="" if key in STANDARD else next(drops, None),
        )
        found = _Key(name, self._prefix.format(name), None if rule == _ORDINARY else rule)
        if type(key) is str:
            _remember(self._keys, key, found)
        return found

    def _bound(
        self,
        bindings: Bindings,
        replaced: Collection[str] = (),
        extras: Collection[str] = (),
        own: Container[str] = STANDARD,
    ) -> Bound:
        """Return what is bound, without what a record's extras replace.

        Args:
            bindings: What is bound.
            replaced: Keys of extras.
            extras: Names of extras.
            own: The record's attributes, whose names no other key gets.
        """
        source = {**bindings.fields, **{key: name for key, name in self._service.items() if key not in bindings.fields}}
        keys = [key for key in source if key not in replaced]
        room = MAX_FIELDS - len(extras)
        if is_cut := len(keys) > room:
            ids = [key for key in IDS if key in keys]
            others = (key for key in keys if key not in IDS)
            keys = [*islice(others, max(room - len(ids), 0)), *ids]
        fields, text, _, is_value_cut = self._fields(keys, source, None, extras, own, source)
        bound = Bound(self, set(keys), fields, text, is_cut=is_cut or is_value_cut)
        # A list may have changed by the next record.
        if not extras and all(type(value) in _CONSTANTS for value in source.values()):
            bindings.written = bound
        return bound

    def _within_limit(self, keys: Iterable[str], logger: str, bound: Bound) -> tuple[list[str], bool]:
        """Return the keys of the extras that are written next to what is bound, and whether others are dropped."""
        kept: list[str] = []
        room = MAX_FIELDS - len(bound.fields)
        for key in keys:
            if _is_dropped(self._key(key).rule, logger):
                continue
            if key not in bound.keys:  # otherwise the extra takes its place
                if not room:
                    return kept, True
                room -= 1
            kept.append(key)
        return kept, False


_ORDINARY = _Rule(is_valid=True, kind=None, dropped_by=None)


def _is_dropped(rule: _Rule | None, logger: str | None) -> bool:
    if rule is None or rule.dropped_by is None or logger is None:
        return False
    return not rule.dropped_by or logger.partition(".")[0] == rule.dropped_by


def _remember[T](memo: dict[str, T], key: str, value: T) -> None:
    """Keep ``value`` for the next record, if ``key`` is short. A full memo starts again."""
    if len(key) <= _LONGEST_KEPT:
        if len(memo) >= _KEPT:
            memo.clear()
        memo[key] = value


def read_head(record: logging.LogRecord) -> tuple[str, str, str]:
    """Return the level, the time in UTC with a comma and milliseconds, and the logger, valid in a line."""
    level, second, logger = _head(record.levelname, record.created // 1, record.name)
    return level, f"{second}{_MILLISECONDS[int(record.msecs) % 1000]}", logger


# They come again, within a second.
@lru_cache(maxsize=512)
def _head(level: str, second: float, logger: str) -> tuple[str, str, str]:
    level = re.sub(r"[^A-Z0-9_]", "_", level.upper())
    return (
        level if level[:1].isalpha() else f"LEVEL_{level}",
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second)),
        "".join(c if c.isprintable() and c not in ' "=' else "_" for c in logger) or "root",
    )


def valid_key(key: str) -> str:
    """Return the name of a field for ``key``: characters that a name cannot hold become "_", reserved names get one."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", key[:64]) or "_"
    return f"{name}_" if name in RESERVED else name


def _exception(record: logging.LogRecord, values: "ValueReader", max_length: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, traceback = record.exc_info
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        if error is None or is_short_error(error, max_length):
            found = {"exc_type": name, "exc_msg": values.text(as_text(error))}
            parts: Iterator[str] = TracebackException(kind, error, traceback, compact=True).format()
        else:
            values.is_cut = True
            found = {"exc_type": name, "exc_msg": values.text(cut_text(error.args))}
            parts = chain(format_tb(traceback), [f"{name}, of which more is not shown"])
        trace = "".join(_until(parts, max_length)).rstrip("\n")
    if record.stack_info:
        trace = f"{trace}\n{record.stack_info}".lstrip("\n")
    return found | ({"trace": values.text(trace)} if trace else {})


def _until(texts: Iterable[str], length: int) -> Iterator[str]:
    """Yield texts until they are longer than ``length`` together."""
    for text in texts:
        yield text
        length -= len(text)
        if length < 0:
            return
