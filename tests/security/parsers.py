"""What must hold of each parser whatever it is given: a function of a text or bytes, which fails where it does not.

`test_parsers.py` tries them with texts that hypothesis makes, `fuzz.py` with those that atheris grows.
"""

import json
import logging
import re
from collections.abc import Callable
from unittest import mock
from urllib.parse import unquote, urlsplit

import requests
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from shared_core import context
from shared_core.auth.callers import Refusal, caller_of
from shared_core.clients.retry import retry_after
from shared_core.context.inbound import Inbound
from shared_core.context.propagation import is_request_id, trace_fields
from shared_core.databases import get_database_config
from shared_core.idempotency.requests import BadKeyError, key_of
from shared_core.logs import JsonFormatter, TextFormatter, parse_line
from shared_core.logs.extras import STANDARD
from shared_core.logs.reader.lines import read_line
from shared_core.logs.record import MAX_FIELDS
from shared_core.logs.redaction import mask_text, redact_url
from shared_core.origins import InvalidURLError, is_plain, join, origin_of

BASE = "http://user-service:8000/api"
_SECRET = "c4n4ry"
_text, _json = TextFormatter(service="ticket"), JsonFormatter(service="ticket")

# With a place for a secret. Whatever stands on the lines before and after, it is masked.
SECRET_FORMS = (
    "password={}",
    "password=b'{}'",
    "password=r'my {}'",
    'password: "{}"',
    "password=SecretStr('my {}')",
    "{{b'password': b'{}'}}",
    "[('password', '{}')]",
    "[(b'authorization', b'{}')]",
    '[["api_key", "{}"]]',
    "password=it's{}",
    'password := "{}"',
    "postgres://ada:a/{}@db/x",
    "Authorization: {}",
)
HARMLESS_FORMS = (
    "tokenizer=bert",
    "max_tokens=5 prompt_tokens=6",
    "token_count=3 passwords_changed=3",
    "secretary=Ada",
    "['password', 'email']",
    "http://user:8000/@ada",
)


def line(text: str) -> None:
    """A line is a record or a ValueError; what is a record is written again as a line that says the same."""
    try:
        parsed = parse_line(text)
    except ValueError:
        return
    assert text.removesuffix("\n").isprintable()
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", parsed["level"])


def message(text: str) -> None:
    """A message is one line, and comes back as it was but for secrets; it forges no field, and no second line."""
    record = logging.LogRecord("apps.tickets", logging.INFO, "views.py", 7, "%s", (text,), None)
    record.seen = text
    written = _text.format(record)
    parsed = parse_line(written)
    assert written.isprintable()
    assert set(parsed["fields"]) == {"seen", "service"}
    assert parsed["fields"]["service"] == "ticket"
    assert parsed["message"] == parsed["fields"]["seen"] == _joined(mask_text(text))


def log_line(data: bytes) -> None:
    """Whatever stands in a log is read as a line that a terminal shows as one."""
    read = read_line(data)
    assert "\x1b" not in read.text
    assert "\n" not in read.text


def url(text: str) -> None:
    """What is joined stays with the base's origin and below its path, also as it is sent, and decoded on its way."""
    try:
        joined = join(BASE, text)
    except InvalidURLError:
        return
    try:
        sent = requests.Request("GET", joined).prepare().url
    except (requests.RequestException, UnicodeError):
        return
    for each in (joined, sent):
        parts = urlsplit(each)
        assert (parts.scheme.lower(), parts.hostname, parts.port) == ("http", "user-service", 8000)
        assert parts.username is None
        _stays_below(parts.path)
    assert "\r" not in sent
    assert "\n" not in sent
    if is_plain(text):
        assert unquote(text) == text


def _stays_below(path: str) -> None:
    for _ in range(4):
        depth = 0
        for part in path.removeprefix("/api").replace("\\", "/").split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part.partition(";")[0].strip(), 1)
            assert depth >= 0, path
        path = unquote(path)


def origin(text: str) -> None:
    """An origin is what requests would connect to, or is refused."""
    try:
        found = origin_of(text)
    except InvalidURLError:
        return
    try:
        sent = requests.Request("GET", text).prepare().url
    except (requests.RequestException, UnicodeError):
        return
    parts = urlsplit(sent)
    if found.host.isascii():
        assert parts.hostname is not None
        assert parts.hostname.removesuffix(".") == found.host
        assert (parts.port or {"http": 80, "https": 443}[parts.scheme]) == found.port


