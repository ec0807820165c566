"""A secret that stands wherever one can stand is in no error, no representation, no pickle and no log of the library.

The same is held of a whole run of the four services in ``tests/test_journeys.py``.
"""

import logging
import pickle
import traceback

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core.auth import service_auth_required
from shared_core.clients import ClientCredentials, HTTPClient, ServiceError, ServiceToken
from shared_core.databases import get_database_config
from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter
from tests.clients.server import answer, answer_json, hang_up, raw, redirect, silent

CANARY = "c4n4ry-that-sings-0123456789-abcdefghij"
SENT = {
    "params": {"token": CANARY, "signature": CANARY},
    "headers": {"X-Api-Key": CANARY, "Cookie": f"session={CANARY}"},
    "json": {"password": CANARY, "secret": {"deep": CANARY}},
}


@pytest.fixture
def logs():
    """Every record of this process, as each formatter writes it."""
    written = []
    formatters = [TextFormatter(service="ticket"), JsonFormatter(service="ticket"), DevFormatter(service="ticket")]

    class Keep(logging.Handler):
        def emit(self, record):
            written.extend(formatter.format(record) for formatter in formatters)

    handler, root = Keep(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


def shown(error):
    """Return every form in which an error is looked at or passed on."""
    copied = pickle.dumps(error)
    return [
        str(error),
        repr(error),
        repr(error.args),
        "".join(traceback.format_exception(error)),
        copied.decode("latin-1"),
        repr(vars(pickle.loads(copied))),
    ]


def sings(*texts):
    return [text for text in texts if CANARY in text]


@pytest.mark.parametrize(
    "reply",
    [
        answer(500),
        answer(401),
        answer(404),
        hang_up,
        silent(1),
        answer(200, "no json"),
        redirect("http://127.0.0.1:1/x"),
    ],
    ids=["500", "401", "404", "hung up", "silent", "no json", "redirected"],
)
def test_a_call_that_fails_does_not_tell_what_was_sent(make, server, reply, logs):
    server.script(reply)
    client = make(server.url, service="user", token=CANARY, timeout=0.3)

    with pytest.raises(ServiceError) as raised:
        client.post_json("/users/1", SENT["json"], params=SENT["params"], headers=SENT["headers"], idempotency_key=True)
    logging.getLogger("apps").error("Failed", exc_info=raised.value, extra={"error": raised.value, "client": client})

    assert CANARY in str(server.received[0].headers)
    assert CANARY in server.received[0].path
    assert sings(*shown(raised.value), repr(client), str(client), *logs) == []


def echo(head, tail=b""):
    """Answer with the request between two parts, as one line."""

    def reply(connection, request):
        said = f"{request.method} {request.path} {request.headers['Authorization']} {request.headers['X-Api-Key']}"
        return raw(head + said.encode() + tail)(connection, request)

    return reply


OK = b"HTTP/1.1 200 OK\r\n"
ECHOES = {
    "the whole": echo(b""),
    "a version": echo(b"HTTP/"),
    "a status": echo(b"HTTP/1.1 "),
    "a header": echo(OK, b"\r\n\r\n"),
    "lengths": echo(OK + b"Content-Length: 1, ", b"\r\n\r\n1"),
    "a chunk": echo(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n"),
    "a later chunk": echo(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n", b"\r\n"),
    "a redirect": echo(b"HTTP/1.1 302 Found\r\nLocation: http://[", b"\r\n\r\n"),
    "a coding": echo(OK + b"Content-Encoding: ", b"\r\n\r\n"),
}


@pytest.mark.parametrize("is_streamed", [False, True], ids=["read", "streamed"])
@pytest.mark.parametrize("reply", ECHOES.values(), ids=ECHOES)
def test_an_answer_that_echoes_what_was_sent_is_not_quoted(make, server, reply, is_streamed, logs):
    server.script(reply)
    client = make(server.url, service="user", token=CANARY, timeout=0.3)
    texts = []
    try:
        response = client.get("/x", params=SENT["params"], headers=SENT["headers"], stream=is_streamed, retries=0)
        texts.append(response.text * 0)  # reads
    except ServiceError as error:
        logging.getLogger("apps").exception("Failed")
        error.response = None  # which is what the service said, as it said it
        texts += shown(error)

    assert CANARY in str(server.received[0].headers)
    assert sings(*texts, *logs) == []


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://u:{CANARY}#1@proxy:3128",
        f"http://u:{CANARY}/1@proxy:3128",
        f"http://u:{CANARY}?1@proxy:3128",
        f"http://u:{CANARY}@proxy:99999",
        f"http://u:{CANARY}@[::1",
        f"http://u:{CANARY}\u20ac@proxy:3128",
        f"http://u:{CANARY}@",
        f"http:u:{CANARY}",
        f"{CANARY}://proxy",
        "",
    ],
)
def test_a_proxy_that_cannot_be_read_is_told_without_its_password(proxy, logs):
    client = HTTPClient("http://user")
    for call in (lambda: HTTPClient(proxies={"http": proxy}), lambda: client.get("/x", proxies={"http": proxy})):
        with pytest.raises(ValueError, match="proxies: the URL for 'http'") as raised:
            call()
        logging.getLogger("apps").error("Failed", exc_info=raised.value)
        assert sings(str(raised.value), repr(raised.value), *logs) == []


@pytest.mark.parametrize("url", [f"http://anna:{CANARY}@host/x", f"http:\\\\a:{CANARY}@host", f"//a:{CANARY}@host/x"])
def test_a_url_that_is_refused_is_told_without_its_password(url, logs):
    for call in (lambda: HTTPClient(url), lambda: HTTPClient("http://user").get(url), lambda: HTTPClient().get(url)):
        with pytest.raises(ServiceError) as raised:
            call()
        logging.getLogger("apps").exception("Failed", exc_info=raised.value)
        assert sings(*shown(raised.value), *logs) == []


@pytest.mark.parametrize(
    "reply", [answer(400, CANARY), answer_json({"error": CANARY}, 401), answer(200, CANARY), answer_json([CANARY])]
)
def test_a_token_service_that_echoes_the_secret_is_not_quoted(make, server, other, reply, logs):
    other.script(reply)
    credentials = ClientCredentials(f"{other.url}/token", "ticket", CANARY, "users:read")
    client = make(server.url, token=credentials)

    with pytest.raises(ServiceError) as raised:
        client.get("/users")
    logging.getLogger("apps").error("Failed", exc_info=raised.value)
    raised.value.response = None  # which is what the token service said, as it said it

    assert sings(*shown(raised.value), repr(credentials), repr(client), *logs) == []


def test_a_key_is_in_no_representation():
    assert sings(repr(ServiceToken("ticket", "user", CANARY)), repr(ClientCredentials("http://t", "a", CANARY))) == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://hdms:{CANARY}@host:port/hdms",
        f"postgresql://hdms:{CANARY}@/hdms",
        f"mysql://hdms:{CANARY}@host/hdms",
        f"postgresql://hdms:{CANARY}@host/hdms?{CANARY}=1&sslmode=no",
        f"postgresql://hdms:{CANARY}@[host/hdms",
        f"postgresql://hdms@host/hdms?password={CANARY}&port=no",
    ],
)
def test_a_database_url_that_is_wrong_is_told_without_its_password(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ImproperlyConfigured) as raised:
        get_database_config()
    text = "".join(traceback.format_exception(raised.value))
    assert CANARY not in text.replace(f"know: {CANARY}", "")  # a name is no secret


