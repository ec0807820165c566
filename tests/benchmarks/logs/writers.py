"""Who writes records: ours, the standard library, and what else one would use, each as its documentation says."""

import logging.handlers
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared_core import context
from shared_core.logs import JsonFormatter, SharedFileHandler, TextFormatter
from shared_core.logs.extras import renaming_class
from tests.benchmarks.logs.records import MESSAGE

OURS = "shared_core"
STANDARD = "logging.Formatter, no fields"
STRUCTLOG = "structlog, logfmt"
JSON_LOGGER = "python-json-logger"
LOGFMTER = "logfmter"
STANDARD_FORMAT = "%(levelname)s %(asctime)s %(name)s %(message)s"

type Write = Callable[[int, dict[str, Any]], None]


class _Null:
    def write(self, text: str) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Likewise."""


def writers(folder: Path | None) -> dict[str, Write]:
    """Return ``{name: write}``, to files in ``folder`` or, without one, to streams that keep nothing.

    All but the one that says so look before each record whether their file was moved, as ours does.
    """
    found = {
        OURS: _logged(OURS, folder, TextFormatter(service="ticket"), renames=True),
        STANDARD: _logged("standard", folder, logging.Formatter(STANDARD_FORMAT)),
        "shared_core, LOG_FORMAT=json": _logged("json", folder, JsonFormatter(service="ticket"), renames=True),
    }
    if folder:
        found[f"{STANDARD}, blind to logrotate"] = _logged("unwatched", folder, logging.Formatter(STANDARD_FORMAT))
    if find_spec("structlog"):
        found |= _structlog(folder)
    if find_spec("pythonjsonlogger"):
        found[JSON_LOGGER] = _json_logger(folder)
    if find_spec("logfmter"):
        found[LOGFMTER] = _logfmter(folder)
    return found


def _logged(name: str, folder: Path | None, formatter: logging.Formatter, *, renames: bool = False) -> Write:
    logger = _logger(renames=renames)
    logger.addHandler(_handler(name, folder, formatter, renames=renames))

    def write(number: int, extra: dict[str, Any]) -> None:
        logger.info(MESSAGE, number, extra=extra)

    return write


def _logger(*, renames: bool = False) -> logging.Logger:
    kind = renaming_class(logging.Logger) if renames else logging.Logger  # what the filter makes
    return kind("apps.tickets", logging.INFO)


def _handler(name: str, folder: Path | None, formatter: logging.Formatter, *, renames: bool = False) -> logging.Handler:
    handler: logging.Handler
    if folder is None:
        handler = logging.StreamHandler(_Null())
    elif renames:
        handler = SharedFileHandler(str(folder / name))
    elif name == "unwatched":
        handler = logging.FileHandler(folder / name)
    else:
        handler = logging.handlers.WatchedFileHandler(folder / name)
    handler.setFormatter(formatter)
    return handler


def _structlog(folder: Path | None) -> dict[str, Write]:
    """See "Rendering using structlog-based formatters within logging" in its documentation."""
    import structlog  # where it is installed

    first = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.LogfmtRenderer(key_order=["level", "timestamp", "logger", "event"]),
        ],
        foreign_pre_chain=[*first, structlog.stdlib.ExtraAdder()],
    )
    inner = _logger()
    inner.addHandler(_handler("structlog", folder, formatter))
    own = structlog.wrap_logger(
        inner,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *first,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    ).bind()

    def write(number: int, extra: dict[str, Any]) -> None:
        own.info(MESSAGE, number, **extra)

    return {STRUCTLOG: write, f"{STRUCTLOG}, from logging": _logged("foreign", folder, formatter)}


def _json_logger(folder: Path | None) -> Write:
    from pythonjsonlogger.json import JsonFormatter as Theirs  # where it is installed

    return _with_request_id(_handler("json-logger", folder, Theirs(STANDARD_FORMAT)))


def _logfmter(folder: Path | None) -> Write:
    from logfmter import Logfmter  # where it is installed

    keys = ["level", "at", "logger", "msg"]
    theirs = Logfmter(keys=keys, mapping={"level": "levelname", "at": "asctime", "logger": "name", "msg": "message"})
    return _with_request_id(_handler("logfmter", folder, theirs))


def _with_request_id(handler: logging.Handler) -> Write:
    """Return what writes by a handler, which is told the request's id by a filter, as people do."""

    class RequestId(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.request_id = context.request_id()
            return True

    logger = _logger()
    handler.addFilter(RequestId())
    logger.addHandler(handler)

    def write(number: int, extra: dict[str, Any]) -> None:
        logger.info(MESSAGE, number, extra=extra)

    return write
