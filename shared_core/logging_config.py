"""The LOGGING dict of every service: one format, on the console and in a file, at a level for each environment."""

import logging
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import environment_name, read
from shared_core.logs.handlers import MOST_BACKUPS

_FORMATTERS = {
    "text": "shared_core.logs.TextFormatter",
    "json": "shared_core.logs.JsonFormatter",
    "dev": "shared_core.logs.DevFormatter",
}

# What happens to an extra whose name a LogRecord has already.
ClashingExtras = Literal["rename", "raise"]

# Loggers with handlers and formats of their own: their handlers are removed, so that the root writes their records.
_BROUGHT_IN = ("django", "django.server", "gunicorn.error", "gunicorn.access", "celery")


def get_logging_config(
    service: str | None = None,
    *,
    environment: str | None = None,
    level: str | None = None,
    format: str | None = None,  # noqa: A002  # the word of logging itself
    log_file: str | None = None,
    log_file_max_bytes: int = 0,
    log_file_backups: int = 5,
    levels: Mapping[str, str] | None = None,
    mask_keys: Collection[str] = (),
    max_record_bytes: int = 65536,
    clashing_extras: ClashingExtras = "rename",
) -> dict[str, Any]:  # Any: logging's dictionary schema
    """Return LOGGING, a plain dict that a service may edit; nothing is opened yet.

        LOGGING = get_logging_config()

    What is None comes from the environment, or the service's ``.env``.

    Args:
        service: Written in each record; SERVICE_NAME. Unset: no field.
        environment: ENVIRONMENT: development, test, staging or production. Unset: production.
        level: LOG_LEVEL, for the root and ``apps``. Unset: INFO, and DEBUG in development.
        format: LOG_FORMAT: text, json, or dev, for a developer's console; a file is text then. Unset: text.
        log_file: LOG_FILE: a file to append to, in addition to the console. Unset or empty: none.
        log_file_max_bytes: Rotate the file before it grows past this; 0 never does.
        log_file_backups: How many rotated files to keep, from 1 to 1,000.
        levels: Levels of single loggers, ``{"django.db.backends": "INFO"}``; LOG_LEVELS, as
            ``apps=DEBUG,django.db.backends=INFO``.
        mask_keys: Further keys whose values are never written, in extras and what is bound, and where a text assigns
            to them: ``ssn=…``, ``"ssn": …``.
        max_record_bytes: Longer records are cut, and marked with ``truncated=true``; at least 256. A record with more
            than 256 fields is cut and marked too.
        clashing_extras: What happens to an extra whose name a LogRecord has already, for example ``name``. "rename":
            it is written as ``name_``. For that, every logger of the process gets a class that derives from its own,
            see `shared_core.logs.extras.ClashingExtras`. "raise": logging raises KeyError, as it does without this
            package, and no logger class is touched.

    Raises:
        ImproperlyConfigured: An argument or variable is not valid; the message names the values that are.
    """
    _check_number("log_file_max_bytes", log_file_max_bytes, at_least=0)
    _check_number("log_file_backups", log_file_backups, at_least=1)
    if log_file_backups > MOST_BACKUPS:
        raise ImproperlyConfigured(f"log_file_backups={log_file_backups} is too many: write {MOST_BACKUPS} at most.")
    _check_number("max_record_bytes", max_record_bytes, at_least=256)
    if isinstance(mask_keys, str):
        raise ImproperlyConfigured(f"mask_keys={mask_keys!r} must be a list of keys: write [{mask_keys!r}].")
    if clashing_extras not in get_args(ClashingExtras):
        raise ImproperlyConfigured(
            f"clashing_extras={clashing_extras!r} is none of {', '.join(get_args(ClashingExtras))}."
        )
    service = service if service is not None else read("SERVICE_NAME")
    environment = environment_name(environment)
    default = "DEBUG" if environment == "development" else "INFO"
    level = _level("LOG_LEVEL", level or read("LOG_LEVEL") or default)
    chosen = format or read("LOG_FORMAT") or "text"
    if chosen not in _FORMATTERS:
        raise ImproperlyConfigured(f"LOG_FORMAT={chosen!r} is none of {', '.join(_FORMATTERS)}.")
    formatter = {
        "()": _FORMATTERS[chosen],
        "service": service or None,
        "mask_keys": tuple(mask_keys),
        "max_record_bytes": max_record_bytes,
    }
    formatters = {"verbose": formatter}
    handlers: dict[str, Any] = {
        "console": {"class": "logging.StreamHandler", "formatter": "verbose", "stream": "ext://sys.stderr"}
    }
    if log_file := log_file if log_file is not None else read("LOG_FILE"):
        if "\0" in log_file:
            raise ImproperlyConfigured(f"LOG_FILE={log_file!r} has a NUL character. Set it to a path without one.")
        # Tools read files, and know neither colours nor blocks.
        formatters |= {"file": {**formatter, "()": _FORMATTERS["text"]}} if chosen == "dev" else {}
        handlers["file"] = {
            "class": "shared_core.logs.SharedFileHandler",
            "formatter": "file" if chosen == "dev" else "verbose",
            "filename": log_file,
            "max_bytes": log_file_max_bytes,
            "backups": log_file_backups,
        }
    loggers: dict[str, Any] = {name: {"level": "INFO", "handlers": [], "propagate": True} for name in _BROUGHT_IN}
    loggers["apps"] = {"level": level, "handlers": [], "propagate": True}
    for name, its_level in (levels if levels is not None else _levels(read("LOG_LEVELS"))).items():
        loggers.setdefault(name, {"handlers": [], "propagate": True})["level"] = _level(
            f"the level of {name}", its_level
        )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # No handler has this filter: creating it is enough.
        "filters": {"clashing_extras": {"()": "shared_core.logs.extras.ClashingExtras"}}
        if clashing_extras == "rename"
        else {},
        "formatters": formatters,
        "handlers": handlers,
        "loggers": loggers,
        # Only the root has handlers, so that no record is written twice.
        "root": {"level": level, "handlers": list(handlers)},
    }


def _levels(text: str) -> dict[str, str]:
    """Return ``{"apps": "DEBUG"}`` for ``apps=DEBUG``, entries separated by commas."""
    levels = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, separator, level = entry.partition("=")
        if not (separator and name.strip()):
            raise ImproperlyConfigured(f"LOG_LEVELS={text!r}: write logger=LEVEL, separated by commas.")
        levels[name.strip()] = level.strip()
    return levels


def _check_number(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ImproperlyConfigured(f"{name}={value!r} must be a whole number, {at_least} or more.")


def _level(name: str, text: str) -> str:
    level = str(text).upper()  # a number, say, is refused below
    if level not in logging.getLevelNamesMapping():
        allowed = "DEBUG, INFO, WARNING, ERROR, CRITICAL"
        raise ImproperlyConfigured(f"{name}={text!r} is no logging level: write one of {allowed}.")
    return level
