"""What does a LogRecord say, in values that one line can hold?

Five things: its level, its time, its logger, its message, and fields: the record's extras, then what is bound to the
request, then the service, then the exception. Nothing here raises for what was logged, and nothing of it is changed.
"""

import json
import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from traceback import TracebackException
from typing import Any

from shared_core import context
from shared_core.logs.extras import STANDARD, free_name
from shared_core.logs.redaction import MASK, is_secret_key, mask_text

# Keys that say something else in a line.
RESERVED = frozenset({"msg", "exc_type", "exc_msg", "trace", "level", "time", "logger"})

# {logger and all below it: an extra for its own handlers}. The request is an object whose text holds the query, and so
# perhaps a token; Celery's data hold a task's arguments.
TOLD_ELSEWHERE = {"django": "request", "celery": "data"}

# A record has no more extras and bound fields together. Extras are left out first, and IDS never.
MAX_FIELDS = 256
IDS = ("request_id", "trace_id", "span_id", "service")

# Python writes no longer integers as text: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_BITS = 10_000

# Characters and items that are read of each field, however long the fields before it are.
_ALWAYS_READ = 1024

type Value = str | int | float | bool | None


class Reader:
    """Reads the values of one record.

    ``is_cut`` is true after a value was not read to its end.
    """

    def __init__(self, mask_keys: Collection[str], longest: int) -> None:
        """Prepare to read.

        Args:
            mask_keys: Keys that are secret in addition to those that `redaction` knows.
            longest: Characters of a text, and characters and items of all fields together, that are read.
        """
        self._mask_keys = mask_keys
        self._longest = self._left = longest
        self._room = 0  # of the field that is being read
        self.is_cut = False

    def text(self, text: str) -> str:
        """Return a message or a traceback, masked."""
        self._room = self._longest
        return self._text(text)

    def field(self, value: Any) -> Value:  # Any: whatever was logged
        """Return the value of a field."""
        self._room = room = max(self._left, _ALWAYS_READ)
        read = self._read(value)
        self._left -= room - self._room
        return read

    def is_secret(self, key: object) -> bool:
        """Say whether the value under ``key``, a text or its bytes, must be masked."""
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else as_text(key)
        return is_secret_key(name[: self._longest], self._mask_keys)

    def _read(self, value: Any) -> Value:
        if type(value) is str:
            return self._text(value)
        if value is None or isinstance(value, bool | float):
            return value
        if type(value) is int and value.bit_length() < _MAX_BITS:
            return value
        if isinstance(value, Mapping | list | tuple):
            return self._json(value)
        return self._text(self._as_text(value))

    def _text(self, text: str) -> str:
        room = max(self._room, 0)
        self._room -= len(text)
        if len(text) <= room:
            return mask_text(text)
        self.is_cut = True
        return mask_text(_begin(text, room))

    def _as_text(self, value: object) -> str:
        # The text of bytes takes four times as much memory.
        return as_text(value[: self._room + 1] if isinstance(value, bytes | bytearray) else value)

    def _json(self, value: Any) -> str:
        try:
            return json.dumps(self._masked(value), ensure_ascii=False)
        except RecursionError:
            return f"<{type(value).__name__}: nested too deep>"
        except Exception as error:  # noqa: BLE001  # another thread may be changing it, and the record must be written
            return f"<{type(value).__name__}: reading it raised {type(error).__name__}>"

    def _masked(self, value: Any, *, in_list: bool = False) -> Any:
        """Return ``value`` with its secrets replaced, in copies of its containers."""
        self._room -= 1
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            # A header, (b"authorization", b"…"). A list in no list, ["password", "email"], has names only.
            if len(value) == 2 and (in_list or isinstance(value, tuple)) and self._names_a_secret(value[0]):
                return [self._masked(value[0]), MASK]
            return self._items(value)
        if isinstance(value, int):
            self._room -= value.bit_length() // 3  # its digits
            return as_text(value) if value.bit_length() >= _MAX_BITS else value
        if value is None or isinstance(value, float):
            return value
        return self._text(value if isinstance(value, str) else self._as_text(value))

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        found = {}
        for key, inner in value.items():
            if self._is_full():
                break
            name = as_text(key)
            self._room -= len(name)
            found[name] = MASK if self.is_secret(key) else self._masked(inner)
        return found

    def _items(self, value: list[Any] | tuple[Any, ...]) -> list[Any]:
        found = []
        for inner in value:
            if self._is_full():
                break
            found.append(self._masked(inner, in_list=True))
        return found

    def _is_full(self) -> bool:
        self.is_cut = self.is_cut or self._room <= 0
        return self._room <= 0

    def _names_a_secret(self, key: object) -> bool:
        return isinstance(key, str | bytes) and self.is_secret(key)


