"""Extras whose names a LogRecord has already; each test in a process of its own, because it changes all loggers."""

import subprocess
import sys

import pytest

from shared_core.logs import parse_line

BEGIN = """
import logging, logging.config
before = logging.getLogger("apps.before")
from shared_core.logging_config import get_logging_config
logging.config.dictConfig(get_logging_config("ticket"))
after = logging.getLogger("apps.after")
"""


def logged(code):
    """Return the fields of what ``code`` logs, line by line."""
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=True, timeout=60)
    return [parse_line(line)["fields"] for line in done.stderr.splitlines()]


@pytest.mark.parametrize("logger", ["before", "after", "logging"])
def test_a_clashing_extra_is_a_field_with_an_underscore(logger):
    extra = {"name": "Ada", "message": "m", "args": [1], "levelname": "X", "ticket_id": 42}

    assert logged(f"{logger}.info('Ticket opened', extra={extra})") == [
        {"ticket_id": 42, "name_": "Ada", "message_": "m", "args_": "[1]", "levelname_": "X", "service": "ticket"}
    ]


def test_a_clashing_extra_does_not_change_the_records_attributes():
    code = """
class Look(logging.Handler):
    def emit(self, record):
        print(record.name, record.getMessage(), record.levelname, record.funcName)
logging.root.addHandler(Look())
def work():
    after.warning("%s opened", "Ticket", extra={"name": "x", "msg": "y", "levelname": "z", "funcName": "f"})
work()
"""
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "apps.after Ticket opened WARNING work\n"


def test_an_extra_whose_renamed_key_is_taken_gets_another_underscore():
    assert logged("after.info('x', extra={'name': 1, 'name_': 2})") == [{"name_": 2, "name__": 1, "service": "ticket"}]


@pytest.mark.parametrize("extra", ["'text'", "[1]", "{1: 2}"])
def test_an_extra_that_is_no_dict_of_strings_does_not_raise(extra):
    assert len(logged(f"after.info('x', extra={extra})")) == 1


def test_a_custom_logger_class_is_kept():
    code = """
new = logging.getLogger("apps.new")
print(isinstance(new, Own), isinstance(mine, Own), type(mine).__name__)
for logger in (new, mine):
    logger.info("x", extra={"name": 1})
"""
    own = """
import logging
class Own(logging.Logger): pass
logging.setLoggerClass(Own)
mine = logging.getLogger("apps.mine")
"""
    done = subprocess.run(
        [sys.executable, "-c", own + BEGIN + code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "True True Own\n"
    assert [parse_line(line)["fields"]["name_"] for line in done.stderr.splitlines()] == [1, 1]


def test_applying_the_configuration_twice_changes_nothing():
    code = "logging.config.dictConfig(get_logging_config('ticket'))\nafter.info('x', extra={'name': 1})"

    assert logged(code) == [{"name_": 1, "service": "ticket"}]


def test_attributes_from_a_custom_record_factory_are_kept():
    factory = """
make = logging.getLogRecordFactory()
def with_host(*args, **kwargs):
    record = make(*args, **kwargs)
    record.host = "db1"
    return record
logging.setLogRecordFactory(with_host)
after.info("x", extra={"host": "mine", "ticket_id": 1})
"""

    assert logged(factory) == [{"host": "db1", "ticket_id": 1, "host_": "mine", "service": "ticket"}]


@pytest.mark.parametrize("call", ["*args, **kwargs", "*args[:8], extra=args[8], sinfo=args[9]"])
def test_a_custom_make_record_is_called(call):
    own = f"""
import logging
class Own(logging.Logger):
    def makeRecord(self, *args, **kwargs):
        record = super().makeRecord({call})
        record.made_by = "own"
        return record
logging.setLoggerClass(Own)
"""
    code = "logging.getLogger('apps.own').info('x', extra={'name': 1, 'ticket_id': 2})"
    done = subprocess.run(
        [sys.executable, "-c", own + BEGIN + code], capture_output=True, text=True, check=True, timeout=60
    )

    (line,) = done.stderr.splitlines()
    assert parse_line(line)["fields"] == {"made_by": "own", "ticket_id": 2, "name_": 1, "service": "ticket"}


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


RAISE = """
import logging, logging.config
before = logging.getLogger("apps.before")
from shared_core.logging_config import get_logging_config
logging.config.dictConfig(get_logging_config("ticket", clashing_extras="raise"))
after = logging.getLogger("apps.after")
print(type(before) is logging.Logger, type(after) is logging.Logger, type(logging.root) is logging.RootLogger)
try:
    after.info("x", extra={"name": 1})
except KeyError as error:
    print(error)
"""


def test_with_raise_logger_classes_are_unchanged_and_a_clash_raises():
    assert printed(RAISE) == ["True True True", "\"Attempt to overwrite 'name' in LogRecord\""]


def test_with_rename_every_logger_keeps_being_an_instance_of_its_class():
    code = "print(*(isinstance(logger, logging.Logger) for logger in (before, after, logging.root)))"

    assert printed(BEGIN + code + "\nprint(type(logging.root).__mro__[2].__name__)") == ["True True True", "RootLogger"]