def headers(text: str) -> None:
    """Headers of a stranger's are taken in their one form, or not at all."""
    if is_request_id(text):
        assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", text, re.ASCII)
    left = Inbound(deadline=text).seconds_left()
    assert left is None or left <= 1e9
    fields = trace_fields(text)
    assert re.fullmatch(r"[0-9a-f]{32}", fields["trace_id"])
    wait = retry_after(text, 1_800_000_000.0)
    assert wait is None or 0 <= wait <= 86_400


def token(text: str) -> None:
    """Nobody gets in without a token, and nobody brings the service down."""
    request = RequestFactory().get("/")
    request.META["HTTP_AUTHORIZATION"] = text
    said = caller_of(request)
    assert isinstance(said, Refusal)
    assert said.status == 401
    assert len(text) < 8 or text not in said.reason


def jwt(text: str) -> None:
    """The same, where what comes after Bearer is looked at."""
    token(f"Bearer {text}")


def key(text: str) -> None:
    """An idempotency key is printable ASCII, or an error that says so."""
    request = RequestFactory().post("/")
    request.META["HTTP_IDEMPOTENCY_KEY"] = text
    try:
        found = key_of(request, required=True)
    except BadKeyError:
        return
    assert re.fullmatch(r"[\x21-\x7e]{1,255}", str(found))


def database_url(text: str) -> None:
    """A DATABASE_URL makes settings, or an error that does not show the password."""
    given = f"postgresql://hdms:{_SECRET}{text}"
    if "\0" in given or not _is_encodable(given):
        return  # no variable of the environment can hold it
    with mock.patch.dict("os.environ", {"DATABASE_URL": given}):
        try:
            get_database_config()
        except ImproperlyConfigured as error:
            said = str(error)
        else:
            said = ""
    assert _SECRET not in said


def secret(text: str) -> None:
    """A secret between other text is masked."""
    for around in (
        f"{text} password={_SECRET}",
        f'{text}\n"api_key": "{_SECRET}" {text}',
        f"{text} http://a:{_SECRET}@b",
    ):
        assert _SECRET not in mask_text(around)
    assert _SECRET not in redact_url(f"http://a:{_SECRET}@b/{text}")


def record_keys(text: str) -> None:
    """Extras and bindings of any keys are one line, whose keys are valid and unique, and which keeps its ids."""
    pieces = text.split("=") * 2  # each twice: once with an ending, so that cut keys collide
    fields = {f"{key}{number if number % 2 else ''}": key for number, key in enumerate(pieces)}
    ids = {"request_id": "0f8fad5b-d9cb-469f-a165", "trace_id": "a" * 32}
    for extras, bound in ((fields, {}), ({}, fields), (fields, dict.fromkeys(pieces, 1))):
        record = logging.LogRecord("apps.tickets", logging.INFO, "views.py", 7, "Opened", (), None)
        vars(record).update({key: value for key, value in extras.items() if key not in STANDARD and key not in ids})
        with context.bind(**{key: value for key, value in bound.items() if key not in ids}), context.bind(**ids):
            written, as_json = _text.format(record), json.loads(_json.format(record), object_pairs_hook=list)
        parsed = parse_line(written)  # it refuses a key that stands twice
        assert written.isprintable()
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key) for key in parsed["fields"])
        assert {key: parsed["fields"][key] for key in ids} == ids
        assert [key for key, _ in as_json][4:] == list(parsed["fields"])
        assert ("truncated" in parsed["fields"]) or len(parsed["fields"]) <= MAX_FIELDS


def masking(text: str) -> None:
    """A secret in each form is masked in any surroundings on other lines; what is harmless stays as it is."""
    for form in SECRET_FORMS:
        assert _SECRET not in mask_text(f"{text}\n{form.format(_SECRET)}\n{text}"), form
    calm = re.sub(r"[^a-z \n]", "", text)
    for harmless in HARMLESS_FORMS:
        around = f"{calm}\n{harmless}\n{calm}"
        assert mask_text(around) == around


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _joined(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


ALL: dict[str, Callable[[str], None]] = {
    "line": line,
    "message": message,
    "url": url,
    "origin": origin,
    "headers": headers,
    "token": token,
    "jwt": jwt,
    "key": key,
    "database_url": database_url,
    "secret": secret,
    "record_keys": record_keys,
    "masking": masking,
}
