"""Objects whose text is hostile: each record ends quickly, is one line with its ids, and its caller sees no error."""

import dataclasses
import io
import logging
import logging.config
import time
import weakref
from array import array
from collections import UserList, deque
from collections.abc import Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from django.utils.functional import SimpleLazyObject

from shared_core import context
from shared_core.logging_config import get_logging_config
from shared_core.logs import JsonFormatter, TextFormatter, parse_line

pytestmark = pytest.mark.timeout(60)  # what never ends fails

SECONDS = 2.0
REQUEST_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture(params=["text", "json"])
def log(request):
    """Return a function that logs and returns the one line."""
    logger = logging.Logger("apps.hostile")
    logger.__class__ = logging.getLogger("apps").__class__  # as LOGGING makes it
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter((TextFormatter if request.param == "text" else JsonFormatter)(service="ticket"))
    logger.addHandler(handler)

    def log(*arguments, bind=None, **options):
        began = time.perf_counter()
        with context.bind(request_id=REQUEST_ID, **(bind or {})):
            logger.error(*arguments, **options)
        assert time.perf_counter() - began < SECONDS
        (line,) = handler.stream.getvalue().splitlines()
        assert REQUEST_ID in line
        assert len(line.encode()) <= 65536
        return line

    return log


@pytest.fixture(autouse=True)
def lenient():
    before = logging.getLoggerClass()
    logging.config.dictConfig({**get_logging_config("ticket"), "disable_existing_loggers": False})
    yield
    logging.setLoggerClass(before)


def nested(kind, depth=60):
    """Return an object whose text has 2 ** depth items, in a few bytes."""
    inner = kind(["ha"])
    for _ in range(depth):
        inner = kind([inner, inner])
    return inner


@dataclasses.dataclass
class Row:
    value: object


def failing():
    raise RuntimeError("database is down\nFORGED line")


def dead():
    class Thing:
        pass

    thing = Thing()
    return weakref.proxy(thing)


class WithoutAClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class Endless(Mapping):
    def __getitem__(self, key):
        return 1

    def __len__(self):
        return 1

    def __iter__(self):
        number = 0
        while True:
            yield f"key{number}"
            number += 1


class Failing(Endless):
    def __iter__(self):
        raise RuntimeError("no keys")


class Liar(str):
    """A text that says of itself that it holds nothing odd."""

    __slots__ = ()

    def __str__(self):
        return self

    def isprintable(self):
        return True

    def __contains__(self, part):
        return False


VALUES = {
    "a lazy object that fails": lambda: SimpleLazyObject(failing),
    "a dead proxy": dead,
    "an object without a class": WithoutAClass,
    "a nested deque": lambda: nested(deque),
    "a nested list in a dataclass": lambda: Row(nested(list)),
    "a nested list in a namespace": lambda: SimpleNamespace(value=nested(list)),
    "a nested UserList": lambda: nested(UserList),
    "values of a dict": {"a": nested(list)}.values,
    "a large set": lambda: set(range(1_000_000)),
    "a large array": lambda: array("l", range(1_000_000)),
    "a number with a long integer": lambda: Decimal("1e9999999"),
    "a text that lies": lambda: Liar("x\nINFO 2025-11-20 10:30:45,123 apps Forged"),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("place", ["extra", "bound", "argument", "arguments", "list", "message", "wrong arguments"])
def test_a_value_that_is_hostile(log, name, place):
    value = VALUES[name]()
    if place == "extra":
        log("Opened", extra={"value": value})
    elif place == "bound":
        log("Opened", bind={"value": value})
    elif place == "argument":
        log("Opened %s", value)
    elif place == "arguments":
        log("Opened %s %s", 1, value)
    elif place == "list":
        log("Opened", extra={"value": [value]})
    elif place == "message":
        log(value)
    else:
        log("Opened", value, value)


@pytest.mark.parametrize("message", ["Paid %d", "Paid %i", "Paid %(sum)d"])
def test_a_number_whose_integer_is_long_is_not_written_out(log, message):
    value = Decimal("1e9999999")

    log(message, {"sum": value} if "sum" in message else value)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("Opened %900000000s", ("x",)),
        ("Opened %.900000000f", (1.5,)),
        ("Opened %*d", (900_000_000, 1)),
        ("Opened %(name)-900000000s", ({"name": "x"},)),
        ("Opened " + "%(name)s" * 20_000, ({"name": "x" * 60_000},)),
    ],
)
def test_a_message_that_widens_its_arguments_is_written_without_them(log, message, arguments):
    line = log(message, *arguments)

    assert "args_" in line
    assert " " * 1000 not in line


