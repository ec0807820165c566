"""Records whose keys and values are hostile: each ends quickly, in little memory, and is one line with its ids."""

import json
import logging
import time
import tracemalloc
from collections.abc import Mapping

import pytest

from shared_core import context
from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter, parse_line
from shared_core.logs.extras import renaming_class
from shared_core.logs.record import MAX_FIELDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]  # what never ends fails

IDS = {"request_id": "0f8fad5b-d9cb-469f-a165-70867728950e", "trace_id": "a" * 32, "span_id": "b" * 16}
SECONDS = 2.0
MEGABYTE = 1_000_000

KEYS = {
    "cut to the same 64 characters": ["k" * 64 + str(number) for number in range(3)],
    "many of these": ["k" * 64 + str(number) for number in range(1000)],
    "fitted to the same 63": ["é" * 63 + chr(256 + number) for number in range(300)],
    "of one letter that does not fit": [chr(256 + number) for number in range(50_000)],
    "many": [f"key{number}" for number in range(300_000)],
    "names that the numbering gives": ["a b", "a=b", 'a"b', "a_b", "a_b_", *(f"a_b_{n}" for n in range(3, 200))],
    "underscores": ["_" * number for number in range(1, 200)],
    "reserved": ["trace", "trace_", "trace__", "TRACE", "msg ", "exc_type", "exc_type_", "level", "time"],
    "cut where they are numbered": [f"{'k' * 55}{n:x}{'é' * end}" for n in range(100) for end in (20, 21)],
    "long": ["k" * 10 * MEGABYTE, "j" * 10 * MEGABYTE],
}


def laughs(depth=60):
    """A list whose text has 2 ** depth items, in a few bytes."""
    inner = ["ha"]
    for _ in range(depth):
        inner = [inner, inner]
    return inner


class Endless(Mapping):
    """A mapping that goes on."""

    def __getitem__(self, key):
        return key

    def __len__(self):
        return 1

    def __iter__(self):
        number = 0
        while True:
            yield str(number)
            number += 1

    def items(self):
        return ((key, key) for key in self)


TEXT = "token=x " * 8000
VALUES = {
    "a list in lists": laughs(),
    "a list": list(range(MEGABYTE)),
    "a dict": {number: number for number in range(MEGABYTE)},
    "a dict in a list": [{number: number for number in range(MEGABYTE)}] * 100,
    "one text many times": [TEXT] * 10_000,
    "one number many times": [2**9999] * MEGABYTE,
    "long keys": [{"k" * MEGABYTE: 1}] * 1000,
    "secrets": [{"password": 1}] * MEGABYTE,
    "a mapping without an end": Endless(),
    "a text": "password=" * 3 * MEGABYTE,
    "bytes": bytes(20 * MEGABYTE),
    "bytes in a list": [bytes(MEGABYTE)] * 1000,
    "deep": json.loads("[" * 900 + "]" * 900),
}


def made(message="Opened", *args, **extras):
    record = logging.LogRecord("apps.tickets", logging.INFO, "views.py", 7, message, args, None)
    vars(record).update(extras)
    return record


def fields_of(line):
    """Return the fields of a line in any of the three formats; a key that stands twice fails."""
    if not line.startswith("{"):
        return parse_line(line.partition("\n")[0])["fields"]
    pairs = json.loads(line, object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs)
    return {key: value for key, value in pairs if key not in {"level", "time", "logger", "msg"}}


@pytest.fixture
def took():
    """Return how long the test's own processor time is, as a function."""
    began = time.process_time()
    return lambda: time.process_time() - began


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
@pytest.mark.parametrize("how", ["extra", "bound"])
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_keys_end_quickly_and_are_valid_and_unique(keys, how, formatter, took):
    payload = dict.fromkeys(keys, 1)
    with context.bind(**IDS, **(payload if how == "bound" else {})):
        line = formatter(service="ticket").format(made(**payload if how == "extra" else {}))
    spent, fields = took(), fields_of(line)

    assert spent < SECONDS
    assert "\n" not in line
    assert {key: fields.get(key) for key in [*IDS, "service"]} == IDS | {"service": "ticket"}
    assert len(fields) == min(len(payload) + 4, MAX_FIELDS) + ("truncated" in fields)
    assert ("truncated" in fields) is (len(payload) + 4 > MAX_FIELDS)