@pytest.mark.parametrize("header", [CANARY, f"Bearer {CANARY}", f"Basic {CANARY}", f"Bearer {CANARY} {CANARY}"])
def test_a_token_that_is_refused_is_in_no_log_and_no_answer(settings, header, logs):
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": [CANARY[::-1]]}
    view = service_auth_required()(lambda request: HttpResponse("in"))

    response = view(RequestFactory().get("/", HTTP_AUTHORIZATION=header))

    assert response.status_code == 401
    assert sings(response.content.decode(), str(response.headers), *logs) == []
    assert sings(*(text[::-1] for text in logs)) == []


@pytest.mark.parametrize(
    ("message", "extra"),
    [
        (f"password={CANARY}", {}),
        (f"Authorization: Bearer {CANARY}", {}),
        (f"postgresql://hdms:{CANARY}@host/hdms", {}),
        (f'{{"api_key": "{CANARY}"}}', {}),
        ("Sent", {"token": CANARY, "X-Api-Key": CANARY}),
        ("Sent", {"headers": {"Authorization": f"Bearer {CANARY}"}, "body": [{"client_secret": CANARY}]}),
        ("Sent", {"url": f"http://anna:{CANARY}@host/x?token={CANARY}"}),
        ("Sent", {"error": ValueError(f"secret='{CANARY}' is wrong")}),
    ],
)
def test_what_a_service_logs_by_mistake_is_masked(message, extra, logs):
    try:
        _fail()
    except ValueError:
        logging.getLogger("apps").exception(message, extra=extra)

    assert len(logs) == 3
    assert sings(*logs) == []


def _fail():
    raise ValueError(f"connection to postgresql://hdms:{CANARY}@host failed: password={CANARY}")
