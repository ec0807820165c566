"""What is ordinary about a record, and what no longer is: each twist of a familiar one, beside the full way."""

import datetime as dt
import logging
import sys
import uuid

import pytest

from shared_core import context
from shared_core.logs import TextFormatter
from shared_core.logs.quick import QuickLines

ID = uuid.UUID("0198c0de-0000-7000-8000-000000000001")
EXTRAS = {"ticket_id": ID, "count": 3, "state": "open", "ms": 1.5, "is_new": True, "owner": None}
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aWNrZXQifQ.c2lnbmF0dXJl"


def record(message="Ticket %s opened", *args, name="apps.tickets", extras=None, **attributes):
    made = logging.LogRecord(name, logging.INFO, "views.py", 7, message, args or ("T-1",), None)
    made.created, made.msecs = 1763634645.123, 123.0
    vars(made).update(EXTRAS if extras is None else extras)
    vars(made).update(attributes)
    return made


def caught():
    try:
        int("bad")
    except ValueError:
        return sys.exc_info()


class Text(str):
    def __str__(self):
        return "another"


class Number(int):
    def __str__(self):
        return "another"


class Record(logging.LogRecord):
    def getMessage(self):  # noqa: N802  # as logging has it
        return "in a way of its own"


class Bad:
    def __str__(self):
        raise RuntimeError


@pytest.fixture
def formatter():
    return TextFormatter(service="ticket", mask_keys=["ssn"])


@pytest.fixture
def check(formatter):
    """Return a function that has a familiar record formatted, then others, and compares them with the full way."""

    def run(*records):
        full = TextFormatter.__mro__[1].format
        with context.bind(request_id="0f8fad5b"):
            for made in [record(), record(), *records, *records, *records]:
                assert formatter.format(made) == full(formatter, made)

    return run


def test_a_familiar_record_has_a_quick_line(formatter):
    with context.bind(request_id="0f8fad5b"):
        formatter.format(record())

        line = formatter._quick_line(record(ms=2.5, state="clo sed"))

    assert line == (
        "INFO 2025-11-20 10:30:45,123 apps.tickets Ticket T-1 opened "
        f'ticket_id={ID} count=3 state="clo sed" ms=2.5 is_new=true owner=null request_id=0f8fad5b service=ticket'
    )


@pytest.mark.parametrize(
    "twisted",
    [
        pytest.param(twisted, id=name)
        for name, twisted in {
            "exception": record(exc_info=caught()),
            "no exception": record(exc_info=(None, None, None)),
            "exception of another formatter": record(exc_text="Traceback\n  1 / 0"),
            "stack": record(stack_info="Stack\n  here"),
            "message is no text": record(ValueError("bad")),
            "message of a kind of its own": record(Text("Ticket opened")),
            "arguments do not fit": record("%d", "x"),
            "argument fails": record("%s", Bad()),
            "secret argument": record("Got %s", f"Bearer {TOKEN}"),
            "secret message": record(f"Got %s of {TOKEN}", "x"),
            "secret value": record(state=TOKEN),
            "secret key": record(password="x"),
            "the service's secret key": record(ssn="078"),
            "key with a space": record(extras={"ticket id": 1}),
            "key that is long": record(extras={"k" * 80: 1}),
            "key that is reserved": record(extras={"trace": "x", "trace_": "y"}),
            "key that is bound": record(request_id="mine"),
            "key that is the service's": record(service="mine"),
            "request": record(name="django.request", request="GET /?token=abc"),
            "data": record(name="celery.app.trace", data={"args": "secret"}),
            "data elsewhere": record(data="mine"),
            "left by another formatter": record(extras={"message": "Ticket T-1 opened", "asctime": "2025"}),
            "task of asyncio": record(taskName="Task-1"),
            "text of a kind of its own": record(state=Text("open")),
            "number of a kind of its own": record(count=Number(3)),
            "number that is none": record(ms=float("nan")),
            "container": record(state=["open"]),
            "object": record(state=dt.date(2025, 11, 20)),
            "false": record(is_new=False),
            "long value": record(state="x" * 3000),
            "long key and value": record(state="x" * 129),
            "huge number": record(count=10**5000),
            "rounded up to a second": record(msecs=1000.0),
            "odd level": record(levelname="odd level"),
            "odd logger": record(name='my "logger"'),
            "record of a kind of its own": Record("apps", 20, "views.py", 7, "x", (), None),
        }.items()
    ],
)
def test_every_other_record_has_the_same_line_as_the_full_way_gives(check, twisted):
    check(twisted)


def test_secrets_are_not_kept(check, formatter):
    message = logging.LogRecord("apps", 20, "views.py", 7, f"Got {TOKEN}", (), None)

    check(record(state=TOKEN), record("%s", TOKEN), message)

    for kept in vars(formatter._quick_line.__self__).values():
        assert TOKEN not in str(kept)


def test_what_is_kept_is_bounded(formatter):
    quick = formatter._quick_line.__self__
    for number in range(10_000):
        formatter.format(record(f"m{number}%s", state=f"s{number}", **{f"k{number}": 1}))
        formatter.format(logging.LogRecord(f"l{number}", 20, "views.py", 7, f"m{number}" + "x" * 200, (), None))
        formatter.format(logging.LogRecord("l", 20, "views.py", 7, f"m{number}", (), None))

    kept = [memo for memo in vars(quick).values() if isinstance(memo, dict) and memo is not quick._service]
    assert len(kept) == 5
    assert all(len(memo) <= 4096 for memo in kept)
    assert all(len(text) <= 128 for memo in kept for text in memo)


def test_two_formatters_write_what_is_bound_each_in_its_way():
    one, other = TextFormatter(service="one"), TextFormatter(service="other", mask_keys=["owner_name"])

    with context.bind(owner_name="Ada"):
        lines = [formatter.format(record(extras={})) for _ in range(3) for formatter in (one, other)]

    assert all(line.endswith("owner_name=Ada service=one") for line in lines[::2])
    assert all(line.endswith("owner_name=*** service=other") for line in lines[1::2])


def test_a_line_that_may_be_too_long_is_left_to_the_full_way():
    quick = QuickLines({}, (), max_record_bytes=400)
    known = logging.LogRecord("apps", 20, "views.py", 7, "x", (), None)

    for _ in range(2):
        line = quick.line(known)
        longer = quick.line(logging.LogRecord("apps", 20, "views.py", 7, "%s", ("x" * 80,), None))

    assert line.endswith(" apps x")
    assert longer is None
