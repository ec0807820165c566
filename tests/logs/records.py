"""Makes records and reads the lines of a text formatter."""

import logging

from shared_core.logs import TextFormatter, parse_line


def record(message="Ticket opened", *args, name="apps.tickets", level=logging.INFO, exc_info=None, **extra):
    made = logging.LogRecord(name, level, "views.py", 7, message, args, exc_info)
    vars(made).update(extra)
    return made


def line(*args, service=None, **kwargs):
    return TextFormatter(service=service).format(record(*args, **kwargs))


def fields(*args, **kwargs):
    return parse_line(line(*args, **kwargs))["fields"]


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return type(caught), caught, caught.__traceback__


def joined(text):
    """Two halves of a surrogate pair that stand side by side come back as their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
