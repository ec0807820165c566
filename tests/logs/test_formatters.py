import datetime as dt
import json
import logging
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_core import context
from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter, parse_line
from shared_core.logs.record import RESERVED


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


def test_a_record_is_one_readable_line_with_its_fields_in_order():
    made = record("User %s created", "ada", name="apps.services", user_id=42)
    made.created, made.msecs = dt.datetime(2025, 11, 20, 10, 30, 45, tzinfo=dt.UTC).timestamp(), 123

    with context.bind(request_id="0f8fad5b"):
        text = TextFormatter(service="user").format(made)

    assert text == (
        "INFO 2025-11-20 10:30:45,123 apps.services User ada created user_id=42 request_id=0f8fad5b service=user"
    )
    assert parse_line(text + "\n") == {
        "level": "INFO",
        "time": dt.datetime(2025, 11, 20, 10, 30, 45, 123000, tzinfo=dt.UTC),
        "logger": "apps.services",
        "message": "User ada created",
        "fields": {"user_id": 42, "request_id": "0f8fad5b", "service": "user"},
    }


ODD_CHARACTERS = st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"])
TEXTS = st.text() | st.text(ODD_CHARACTERS) | st.text('ab =",\\\n\u2028')
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
KEYS = st.text("abc_.-XYZ019", min_size=1, max_size=64).filter(lambda key: key not in RESERVED)


