"""What becomes of an extra whose name a LogRecord has already?

    logger.info("Ticket opened", extra={"name": "Ada", "message": "It burns."})   # … name_=Ada message_="It burns."

The standard library raises KeyError into the caller, in `logging.Logger.makeRecord`, where no filter or record factory
can mend it. A logger of another class can.
"""

import logging
from collections.abc import Container, Mapping
from itertools import islice
from typing import Any

# What a LogRecord has of its own, and what a formatter puts on it; `makeRecord` refuses these.
STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

# A key has 64 characters at most; the others number it.
# Extras that are read of a mapping of the caller's own kind, which may have no end.
_MOST = 1024
_LONGEST_BEGIN = 56


class _Lenient(logging.Logger):
    """Instead of a logger that leaves the making of records to the standard library."""

    def makeRecord(  # noqa: N802, PLR0917  # as logging has it
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,  # Any: as logging has them
        exc_info: Any,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """Return a record as `logging.Logger` makes it, whatever its extras are called."""
        make = logging.getLogRecordFactory()
        try:
            record = make(name, level, fn, lno, msg, args, exc_info, func, sinfo)
        except Exception:  # noqa: BLE001  # of an argument: the standard library asks a single one whether it is a mapping
            record = make(name, level, fn, lno, msg, None, exc_info, func, sinfo)
            record.args = args
        if extra is not None:
            _add(record, extra)
        return record


class _LenientOwn(logging.Logger):
    """Before a logger that makes records in a way of its own."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802  # Any: as logging has it
        """Return its record, whatever the extras are called."""
        try:
            return super().makeRecord(*args, **kwargs)
        except KeyError:
            # Positional in `Logger._log`, the ninth of ten; others may name it.
            extra = args[8] if len(args) > 8 else kwargs.pop("extra", None)
            if extra is None:
                raise
            positional = (*args[:8], None, *args[9:])
            record = super().makeRecord(*positional, **kwargs)
            _add(record, extra)
            return record


class ClashingExtras(logging.Filter):
    """A filter that lets all records pass; once there is one, no logger raises for what an extra is called."""

    def __init__(self) -> None:
        super().__init__()
        logging.setLoggerClass(_lenient(logging.getLoggerClass()))
        for logger in [logging.root, *logging.Logger.manager.loggerDict.values()]:
            if isinstance(logger, logging.Logger):  # and no placeholder
                logger.__class__ = _lenient(type(logger))


_made: dict[type[logging.Logger], type[logging.Logger]] = {}


def _lenient(kind: type[logging.Logger]) -> type[logging.Logger]:
    """Return ``kind``, or what is made of it: a service, or a library, may have a class of its own."""
    if issubclass(kind, _Lenient | _LenientOwn):
        return kind
    if kind not in _made:
        base = _Lenient if kind.makeRecord is logging.Logger.makeRecord else _LenientOwn
        _made[kind] = type(kind.__name__, (base, kind), {})
    return _made[kind]


def _add(record: logging.LogRecord, extra: Any) -> None:  # Any: whatever the caller passed
    """Put extras on a record, under a longer name where it has, or will have, an attribute of that name."""
    own = record.__dict__
    try:
        if type(extra) is not dict:
            is_mapping = issubclass(type(extra), Mapping)
            extra = {key: extra[key] for key in islice(extra, _MOST)} if is_mapping else {"extra": extra}
        if own.keys().isdisjoint(extra) and "message" not in extra and "asctime" not in extra:
            own.update(extra)
            return
        clashing = {key: extra[key] for key in extra if key in STANDARD or key in own}
        own.update({key: extra[key] for key in extra if key not in clashing})
        tried: dict[str, int] = {}
        for key, value in clashing.items():
            own[unique_name(str(key), tried, own, STANDARD)] = value
    except Exception as error:  # noqa: BLE001  # of a mapping or a key of the caller's: the record must be written
        own["extra"] = f"<{type(extra).__name__}: reading it raised {type(error).__name__}>"


def unique_name(name: str, tried: dict[str, int], *taken: Container[str]) -> str:
    """Return ``name``, or where it is taken ``name_``, ``name__``, ``name_3`` and so on, as long as a key may be.

    Args:
        name: What it is to be.
        tried: How many endings each beginning has had, ``{"name": 2}``. Kept, so that n equal names take n steps.
        taken: Where it must not be.
    """
    found, begin = name, name[:_LONGEST_BEGIN]
    while any(found in names for names in taken):
        number = tried[begin] = tried.get(begin, 0) + 1
        found = begin + ("_" * number if number < 3 else f"_{number}")
    return found
