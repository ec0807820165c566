"""What does a LogRecord say, in values that one line can hold?

Five things: its level, its time, its logger, its message, and fields: the record's extras, then what is bound to the
request, then the service, then the exception. Nothing here raises for what was logged, and nothing of it is changed.
"""

import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from traceback import TracebackException

from shared_core import context
from shared_core.log_extras import STANDARD, free_name
from shared_core.log_values import Reader, Value, as_text
from shared_core.redaction import MASK

# Keys that say something else in a line.
RESERVED = frozenset({"msg", "exc_type", "exc_msg", "trace", "level", "time", "logger"})

# {logger and all below it: an extra for its own handlers}. The request is an object whose text holds the query, and so
# perhaps a token; Celery's data hold a task's arguments.
TOLD_ELSEWHERE = {"django": "request", "celery": "data"}

# A record has no more extras and bound fields together. Extras are left out first, and IDS never.
MAX_FIELDS = 256
IDS = ("request_id", "trace_id", "span_id", "service")


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