def as_text(value: object) -> str:
    """Return ``str(value)``, or what it raised."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # whatever an object's __str__ does, its record must be written
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"


def _begin(text: str, length: int) -> str:
    """Return the beginning of ``text`` without a URL or JWT that the cut left without the end by which it is known."""
    text = text[:length]
    for sign in ("://", "eyJ"):
        at = text.rfind(sign)
        if at >= 0 and len(text[at:].split(None, 1)) == 1:
            text = text[: at + len(sign)]
    return text


def level(record: logging.LogRecord) -> str:
    """Return the level's name, of capitals, digits and underscores."""
    return _fit_level(record.levelname)


def moment(record: logging.LogRecord) -> str:
    """Return the time in UTC, with a comma and milliseconds."""
    return f"{second(record.created // 1)},{int(record.msecs) % 1000:03d}"


@lru_cache(maxsize=8)
def second(since_epoch: float) -> str:
    """Return a whole second since the epoch as a date and time in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since_epoch))


def logger(record: logging.LogRecord) -> str:
    """Return the logger's name, printable and without spaces, quotes and "="."""
    return _fit_logger(record.name)


@lru_cache(maxsize=256)
def _fit_level(name: str) -> str:
    fitted = re.sub(r"[^A-Z0-9_]", "_", name.upper())
    return fitted if fitted[:1].isalpha() else f"LEVEL_{fitted}"


@lru_cache(maxsize=1024)
def _fit_logger(name: str) -> str:
    return "".join(c if c.isprintable() and c not in ' "=' else "_" for c in name) or "root"


def read(
    record: logging.LogRecord, service: Mapping[str, str], mask_keys: Collection[str], longest: int
) -> tuple[str, dict[str, Value]]:
    """Return the message, or as it is where it cannot take its arguments, and the fields in their order.

    ``truncated`` is among the fields if something was left out.

    Args:
        record: What was logged.
        service: ``{"service": name}``, or nothing.
        mask_keys: Keys that are secret in addition to those that `redaction` knows.
        longest: Characters and items that are read of the message, of the fields together, and of the exception.
    """
    reader = Reader(mask_keys, longest)
    own, bound = vars(record), inherited(context.bindings(), service)
    chosen, reader.is_cut = _chosen(record, bound)
    found: dict[str, Value] = {}
    tried: dict[str, int] = {}
    for key, value in chosen.items():
        name = fit(as_text(key))
        if name != key:  # a key that fits keeps its name
            name = free_name(name, tried, found, own, bound)
        found[name] = MASK if reader.is_secret(key) else reader.field(value)
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  # whatever it holds, the record must be written
        text = as_text(record.msg)
        found[free_name("args_", tried, found)] = reader.field(record.args)
    message = reader.text(text)
    found |= _exception(record, reader, longest)
    return message, found | ({"truncated": True} if reader.is_cut else {})


def _chosen(record: logging.LogRecord, bound: Mapping[str, object]) -> tuple[dict[str, object], bool]:
    """Return the extras and what is bound, MAX_FIELDS at most, and whether there are more."""
    kept = bound
    if len(bound) > MAX_FIELDS:
        ids = [key for key in IDS if key in bound]
        others = (key for key in bound if key not in IDS)
        kept = {key: bound[key] for key in chain(islice(others, MAX_FIELDS - len(ids)), ids)}
    room, is_cut = MAX_FIELDS - len(kept), len(kept) < len(bound)
    told = TOLD_ELSEWHERE.get(record.name.partition(".")[0])
    extras: dict[str, object] = {}
    for key, value in vars(record).items():
        if key in STANDARD or (told and key == told):
            continue
        if key not in kept:  # where it is, the extra takes its place
            if not room:
                is_cut = True
                break
            room -= 1
        extras[key] = value
    return extras | {key: value for key, value in kept.items() if key not in extras}, is_cut


def inherited(bindings: context.Bindings, service: Mapping[str, str]) -> dict[str, object]:
    """Return what every record here says: what is bound, and the service, in this order."""
    return {**bindings.fields, **{key: name for key, name in service.items() if key not in bindings.fields}}


def fit(key: str) -> str:
    """Return ``key`` as a line may bear it."""
    return _fit(key[:64])


@lru_cache(maxsize=4096)
def _fit(key: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", key) or "_"
    return f"{name}_" if name in RESERVED else name


def _exception(record: logging.LogRecord, reader: Reader, longest: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, traceback = record.exc_info
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        found = {"exc_type": name, "exc_msg": reader.text(as_text(error))}
        parts = TracebackException(type(error), error, traceback, compact=True).format()
        trace = "".join(_until(parts, longest)).rstrip("\n")
    if record.stack_info:
        trace = f"{trace}\n{record.stack_info}".lstrip("\n")
    return found | ({"trace": reader.text(trace)} if trace else {})


def _until(texts: Iterable[str], length: int) -> Iterator[str]:
    """Yield texts until they are longer than ``length`` together."""
    for text in texts:
        yield text
        length -= len(text)
        if length < 0:
            return