def test_members_that_are_each_too_long_are_read_once(log):
    log("Opened", extra={"value": [nested(deque)] * 1000, "rows": [Row(nested(list)) for _ in range(1000)]})


def test_an_object_that_logs_while_its_text_is_made_ends(log):
    class Logging:
        def __str__(self):
            with context.bind(value=self):
                inner = logging.LogRecord("apps", logging.INFO, "", 0, "inner", None, None)
                return TextFormatter().format(inner)

    assert "while its text is made" in log("Opened", extra={"value": Logging()})


@pytest.mark.parametrize("extra", [Endless(), Failing(), {WithoutAClass(): 1}], ids=["endless", "failing", "bad key"])
def test_extras_that_are_hostile(log, extra):
    log("Opened", extra=extra)


def group(depth):
    found = ExceptionGroup("g", [ValueError()])
    for _ in range(depth):
        found = ExceptionGroup("g", [found, found])
    return found


def chain(length):
    error = ValueError(0)
    for number in range(length):
        other = ValueError(number)
        other.__cause__ = error
        error = other
    return error


def with_attribute(error, name, value):
    setattr(error, name, value)
    return error


def caused_by(cause):
    error = ValueError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "make",
    [
        lambda: group(40),
        lambda: caused_by(group(40)),
        lambda: chain(100_000),
        lambda: KeyError(nested(list)),
        lambda: SyntaxError("m", ("f", 1, 1, "text", 1, 500_000_000)),
        lambda: SyntaxError("m", ("f", 1, "abc", "text")),
        lambda: with_attribute(ValueError(), "__notes__", [nested(list)]),
        lambda: with_attribute(ValueError(), "__notes__", nested(list)),
        lambda: with_attribute(ValueError(), "__notes__", ["x\n" * 20_000_000]),
        lambda: with_attribute(OSError(1, "m"), "filename", nested(list)),
        lambda: with_attribute(OSError(1, "m"), "strerror", nested(list)),
        lambda: with_attribute(SyntaxError("m"), "msg", nested(list)),
        lambda: with_attribute(SyntaxError("m", ("f", 1, 1, "text")), "filename", nested(list)),
    ],
    ids=[
        *("a group", "caused by a group", "a chain", "nested arguments", "a wide mark", "odd arguments"),
        *("a nested note", "nested notes", "a note of many lines", "a nested file", "a nested reason"),
        *("a nested message", "a nested file of code"),
    ],
)
def test_an_exception_that_is_hostile(log, make):
    log("Failed", exc_info=make())


@pytest.mark.parametrize("exc_info", [(ValueError,), ("a", "b", "c"), (ValueError, ValueError("x"), "no traceback")])
def test_an_exc_info_that_is_none(log, exc_info):
    assert "unreadable" in log("Failed", exc_info=exc_info)


@pytest.mark.parametrize("attribute", ["created", "levelname", "msecs"])
def test_a_record_that_is_odd_is_a_line_with_its_ids(attribute):
    record = logging.LogRecord("apps", logging.ERROR, "", 0, "Failed password=hunter2", None, None)
    setattr(record, attribute, None)
    with context.bind(request_id=REQUEST_ID):
        parsed = parse_line(TextFormatter(service="ticket").format(record))

    assert parsed["message"] == "Failed password=***" or parsed["fields"]["msg"] == "Failed password=***"
    assert (parsed["fields"]["request_id"], parsed["fields"]["service"]) == (REQUEST_ID, "ticket")
    assert parsed["fields"]["unreadable"]


class Login(NamedTuple):
    user: str
    password: str


@pytest.mark.parametrize(
    "value",
    [
        Login("ada", "Hunter1"),
        [Login("ada", "Hunter1")],
        {"login": Login("ada", "Hunter1")},
        urlsplit("https://ada:Hunter1@host/x"),
        [urlsplit("https://ada:Hunter1@host/x")],
    ],
    ids=str,
)
def test_a_name_in_a_tuple_says_what_is_secret(log, value):
    line = log("Opened", extra={"value": value})

    assert "Hunter1" not in line
    assert "***" in line
