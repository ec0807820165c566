"""Parsers, and what hypothesis makes them read; the examples were found by fuzzing (`make fuzz`)."""

import base64
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security import parsers

pytestmark = pytest.mark.slow

# Pieces that mean something to one of them, and anything else between.
_PIECES = [
    *(
        "INFO 2026-11-27 10:30:45,123 apps Done",
        " a=1",
        ' b="x',
        '"',
        "\\",
        " msg=",
        "Infinity",
        "-0",
        "1e5",
        "null",
        "\\u0000",
    ),
    *(
        "http://",
        "user-service:8000",
        "/api",
        "/",
        "..",
        "%2e",
        "%25",
        "%5c",
        "\\",
        "@",
        ":",
        ";",
        "?",
        "#",
        "//",
        "[::1]",
    ),
    *(
        "Bearer ",
        "eyJhbGciOiJub25lIn0",
        ".",
        "e30",
        "=",
        "00-",
        "0af7651916cd43dd8448eb211c80319c",
        "-",
        "b7ad6b7169203331",
    ),
    *(
        "?sslmode=",
        "require",
        "&",
        "5432",
        "/hdms",
        "password",
        "secret",
        "token=",
        'token="',
        "password='",
        "k" * 63,
        "Cookie: ",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
    ),
    *(
        "Fri, 27 Nov 2026 10:00:00 GMT",
        "+9999",
        "-",
        "2.5",
        "9" * 30,
        "\x1b",
        "\x85",
        "\u2028",
        "\ud800",
        "é",
        "\uff0e",
    ),
]
_texts = st.lists(st.sampled_from(_PIECES) | st.text(max_size=5), max_size=8).map("".join)
_examples = settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")))


@pytest.fixture(autouse=True)
def accepted(settings):
    """A service that accepts tokens of both kinds."""
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": ["a-token-that-nobody-guesses-0123456789"]}
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = "a-key-that-nobody-guesses-0123456789", ["HS256"]
    settings.SERVICE_JWT_AUDIENCE, settings.SERVICE_JWT_ISSUER = "user", ["ticket", "file"]


@pytest.mark.parametrize("name", parsers.ALL)
def test_whatever_it_reads(name):
    @_examples
    @given(_texts)
    def holds(text):
        parsers.ALL[name](text)

    holds()


@_examples
@given(_texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60))
def test_a_line_of_a_log(data):
    parsers.log_line(data)


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
_headers = st.dictionaries(st.sampled_from(["alg", "typ", "kid", "jku", "x5u", "jwk", "crit", "b64", "zip"]), _json)
_claims = st.dictionaries(st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "jti"]), _json)


@_examples
@given(_headers, _claims, st.text("ABCab01-_", max_size=10))
def test_a_jwt_that_nobody_signed(header, claims, signature):
    parsers.jwt(f"{_part(header)}.{_part(claims)}.{signature}")
