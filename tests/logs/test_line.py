"""The grammar of a line: what is written is parsed back equal, and nothing forges a line or a field."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_core.logs import TextFormatter, parse_line
from shared_core.logs.record import RESERVED
from tests.logs.records import joined, line, record

ODD_CHARACTERS = st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"])
TEXTS = st.text() | st.text(ODD_CHARACTERS) | st.text('ab =",\\\n\u2028')
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
KEYS = st.text("abc_.-XYZ019", min_size=1, max_size=64).filter(lambda key: key not in RESERVED)


@given(TEXTS, st.dictionaries(KEYS, SCALARS, max_size=5))
def test_a_record_is_one_printable_line_that_parses_back_unchanged(message, extra):
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
def test_parsing_any_line_raises_only_value_error(text):
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
def test_a_line_that_is_no_record_is_a_value_error(forged):
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
