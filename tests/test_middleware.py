import asyncio
import logging

import pytest
from django.test import AsyncClient, Client

from shared_core import context
from shared_core.log_format import TextFormatter, parse_line


@pytest.fixture
def access(caplog):
    """Return the access lines so far, parsed as a reader of the log would."""
    caplog.set_level(logging.INFO, "shared_core.access")
    lines = []
    formatter = TextFormatter()

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(parse_line(formatter.format(record)))

    handler = Keep()
    logging.getLogger("shared_core.access").addHandler(handler)
    yield lines
    logging.getLogger("shared_core.access").removeHandler(handler)


def test_a_valid_request_id_is_taken_over_bound_and_answered(client):
    response = client.get("/ids/", headers={"X-Request-ID": "0f8fad5b-d9cb"})

    assert response.content == b"0f8fad5b-d9cb"
    assert response.headers["X-Request-ID"] == "0f8fad5b-d9cb"
    assert context.current() == {}


@pytest.mark.parametrize("forged", ["", "short", "a b c d e f g h", "x" * 65])
def test_any_other_request_id_is_made_anew(client, forged):
    response = client.get("/ids/", headers={"X-Request-ID": forged})

    made = response.headers["X-Request-ID"]
    assert made != forged
    assert context.is_request_id(made)
    assert response.content.decode() == made


def test_one_access_line_tells_what_was_answered(client, access):
    client.get("/items/7/?token=secret", headers={"X-Request-ID": "0f8fad5b"})

    (line,) = access
    assert line["message"] == "GET answered with 200"
    assert line["fields"].pop("ms") >= 0
    assert len(line["fields"].pop("trace_id")) == 32
    assert len(line["fields"].pop("span_id")) == 16
    assert line["fields"] == {
        "method": "GET",
        "route": "items/<int:number>/",
        "path": "/items/7/",
        "status": 200,
        "request_id": "0f8fad5b",
    }


def test_an_unknown_path_has_no_route(client, access):
    client.get("/nowhere/")

    assert (access[0]["fields"]["status"], access[0]["fields"]["route"]) == (404, None)


@pytest.mark.django_db
def test_the_time_spent_in_the_database_is_told(client, access):
    client.post("/ready/")
    client.get("/books/")

    assert "db_queries" not in access[0]["fields"]
    assert access[1]["fields"]["db_queries"] == 1
    assert access[1]["fields"]["db_ms"] >= 0


@pytest.mark.django_db
def test_a_successful_probe_writes_no_access_line(client, access):
    client.get("/health/")
    client.get("/ready/")

    assert access == []


def test_an_exception_is_logged_once_with_its_traceback_and_one_access_line(access, caplog):
    response = Client(raise_request_exception=False).get("/fail/", headers={"X-Request-ID": "0f8fad5b"})

    assert response.status_code == 500
    assert [line["fields"]["status"] for line in access] == [500]
    assert [record.name for record in caplog.records if record.exc_info] == ["django.request"]
    assert context.current() == {}


@pytest.mark.django_db  # Django looks at its connections when a response is closed
@pytest.mark.parametrize("path", ["/stream/", "/download/"])
def test_the_access_line_of_a_stream_is_written_when_its_body_has_ended(client, access, path):
    response = client.get(path, headers={"X-Request-ID": "0f8fad5b"})
    before = list(access)
    body = b"".join(response.streaming_content)
    between = context.current()
    response.close()

    assert before == []
    assert between == {}
    assert [line["fields"]["request_id"] for line in access] == ["0f8fad5b"]
    assert path == "/download/" or body == b"0f8fad5b" * 2


def test_under_asgi_it_binds_answers_and_logs_the_same(access):
    async def ask():
        client = AsyncClient()
        plain = await client.get("/ids/", headers={"X-Request-ID": "0f8fad5b"})
        stream = await client.get("/stream-async/", headers={"X-Request-ID": "1a2b3c4d"})
        body = b"".join([chunk async for chunk in stream.streaming_content])
        stream.close()
        return plain.content, body

    assert asyncio.run(ask()) == (b"0f8fad5b", b"1a2b3c4d")
    assert [line["fields"]["request_id"] for line in access] == ["0f8fad5b", "1a2b3c4d"]
