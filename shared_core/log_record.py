"""What does a LogRecord say, in values that one line can hold?

Five things: its level, its time, its logger, its message, and fields: the record's extras, then what is bound to the
request, then the service, then the exception. Nothing here raises for what was logged, and nothing of it is changed.
"""

import json
import logging
import re
import time
import traceback
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from shared_core import context
from shared_core.log_extras import STANDARD
from shared_core.redaction import MASK, is_secret_key, mask_text

# Keys that say something else in a line.
RESERVED = frozenset({"msg", "exc_type", "exc_msg", "trace", "level", "time", "logger"})

# {logger and all below it: an extra for its own handlers}. The request is an object whose text holds the query, and so
# perhaps a token; Celery's data hold a task's arguments.
TOLD_ELSEWHERE = {"django": "request", "celery": "data"}

# Python writes no longer integers as text: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_BITS = 10_000

type Value = str | int | float | bool | None


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


def message(record: logging.LogRecord) -> str:
    """Return the message with its arguments, or as it is where it cannot take them."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001  # whatever it holds, the record must be written
        text = _as_text(record.msg)
    return mask_text(text)


def fields(record: logging.LogRecord, service: Mapping[str, str], mask_keys: Collection[str]) -> dict[str, Value]:
    """Return the fields in their order.

    Args:
        record: What was logged.
        service: ``{"service": name}``, or nothing.
        mask_keys: Keys that are secret beside those that `redaction` knows.
    """
    extras = {key: value for key, value in vars(record).items() if key not in STANDARD}
    if (key := TOLD_ELSEWHERE.get(record.name.partition(".")[0])) is not None:
        extras.pop(key, None)
    bound = inherited(context.bindings(), service)
    found: dict[str, Value] = {}
    for key, value in chain(extras.items(), ((key, bound[key]) for key in bound if key not in extras)):
        found[_free(fit(str(key)), found)] = MASK if is_secret_key(str(key), mask_keys) else plain(value, mask_keys)
    if bad_arguments := _bad_arguments(record):
        found[_free("args_", found)] = bad_arguments
    return found | _exception(record)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name = f"{name[:63]}_"
    return name


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


def plain(value: Any, mask_keys: Collection[str]) -> Value:
    """Return ``value`` as a field can hold it: containers as their JSON text, other objects as their ``str()``."""
    if type(value) is str:
        return mask_text(value)
    if value is None or isinstance(value, bool | float):
        return value
    if type(value) is int and value.bit_length() < _MAX_BITS:
        return value
    if isinstance(value, Mapping | list | tuple):
        return _as_json(value, mask_keys)
    return mask_text(_as_text(value))


def _as_json(value: Any, mask_keys: Collection[str]) -> str:
    try:
        return json.dumps(_masked(value, mask_keys), default=_as_masked_text, ensure_ascii=False)
    except RecursionError:
        return f"<{type(value).__name__}: nested too deep>"
    except Exception as error:  # noqa: BLE001  # another thread may be changing it, and the record must be written
        return f"<{type(value).__name__}: reading it raised {type(error).__name__}>"


def _masked(value: Any, mask_keys: Collection[str]) -> Any:
    """Return ``value`` with what stands under secret keys in it replaced, in copies of its containers."""
    if isinstance(value, Mapping):
        return {
            str(key): MASK if is_secret_key(str(key), mask_keys) else _masked(inner, mask_keys)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, mask_keys) for inner in value]
    if isinstance(value, int) and value.bit_length() >= _MAX_BITS:
        return _as_text(value)
    return mask_text(value) if isinstance(value, str) else value


def _bad_arguments(record: logging.LogRecord) -> str:
    """Return the arguments of a record whose message cannot take them; empty for every other."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001  # whatever it holds, the record must be written
        return _as_masked_text(record.args)
    return ""


def _exception(record: logging.LogRecord) -> dict[str, Value]:
    found: dict[str, Value] = {}
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, _ = record.exc_info
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        found = {"exc_type": name, "exc_msg": _as_masked_text(error)}
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    if record.stack_info:
        trace = f"{trace}\n{record.stack_info}".lstrip("\n")
    return found | ({"trace": mask_text(trace)} if trace else {})


def _as_masked_text(value: Any) -> str:
    return mask_text(_as_text(value))


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # whatever an object's __str__ does, its record must be written
        return f"<{type(value).__name__}: str() raised {type(error).__name__}>"
