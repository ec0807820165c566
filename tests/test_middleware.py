import asyncio
import logging

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from shared_core import context
from shared_core.context.propagation import is_request_id
from shared_core.logs import TextFormatter, parse_line
from shared_core.middleware import RequestContextMiddleware
from tests.library.models import Book


class Keep(logging.Handler):
    """Keeps the records of a logger as a reader of the log would see them."""

    def __init__(self, logger):
        super().__init__()
        self.lines = []
        self._logger = logging.getLogger(logger)
        self.setFormatter(TextFormatter())

    def emit(self, record):
        self.lines.append(parse_line(self.format(record)))

    def __enter__(self):
        self._logger.addHandler(self)
        return self.lines

    def __exit__(self, *exc_info):
        self._logger.removeHandler(self)


@pytest.fixture
def access():
    with Keep("shared_core.access") as lines:
        yield lines


@pytest.fixture
def warnings():
    """What Django itself says of requests that went wrong."""
    with Keep("django.request") as lines:
        yield lines


def test_a_valid_request_id_is_bound_and_returned(client):
    response = client.get("/ids/", headers={"X-Request-ID": "0f8fad5b-d9cb"})

    assert response.content == b"0f8fad5b-d9cb"
    assert response.headers["X-Request-ID"] == "0f8fad5b-d9cb"
    assert context.current() == {}


@pytest.mark.parametrize("forged", ["", "short", "a b c d e f g h", "x" * 65])
def test_an_invalid_request_id_is_replaced(client, forged):
    response = client.get("/ids/", headers={"X-Request-ID": forged})

    made = response.headers["X-Request-ID"]
    assert made != forged
    assert is_request_id(made)
    assert response.content.decode() == made


def test_each_request_writes_one_access_line(client, access):
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


def test_djangos_record_of_a_request_has_its_id_and_no_query_string(client, warnings):
    client.get("/nowhere/?token=hunter2", headers={"X-Request-ID": "0f8fad5b"})

    (line,) = warnings
    assert (line["level"], line["message"]) == ("WARNING", "Not Found: /nowhere/")
    assert line["fields"]["request_id"] == "0f8fad5b"
    assert "hunter2" not in str(line)


@pytest.mark.django_db
def test_the_access_line_has_the_number_and_time_of_queries(client, access):
    client.post("/ready/")
    client.get("/books/")

    assert "db_queries" not in access[0]["fields"]
    assert access[1]["fields"]["db_queries"] == 1
    assert access[1]["fields"]["db_ms"] >= 0


@pytest.mark.django_db
def test_queries_are_counted_once_over_all_connections_and_reconnections(client, access):
    for _ in range(2):
        client.get("/books/")
        with connection.execute_wrapper(lambda execute, *args: execute(*args)):
            connection_created.send(type(connection), connection=connection)
            client.get("/books/")
    Book.objects.count()  # and nothing for what no request asks

    assert [line["fields"]["db_queries"] for line in access] == [1, 1, 1, 1]


@pytest.mark.django_db
def test_the_queries_of_a_stream_are_counted_too(client, access):
    response = client.get("/stream-books/")
    body = b"".join(response.streaming_content)
    response.close()

    assert body == b"000"
    assert access[0]["fields"]["db_queries"] == 3


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/books/", "/books-async/"])
def test_queries_are_counted_under_asgi_each_for_its_own_request(access, path):
    async def ask():
        client = AsyncClient()
        return await asyncio.gather(client.get(path), client.get("/ids/"), client.get(path))

    async_to_sync(ask)()

    counts = sorted((line["fields"]["path"], line["fields"].get("db_queries")) for line in access)
    assert counts == [(path, 1), (path, 1), ("/ids/", None)]


