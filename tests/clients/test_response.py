"""Tables: what is read of a response's body."""

import pytest
import requests

from shared_core.clients.response import read_json, read_json_or_missing

ABSENT = object()


def response_of(body, status=200, kind="application/json"):
    response = requests.Response()
    response.status_code, response._content, response._content_consumed = status, body, True
    response.headers["Content-Type"] = kind
    return response


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_each_encoding_that_the_standard_library_reads(encoding):
    assert read_json(response_of('{"name": "Zoë 🔥"}'.encode(encoding))) == {"name": "Zoë 🔥"}


@pytest.mark.parametrize(
    ("body", "status", "value", "value_or_missing"),
    [
        (b"null", 200, None, None),
        (b"[1, 2.5]", 200, [1, 2.5], [1, 2.5]),
        (b"", 204, None, ABSENT),
        (b"", 200, None, ABSENT),
        (b'{"detail": "not found"}', 404, {"detail": "not found"}, None),
        (b"", 404, None, None),
    ],
)
def test_a_body_is_read(body, status, value, value_or_missing):
    assert read_json(response_of(body, status)) == value
    if value_or_missing is ABSENT:
        with pytest.raises(ValueError, match=f"{status} without a body"):
            read_json_or_missing(response_of(body, status))
    else:
        assert read_json_or_missing(response_of(body, status)) == value_or_missing


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"{", b"NaN", b'{"a": Infinity}', b"[-Infinity]", b"\xff\xfe", b"\x80", b"[" * 100_000, b"1 2", b" "],
)
def test_what_is_not_json_is_a_value_error_that_names_the_content_type(body):
    with pytest.raises(ValueError, match=r"^200 with 'text/html' that is not JSON$") as raised:
        read_json(response_of(body, kind="text/html"))

    assert raised.value.__cause__ is not None