def test_the_numbering_is_linear():
    def seconds(count):
        extra = {"name" + ("_" * n if n < 3 else f"_{n}"): n for n in range(count)} | {"message": 1}
        began = time.process_time()
        for _ in range(5):
            record = renaming_class(logging.Logger)("apps").makeRecord(
                "apps", 20, "views.py", 7, "Opened", (), None, extra=extra
            )
        assert vars(record)[f"name_{count}"] == 0
        return time.process_time() - began

    assert seconds(80_000) < 12 * max(seconds(20_000), 0.01)


def test_the_first_two_that_are_taken_get_underscores_and_the_others_a_number():
    line = TextFormatter().format(made(**{"a b": 1, "a=b": 2, 'a"b': 3, "a'b": 4, "a\nb": 5}))

    assert fields_of(line) == {"a_b": 1, "a_b_": 2, "a_b__": 3, "a_b_3": 4, "a_b_4": 5}


@pytest.mark.parametrize("how", ["extra", "bound"])
def test_a_key_that_is_made_to_fit_does_not_take_the_name_of_another(how):
    odd = {"request id": "forged", "service\x00": "forged", "trace_id ": "forged", "a b": 1}
    with context.bind(**odd if how == "bound" else {}), context.bind(**IDS, service_=1, a_b=2):
        fields = fields_of(TextFormatter(service="ticket").format(made(**odd if how == "extra" else {})))

    assert {key: fields[key] for key in ["request_id", "trace_id", "service"]} == {
        "request_id": IDS["request_id"],
        "trace_id": IDS["trace_id"],
        "service": "ticket",
    }
    assert (fields["request_id_"], fields["service__"], fields["a_b"], fields["a_b_"]) == ("forged", "forged", 2, 1)


PLACES = {
    "extra": lambda value: made(value=value),
    "bound": lambda value: made(),
    "bad arguments": lambda value: made("Got %d and", [value]),
    "message": made,
    "argument": lambda value: made("Got %s", value),
}


@pytest.mark.parametrize(
    ("place", "name", "formatter"),
    [
        *((place, name, TextFormatter) for place in list(PLACES)[:3] for name in VALUES),
        *((place, name, TextFormatter) for place in list(PLACES)[3:] for name in ("a text", "bytes")),
        *(("extra", name, formatter) for formatter in (JsonFormatter, DevFormatter) for name in VALUES),
    ],
)
def test_values_end_quickly_and_in_little_memory(place, name, formatter):
    value = VALUES[name]
    record = PLACES[place](value)
    with context.bind(**IDS, **({"value": value} if place == "bound" else {})):
        began = time.process_time()
        line = formatter(service="ticket").format(record)
        spent = time.process_time() - began
        tracemalloc.start()
        formatter(service="ticket").format(record)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    fields = fields_of(line)
    assert spent < SECONDS
    assert most < (200 if place in {"message", "argument"} else 20) * MEGABYTE
    assert len(line.encode()) <= 65536
    assert fields["request_id"] == IDS["request_id"]
    assert "truncated" in fields or name == "deep"


def test_many_long_values_cost_no_more_than_a_few():
    extras = {f"key{number}": [TEXT] * 100 for number in range(250)}
    began = time.process_time()

    line = TextFormatter(service="ticket").format(made(ticket_id=42, **extras, last="short"))

    assert time.process_time() - began < SECONDS
    assert "truncated=true" in line


