"""What a LogRecord says, and what is remembered from one record to the next."""

import logging
import uuid

import pytest

from shared_core import context
from shared_core.logs import JsonFormatter, TextFormatter, parse_line
from shared_core.logs.record import DROPPED_EXTRAS
from tests.logs.records import fields, line, raised, record

ID = uuid.UUID("0198c0de-0000-7000-8000-000000000001")
EXTRAS = {"ticket_id": ID, "count": 3, "state": "open", "ms": 1.5, "is_new": True, "owner": None}
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aWNrZXQifQ.c2lnbmF0dXJl"


def made(message="Ticket %s opened", *args, name="apps.tickets", **extras):
    record = logging.LogRecord(name, logging.INFO, "views.py", 7, message, args or ("T-1",), None)
    record.created, record.msecs = 1763634645.123, 123.0
    vars(record).update(extras)
    return record


@pytest.fixture
def formatter():
    return TextFormatter(service="ticket", mask_keys=["ssn"])


@pytest.fixture
def logged(formatter):
    """Return a function that formats a record and returns its fields."""
    return lambda *args, **extras: parse_line(formatter.format(made(*args, **extras)))["fields"]


def test_extras_override_bound_fields_and_inner_bindings_override_outer():
    with context.bind(a="outer", b="outer", c="outer"), context.bind(a="inner", b="inner"):
        assert fields(a="extra", service="tickets") == {"a": "extra", "b": "inner", "c": "outer", "service": "tickets"}


def test_reserved_keys_get_an_underscore_and_invalid_characters_become_one():
    assert fields(trace="mine", **{"a b": 1, "a=b": 2, "": 3, "k" * 70: 4}) == {
        "trace_": "mine",
        "a_b": 1,
        "a_b_": 2,
        "_": 3,
        "k" * 64: 4,
    }


def test_the_fields_of_an_exception_come_last():
    text = line("Failed", exc_info=raised(ValueError("bad\nvalue")), ticket_id=1)

    parsed = parse_line(text)["fields"]
    assert list(parsed) == ["ticket_id", "exc_type", "exc_msg", "trace"]
    assert (parsed["exc_type"], parsed["exc_msg"]) == ("ValueError", "bad\nvalue")
    assert parsed["trace"].startswith("Traceback (most recent call last):\n")


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")


class Changing(dict):
    """As where another thread adds a key meanwhile."""

    def items(self):
        raise RuntimeError("dictionary changed size during iteration")


def test_unprintable_values_and_wrong_arguments_do_not_raise():
    assert fields(value=Unprintable()) == {"value": "<Unprintable: str() raised RuntimeError>"}
    assert parse_line(line("%d items", "three"))["message"] == "%d items"
    assert fields("%d items", "three") == {"args_": '["three"]'}
    assert fields(value=10**5000)["value"].startswith("<int: str() raised ValueError>")
    itself = []
    itself.append(itself)
    assert fields(value=itself) == {"value": "<list: nested too deep>"}
    assert fields(value=[Changing()]) == {"value": "<list: reading it raised RuntimeError>"}
    assert parse_line(line(value={1: {2, 3}}))["fields"]["value"] == '{"1": "{2, 3}"}'


def test_secrets_are_masked_by_key_in_a_copy_of_the_callers_objects():
    payload = {"user": "ada", "auth": {"password": "hunter2"}, "tokens": ["t"]}

    text = TextFormatter(mask_keys=["ssn"]).format(record(api_key="k3y", payload=payload, SSN="078-05"))

    assert not any(secret in text for secret in ("hunter2", "k3y", "078-05"))
    assert parse_line(text)["fields"]["api_key"] == "***"
    assert payload == {"user": "ada", "auth": {"password": "hunter2"}, "tokens": ["t"]}


def test_arguments_that_the_message_cannot_take_are_masked():
    assert "s3cret" not in line("%d tickets", "token=s3cret")


def test_invalid_characters_of_a_level_or_a_loggers_name_are_replaced():
    odd = record(name='my "logger"=\x1b')
    odd.levelname = "Level 15"
    nameless = record(name="")
    nameless.levelname = "15"

    assert parse_line(TextFormatter().format(odd))["level"] == "LEVEL_15"
    assert parse_line(TextFormatter().format(odd))["logger"] == "my__logger___"
    assert parse_line(TextFormatter().format(nameless))["level"] == "LEVEL_15"
    assert parse_line(TextFormatter().format(nameless))["logger"] == "root"


def test_the_second_record_of_a_kind_is_written_like_the_first(formatter):
    expected = (
        "INFO 2025-11-20 10:30:45,123 apps.tickets Ticket T-1 opened "
        f'ticket_id={ID} count=3 state="clo sed" ms=2.5 is_new=true owner=null request_id=0f8fad5b service=ticket'
    )
    with context.bind(request_id="0f8fad5b"):
        lines = [formatter.format(made(**EXTRAS | {"ms": 2.5, "state": "clo sed"})) for _ in range(3)]

    assert lines == [expected] * 3


class Text(str):
    def __str__(self):
        return "its own text"


class Number(int):
    def __str__(self):
        return "its own text"


