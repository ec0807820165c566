"""The three formatters: text, JSON, and for a developer."""

import datetime as dt
import json

import pytest

from shared_core import context
from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter, parse_line
from tests.logs.records import raised, record


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


class Connection:
    def __str__(self):
        return "postgres://ada:s3cret1@db/x"


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
def test_secrets_are_masked_by_their_form_in_message_fields_and_traceback(formatter):
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


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_a_record_that_is_too_long_is_truncated_and_marked(formatter):
    made = record("m" * 9000, body="ä" * 9000, **{f"key{number}": "v" * 50 for number in range(100)})

    text = formatter(max_record_bytes=1000).format(made)

    assert len(text.encode()) <= 1000
    assert text.rstrip("}").endswith(("truncated=true", '"truncated": true'))


def test_a_record_of_the_maximum_size_is_not_truncated():
    made = record("m" * 500)
    size = len(TextFormatter().format(made))

    assert "truncated" not in TextFormatter(max_record_bytes=size).format(made)
    assert "truncated" in TextFormatter(max_record_bytes=size - 1).format(made)


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
