"""Extras whose names a LogRecord has already are renamed, so that logging them does not raise.

    logger.info("Ticket opened", extra={"name": "Ada", "message": "It burns."})   # … name_=Ada message_="It burns."

The standard library raises KeyError into the caller, in `logging.Logger.makeRecord`. No filter, formatter or record
factory can prevent that, because each of them runs later. Only another logger class can.
"""

import logging
from collections.abc import Container, Mapping
from itertools import islice
from typing import Any

# What a LogRecord has of its own, and what a formatter puts on it; `makeRecord` refuses these.
STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

# Extras that are read of a mapping of the caller's own kind, which may have no end.
_MOST = 1024
# A field's name has 64 characters at most; the others number it.
_LONGEST_STEM = 56


class ClashingExtras(logging.Filter):
    """A filter that makes the loggers of this process rename clashing extras. It lets every record pass.

    **It changes the process, not one handler.** When it is created, `logging.setLoggerClass` gets a class that derives
    from the present logger class and overrides `makeRecord`. Every existing logger, the root and those of libraries
    included, gets such a class as its ``__class__``: ``type(logger)`` changes, ``isinstance`` checks still hold. A
    logger class of a service or library keeps its own `makeRecord`, which is called first. Nothing else changes, and
    nothing is undone when the filter is removed.

    `get_logging_config` puts it into LOGGING. With ``get_logging_config(clashing_extras="raise")`` it is left out: no
    logger class is touched, and `logging` raises KeyError as usual.
    """

    def __init__(self) -> None:
        super().__init__()
        logging.setLoggerClass(renaming_class(logging.getLoggerClass()))
        for logger in [logging.root, *logging.Logger.manager.loggerDict.values()]:
            if isinstance(logger, logging.Logger):  # the others are placeholders
                logger.__class__ = renaming_class(type(logger))


class _RenamingLogger(logging.Logger):
    """Mixed into a logger class that does not override `makeRecord`."""

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
        """Return a record as `logging.Logger` makes it, with clashing extras renamed."""
        make = logging.getLogRecordFactory()
        try:
            record = make(name, level, fn, lno, msg, args, exc_info, func, sinfo)
        except Exception:  # noqa: BLE001  # of an argument: the standard library asks a single one whether it is a mapping
            record = make(name, level, fn, lno, msg, None, exc_info, func, sinfo)
            record.args = args
        if extra is not None:
            _add(record, extra)
        return record


class _RenamingOverride(logging.Logger):
    """Mixed into a logger class that overrides `makeRecord`: the override is called first."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802  # Any: as logging has it
        """Return the record of the override, with clashing extras renamed."""
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


_classes: dict[type[logging.Logger], type[logging.Logger]] = {}  # {logger class: the one derived from it}


def renaming_class(kind: type[logging.Logger]) -> type[logging.Logger]:
    """Return a logger class that derives from ``kind`` and renames clashing extras; ``kind`` itself if it does."""
    if issubclass(kind, _RenamingLogger | _RenamingOverride):
        return kind
    if kind not in _classes:
        mixin = _RenamingLogger if kind.makeRecord is logging.Logger.makeRecord else _RenamingOverride
        _classes[kind] = type(kind.__name__, (mixin, kind), {})
    return _classes[kind]


def _add(record: logging.LogRecord, extra: Any) -> None:  # Any: whatever the caller passed
    """Put extras on a record; one that clashes with an attribute, or with one of a formatter, is renamed."""
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
    """Return ``name``; if it is taken, ``name_``, ``name__``, ``name_3`` and so on, within 64 characters.

    Args:
        name: The wanted name.
        tried: How many suffixes each stem has had, ``{"name": 2}``. Kept by the caller, so that n equal names take n
            steps.
        taken: The names that are in use.
    """
    found, stem = name, name[:_LONGEST_STEM]
    while any(found in names for names in taken):
        number = tried[stem] = tried.get(stem, 0) + 1
        found = stem + ("_" * number if number < 3 else f"_{number}")
    return found