@pytest.mark.parametrize("value", [Text("open"), Number(3)])
def test_a_value_of_a_derived_class_is_written_as_its_str(logged, value):
    logged(state="open", count=3)  # equal to it

    assert logged(value=value)["value"] == "its own text"


class Record(logging.LogRecord):
    def getMessage(self):  # noqa: N802  # as logging has it
        return "composed by the class"


def test_a_custom_get_message_of_a_record_is_used(formatter):
    line = formatter.format(Record("apps", 20, "views.py", 7, "%s", ("x",), None))

    assert parse_line(line)["message"] == "composed by the class"


def test_an_attribute_that_was_deleted_from_a_record_hides_no_extra(formatter):
    record = made(ticket_id=1, state="open")
    for name in ("stack_info", "taskName"):
        expected = {"ticket_id": 1, "state": "open", "service": "ticket"}
        vars(record).pop(name)
        record.stack_info = None
        vars(record).update({key: vars(record).pop(key) for key in ("ticket_id", "state")})

        assert parse_line(formatter.format(record))["fields"] == expected


def test_attributes_set_by_another_formatter_are_no_fields(formatter):
    record = made(ticket_id=1)
    logging.Formatter("%(asctime)s %(message)s").format(record)

    assert parse_line(formatter.format(record))["fields"] == {"ticket_id": 1, "service": "ticket"}


@pytest.mark.parametrize(("logger", "extra"), DROPPED_EXTRAS.items())
def test_an_extra_for_a_librarys_own_handlers_is_dropped_from_its_records_only(logged, logger, extra):
    dropped = logged(name=f"{logger}.request", **{extra: "token=abc"})
    kept = logged(name="apps", **{extra: "mine"})

    assert dropped == {"service": "ticket"}
    assert kept == {extra: "mine", "service": "ticket"}


@pytest.mark.parametrize(("logger", "extra"), DROPPED_EXTRAS.items())
def test_a_bound_field_is_not_dropped_with_the_extra_of_that_name(logged, logger, extra):
    with context.bind(**{extra: "bound"}):
        assert logged(name=logger, **{extra: "extra"}) == {extra: "bound", "service": "ticket"}


def test_truncation_overrides_an_extra_named_truncated(logged):
    whole = logged(truncated="mine")
    cut = logged(truncated="mine", state="x" * 200_000)

    assert whole["truncated"] == "mine"
    assert cut["truncated"] is True
    assert list(cut)[-1] == "truncated"


class TestBinding:
    def test_an_extra_takes_the_place_of_a_bound_field_on_its_own_record_only(self, logged):
        with context.bind(user_id=1, state="bound"):
            assert logged(user_id=2) == {"user_id": 2, "state": "bound", "service": "ticket"}
            assert logged() == {"user_id": 1, "state": "bound", "service": "ticket"}

    def test_a_list_that_changes_between_two_records_is_read_again(self, logged):
        tags = ["a"]
        with context.bind(tags=tags):
            first = logged()
            tags.append("b")

            assert (first["tags"], logged()["tags"]) == ('["a"]', '["a", "b"]')

    def test_bound_fields_are_masked_by_each_formatters_own_keys(self):
        one, other = TextFormatter(service="one"), TextFormatter(service="other", mask_keys=["owner_name"])

        with context.bind(owner_name="Ada"):
            lines = [formatter.format(made()) for _ in range(3) for formatter in (one, other)]

        assert all(line.endswith("owner_name=Ada service=one") for line in lines[::2])
        assert all(line.endswith("owner_name=*** service=other") for line in lines[1::2])

    def test_bound_fields_are_written_as_text_and_as_json(self):
        text, twin = TextFormatter(), JsonFormatter()

        with context.bind(owner_name="Ada"):
            lines = [formatter.format(made()) for _ in range(3) for formatter in (text, twin)]

        assert all(line.endswith(" owner_name=Ada") for line in lines[::2])
        assert all(line.endswith(', "owner_name": "Ada"}') for line in lines[1::2])


def memos(formatter):
    """Return what a formatter remembers, ``{name: memo}``."""
    return {name: memo for name, memo in vars(formatter._reader).items() if isinstance(memo, dict) and memo}


def test_a_secret_is_not_kept_in_the_memo(formatter):
    with context.bind(bound=TOKEN):
        for _ in range(3):
            formatter.format(made("%s", TOKEN, state=TOKEN, ssn="078-05", ok="open"))
            formatter.format(logging.LogRecord("apps", 20, "views.py", 7, f"Got {TOKEN}", (), None))

    assert "open" in str(memos(formatter))
    assert not any(secret in str(memos(formatter)) for secret in (TOKEN, "078-05"))


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_the_memo_is_bounded_in_entries_and_key_length(formatter):
    for number in range(10_000):
        formatter.format(made(f"m{number}%s", state=f"s{number}", **{f"k{number}": 1}))
        formatter.format(made(name=f"l{number}", state="x" * 200 + str(number), **{"k" * 200 + str(number): 1}))

    assert len(memos(formatter)) == 2
    assert all(len(memo) <= 4096 for memo in memos(formatter).values())
    assert all(len(key) <= 128 for memo in memos(formatter).values() for key in memo)