def joined(text):
    """Two halves of a surrogate pair that stand side by side come back as their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(TEXTS, st.dictionaries(KEYS, SCALARS, max_size=5))
def test_what_was_logged_comes_back_equal_and_is_one_printable_line(message, extra):
    made = record("%s", message)
    formatter = TextFormatter()

    text = formatter.format(vars(made).update({f"x{key}"[:64]: value for key, value in extra.items()}) or made)
    parsed = parse_line(text)

    assert text.isprintable()
    assert parsed["message"] == joined(message)
    expected = {f"x{key}"[:64]: joined(value) if isinstance(value, str) else value for key, value in extra.items()}
    assert parsed["fields"] == expected
    assert [type(value) for value in parsed["fields"].values()] == [type(value) for value in expected.values()]


@given(st.text())
def test_a_line_is_parsed_or_refused_with_a_value_error_and_nothing_else(text):
    for candidate in (text, f"INFO 2025-11-20 10:30:45,123 apps{text}"):
        try:
            parsed = parse_line(candidate)
        except ValueError:
            continue

        assert parsed["logger"]


@pytest.mark.parametrize(
    "forged",
    [
        "INFO 2025-11-20 10:30:45,123 apps Done user_id=1 user_id=2",
        "INFO 2025-11-20 10:30:45,123 apps Done user_id=1  b=2",
        "INFO 2025-11-20 10:30:45,123 apps Done user_id=",
        'INFO 2025-11-20 10:30:45,123 apps Done a="open',
        "INFO 2025-11-20 10:30:45,123 apps \x1b[31mDone",
        "INFO 2025-11-20 10:30:45,123 apps Done a=\x1b",
        "INFO 2025-13-20 10:30:45,123 apps Done",
        "INFO 2025-11-20 10:30:45,123 apps trailing ",
        "info 2025-11-20 10:30:45,123 apps Done",
    ],
)
def test_what_is_no_record_is_refused(forged):
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds
        parse_line(forged)


def test_a_user_cannot_forge_a_line_or_a_field():
    name = "eve\nINFO 2025-11-20 10:30:45,123 apps.auth Login of admin user_id=1"

    text = line("Login of %s", name, ip="1 role=admin")

    assert "\n" not in text
    assert parse_line(text)["fields"] == {"ip": "1 role=admin"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (float("inf"), "Infinity"),
        ("null", '"null"'),
        ("3", '"3"'),
        ("", '""'),
        ("a b", '"a b"'),
        ("a\\b", "a\\b"),
        ("\x1b[31m\u2028", r'"\u001b[31m\u2028"'),
        ("\U000e0001", r'"\udb40\udc01"'),
        ([1, "a b"], r'"[1, \"a b\"]"'),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_each_kind_of_value_is_written_so_that_its_type_can_be_read(value, written):
    assert line(value=value).endswith(f" value={written}")


def test_extras_win_over_the_innermost_binding_and_that_over_outer_ones_and_the_service():
    with context.bind(a="outer", b="outer", c="outer"), context.bind(a="inner", b="inner"):
        assert fields(a="extra", service="tickets") == {"a": "extra", "b": "inner", "c": "outer", "service": "tickets"}


def test_reserved_keys_and_keys_that_do_not_fit_are_made_to_fit():
    assert fields(trace="mine", **{"a b": 1, "a=b": 2, "": 3, "k" * 70: 4}) == {
        "trace_": "mine",
        "a_b": 1,
        "a_b_": 2,
        "_": 3,
        "k" * 64: 4,
    }


def test_an_exception_is_the_last_fields():
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


def test_nothing_that_is_logged_raises():
    assert fields(value=Unprintable()) == {"value": "<Unprintable: str() raised RuntimeError>"}
    assert parse_line(line("%d items", "three"))["message"] == "%d items"
    assert fields("%d items", "three") == {"args_": '["three"]'}
    assert fields(value=10**5000)["value"].startswith("<int: str() raised ValueError>")
    itself = []
    itself.append(itself)
    assert fields(value=itself) == {"value": "<list: nested too deep>"}
    assert fields(value=[Changing()]) == {"value": "<list: reading it raised RuntimeError>"}
    assert parse_line(line(value={1: {2, 3}}))["fields"]["value"] == '{"1": "{2, 3}"}'


def test_secrets_are_masked_by_key_also_in_containers_and_the_callers_objects_stay():
    payload = {"user": "ada", "auth": {"password": "hunter2"}, "tokens": ["t"]}

    text = TextFormatter(mask_keys=["ssn"]).format(record(api_key="k3y", payload=payload, SSN="078-05"))

    assert not any(secret in text for secret in ("hunter2", "k3y", "078-05"))
    assert parse_line(text)["fields"]["api_key"] == "***"
    assert payload == {"user": "ada", "auth": {"password": "hunter2"}, "tokens": ["t"]}


class Connection:
    def __str__(self):
        return "postgres://ada:s3cret1@db/x"


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
def test_secrets_are_masked_by_what_they_look_like_wherever_they_stand(formatter):
    payload = {"note": "token=s3cret2", "list": ["Bearer s3cret3"], "object": Connection()}
    arguments = ("https://ada:s3cret4@host/x",)
    error = raised(ValueError("could not connect with password=s3cret5"))
    made = record("Fetching %s", *arguments, exc_info=error, payload=payload, connection=Connection())
    with context.bind(path="/x?access_token=s3cret6"):
        text = formatter().format(made)

    assert "s3cret" not in text
    assert text.count("***") >= 6
    assert (payload["note"], payload["list"], made.args) == ("token=s3cret2", ["Bearer s3cret3"], arguments)
    assert made.msg == "Fetching %s"


def test_arguments_that_do_not_fit_are_masked_too():
    assert "s3cret" not in line("%d tickets", "token=s3cret")


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_a_record_that_is_too_long_is_cut_and_says_so(formatter):
    made = record("m" * 9000, body="ä" * 9000, **{f"key{number}": "v" * 50 for number in range(100)})

    text = formatter(max_record_bytes=1000).format(made)

    assert len(text.encode()) <= 1000
    assert text.rstrip("}").endswith(("truncated=true", '"truncated": true'))


def test_a_record_that_just_fits_is_not_cut():
    made = record("m" * 500)
    size = len(TextFormatter().format(made))

    assert "truncated" not in TextFormatter(max_record_bytes=size).format(made)
    assert "truncated" in TextFormatter(max_record_bytes=size - 1).format(made)


def test_odd_levels_and_logger_names_are_made_to_fit():
    odd = record(name='my "logger"=\x1b')
    odd.levelname = "Level 15"
    nameless = record(name="")
    nameless.levelname = "15"

    assert parse_line(TextFormatter().format(odd))["level"] == "LEVEL_15"
    assert parse_line(TextFormatter().format(odd))["logger"] == "my__logger___"
    assert parse_line(TextFormatter().format(nameless))["level"] == "LEVEL_15"
    assert parse_line(TextFormatter().format(nameless))["logger"] == "root"


def test_json_is_flat_and_has_the_same_keys():
    made = record("Done a=b", ticket_id=1, ratio=float("nan"))
    made.created, made.msecs = 0.0, 5

    assert json.loads(JsonFormatter(service="user").format(made)) == {
        "level": "INFO",
        "time": "1970-01-01T00:00:00.005Z",
        "logger": "apps.tickets",
        "msg": "Done a=b",
        "ticket_id": 1,
        "ratio": "NaN",
        "service": "user",
    }


def test_a_developer_gets_the_traceback_as_an_indented_block():
    text = DevFormatter().format(record("Failed", exc_info=raised(ValueError("bad\nINFO forged"))))

    first, *block = text.split("\n")
    assert parse_line(first)["fields"] == {"exc_type": "ValueError", "exc_msg": "bad\nINFO forged"}
    assert block[0] == "    Traceback (most recent call last):"
    assert all(row.startswith("    ") for row in block)