@pytest.fixture
def signed_in(settings, client):
    """Return a user, signed in by a session."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    user = get_user_model().objects.create_user("ada")
    client.force_login(user)
    return user


@pytest.mark.django_db
def test_the_access_line_has_the_user_id_if_the_view_read_the_user(client, access, signed_in):
    response = client.get("/user/")

    assert response.content == b"ada"
    assert access[0]["fields"]["user_id"] == signed_in.pk


@pytest.mark.django_db
def test_the_session_is_not_opened_to_name_a_user(client, access, signed_in):
    response = client.get("/ids/")

    assert "user_id" not in access[0]["fields"]
    assert "db_queries" not in access[0]["fields"]
    assert not response.has_header("Vary")


@pytest.mark.django_db
def test_an_anonymous_user_is_not_in_the_access_line(client, access, signed_in):
    client.logout()

    client.get("/user/")

    assert "user_id" not in access[0]["fields"]


@pytest.mark.django_db
def test_the_access_line_has_the_user_id_under_asgi_and_of_a_custom_user(access, signed_in, client):
    async def ask():
        asker = AsyncClient()
        await asker.aforce_login(signed_in)
        return await asker.get("/user-async/")

    assert async_to_sync(ask)().content == b"ada"

    def tell(request):
        request.user = signed_in
        return HttpResponse()

    RequestContextMiddleware(tell)(RequestFactory().get("/"))

    assert [line["fields"]["user_id"] for line in access] == [signed_in.pk] * 2


def test_an_overlong_method_and_path_are_truncated(access, warnings):
    RequestContextMiddleware(lambda request: HttpResponse(status=404))(
        RequestFactory().generic("G" * 5000, "/" + "x" * 50_000)
    )

    assert len(access[0]["fields"]["method"]) == 32
    assert len(access[0]["fields"]["path"]) == 1000
    assert len(warnings[0]["message"]) < 1050


@pytest.mark.django_db(databases="__all__")
def test_a_successful_probe_writes_no_access_line(client, access):
    client.get("/health/")
    client.get("/ready/")

    assert access == []


def test_an_exception_is_logged_once_with_its_traceback_and_one_access_line(access, warnings):
    response = Client(raise_request_exception=False).get("/fail/", headers={"X-Request-ID": "0f8fad5b"})

    (line,) = warnings
    assert response.status_code == 500
    assert [line["fields"]["status"] for line in access] == [500]
    assert (line["fields"]["exc_msg"], line["fields"]["request_id"]) == ("broken on purpose", "0f8fad5b")
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


@pytest.mark.parametrize("path", ["/fail/", "/fail-async/"])
def test_an_exception_under_asgi_is_logged_once_with_its_traceback_and_one_access_line(access, warnings, path):
    async def ask():
        client = AsyncClient(raise_request_exception=False)
        response = await client.get(path, headers={"X-Request-ID": "0f8fad5b"})
        return response.status_code, context.current()

    assert asyncio.run(ask()) == (500, {})
    (line,) = warnings
    assert (line["fields"]["exc_msg"], line["fields"]["request_id"]) == ("broken on purpose", "0f8fad5b")
    assert [line["fields"]["status"] for line in access] == [500]


def test_a_disconnect_under_asgi_is_a_499_and_leaves_nothing_bound(access):
    async def ask():
        asked = asyncio.create_task(AsyncClient().get("/wait/", headers={"X-Request-ID": "0f8fad5b"}))
        await asyncio.sleep(0.2)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return context.current()

    assert asyncio.run(ask()) == {}
    (line,) = access
    assert (line["fields"]["status"], line["fields"]["request_id"]) == (499, "0f8fad5b")
    assert line["message"] == "GET given up by its client: 499"
    assert line["fields"]["ms"] >= 100


def test_asgi_requests_are_bound_and_logged_like_wsgi_requests(access):
    async def ask():
        client = AsyncClient()
        plain = await client.get("/ids/", headers={"X-Request-ID": "0f8fad5b"})
        stream = await client.get("/stream-async/", headers={"X-Request-ID": "1a2b3c4d"})
        body = b"".join([chunk async for chunk in stream.streaming_content])
        stream.close()
        return plain.content, body

    assert asyncio.run(ask()) == (b"0f8fad5b", b"1a2b3c4d")
    assert [line["fields"]["request_id"] for line in access] == ["0f8fad5b", "1a2b3c4d"]
