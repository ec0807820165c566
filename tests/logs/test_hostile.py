"""200,000 hostile records: each comes back equal, in one printable line and in JSON."""

import json
import math

import pytest

from shared_core import context
from shared_core.logs import JsonFormatter, TextFormatter, parse_line
from tests.logs.hostile import KEYS, ODD_KEYS, Hostile
from tests.logs.records import joined

pytestmark = pytest.mark.slow

RECORDS, PARTS = 200_000, 8


def same(came, was):
    """Say whether these are equal, in kind too."""
    was = joined(was) if isinstance(was, str) else was
    return type(came) is type(was) and came == was


@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_records_are_parsed_back_unchanged(part):
    hostile = Hostile(part)
    text = TextFormatter(service="tickets")
    for _ in range(RECORDS // PARTS // 4):
        bound = hostile.fields(KEYS)
        with context.bind(**bound):
            for number in range(4):
                extras = hostile.fields(KEYS)
                record, message = hostile.record(extras)
                expected = {"service": "tickets"} | bound | extras

                line = text.format(record)
                parsed = parse_line(line)

                assert line.isprintable()
                assert same(parsed["message"], message)
                assert parsed["fields"].keys() == expected.keys()
                assert all(same(parsed["fields"][key], value) for key, value in expected.items())
                assert abs(parsed["time"].timestamp() - record.created) < 0.0011
                if number == 0:
                    check_twin(record, message, expected, parsed)


def check_twin(record, message, expected, parsed):
    twin = json.loads(JsonFormatter(service="tickets").format(record))

    assert list(twin) == ["level", "time", "logger", "msg", *parsed["fields"]]
    assert (twin["level"], twin["logger"]) == (parsed["level"], parsed["logger"])
    assert twin["time"] == parsed["time"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    assert same(twin["msg"], message)
    for key, value in expected.items():
        assert same(twin[key], {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value))


@pytest.mark.parametrize("how", ["extra", "bound"])
def test_values_under_hostile_keys_are_parsed_back_in_order(how):
    hostile, formatter, keys = Hostile(-1), TextFormatter(), ODD_KEYS + KEYS
    for _ in range(5000):
        fields = hostile.fields(keys if how == "bound" else [key for key in keys if key != "msg"])
        record, message = hostile.record(fields if how == "extra" else {})

        with context.bind(**fields if how == "bound" else {}):
            line = formatter.format(record)
        parsed = parse_line(line)

        assert line.isprintable()
        assert same(parsed["message"], message)
        assert all(same(came, was) for came, was in zip(parsed["fields"].values(), fields.values(), strict=True))
