"""What becomes of an extra whose name a LogRecord has already?

    logger.info("Ticket opened", extra={"name": "Ada", "message": "It burns."})   # … name_=Ada message_="It burns."

The standard library raises KeyError into the caller, in `logging.Logger.makeRecord`, where no filter or record factory
can mend it. A logger of another class can.
"""

import logging
from collections.abc import Mapping
from typing import Any

# What a LogRecord has of its own, and what a formatter puts on it; `makeRecord` refuses these.
STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class _Lenient(logging.Logger):
    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802  # Any: as logging has it
        # Positional in `Logger._log`, the ninth of ten; others may name it.
        if len(args) > 8:
            args = (*args[:8], _fit(args[8]), *args[9:])
        elif "extra" in kwargs:
            kwargs["extra"] = _fit(kwargs["extra"])
        return super().makeRecord(*args, **kwargs)


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
    if issubclass(kind, _Lenient):
        return kind
    if kind not in _made:
        _made[kind] = type(kind.__name__, (_Lenient, kind), {})
    return _made[kind]


def _fit(extra: Any) -> Any:  # Any: whatever the caller passed
    """Return ``extra`` under names that a record takes."""
    if extra is None or (isinstance(extra, Mapping) and STANDARD.isdisjoint(extra)):
        return extra
    if not isinstance(extra, Mapping):
        return {"extra": extra}
    fitted = {key: value for key, value in extra.items() if key not in STANDARD}
    for key in extra:
        if key in STANDARD:
            name = f"{key}_"
            while name in fitted:
                name += "_"
            fitted[name] = extra[key]
    return fitted