def test_a_short_value_after_long_ones_is_written_whole():
    fields = fields_of(TextFormatter().format(made(body="x" * 100_000, other="y" * 100_000, state="open " * 20)))

    assert fields["state"] == "open " * 20
    assert len(fields["body"]) > 16_000
    assert fields["truncated"] is True


@pytest.mark.parametrize("limit", [256, 1000, 65536])
@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_the_ids_and_the_exception_outlive_the_extras(formatter, limit):
    extras = {f"key{number}": "x" * 200 for number in range(1000)}
    ids = {"request_id": "0" * 32, "trace_id": "a" * 32}
    with context.bind(**ids):
        line = formatter(service="ticket", max_record_bytes=limit).format(made("m" * 1000, **extras))
    fields = fields_of(line)

    assert len(line.encode()) <= limit
    assert {key: fields[key] for key in ids} == ids
    assert fields["service"] == "ticket"
    assert fields["truncated"] is True


def test_an_exception_is_left_out_after_the_extras():
    record = made(**{f"key{number}": "x" * 30 for number in range(200)})
    record.exc_info = (ValueError, ValueError("bad"), None)

    fields = fields_of(TextFormatter(max_record_bytes=2000).format(record))

    assert (fields["exc_type"], fields["exc_msg"], fields["truncated"]) == ("ValueError", "bad", True)


def test_an_exception_with_a_long_chain_is_cut():
    error = ValueError("first")
    for number in range(5000):
        later = ValueError(f"{number} " + "x" * 1000)
        later.__cause__ = error
        error = later
    record = made()
    record.exc_info = (ValueError, error, None)
    began = time.process_time()

    fields = fields_of(TextFormatter().format(record))

    assert time.process_time() - began < SECONDS
    assert fields["truncated"] is True


@pytest.mark.parametrize("count", [0, 50, 128, 200, 255, 256, 257, 400])
@pytest.mark.parametrize("bound", [0, 50, 129, 255, 256, 257])
def test_a_record_has_256_fields_at_most_and_extras_are_dropped_first(count, bound):
    formatter = TextFormatter(service="t")
    extras = {f"{number:x}": 1 for number in range(count)}
    bindings = {f"{number:x}": 2 for number in range(200, 200 + bound)}
    for _ in range(2):  # the first line of a binding, and a later one
        with context.bind(**bindings):
            fields = fields_of(formatter.format(made(**extras)))
        is_cut = fields.pop("truncated", False)

        assert is_cut is (len(extras | bindings) + 1 > MAX_FIELDS)
        assert len(fields) == min(len(extras | bindings) + 1, MAX_FIELDS)
        assert fields["service"] == "t"
        assert len(bindings.keys() & fields.keys()) == min(bound, MAX_FIELDS - 1)
        assert all(value == 1 for key, value in fields.items() if key in extras and is_cut is False)


@pytest.mark.parametrize("end", ["postgres://ada:s3cretly", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aWNrZXQifQ"])
@pytest.mark.parametrize("place", ["message", "extra", "list"])
def test_a_secret_that_the_bound_cuts_is_not_left_without_its_end(end, place):
    secret = f"{end}.c2ln@db/x"
    for shift in range(len(secret) + 2):
        text = "x " * 500 + "y" * shift + f' "{secret}"'
        limit = 1000 + len(secret) + 2
        # The masked beginning makes room in the line for what comes last.
        text = f"password={'p' * 600} {text[600:]}"
        record = {"message": made(text), "extra": made(a=text), "list": made(a=[text])}[place]
        line = TextFormatter(max_record_bytes=limit).format(record)

        assert "s3cret" not in line
        assert "eyJzdWIi" not in line


def test_a_key_whose_text_fails_loses_no_record():
    class Bad:
        def __str__(self):
            raise RuntimeError

    record = made()
    vars(record)[Bad()] = 1

    assert 1 in fields_of(TextFormatter().format(record)).values()
