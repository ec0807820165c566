"""Headers of a stranger's request that go on to other services: a value that cannot be sent is a ServiceError."""

import asyncio
import contextlib
import pickle
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core.auth import ServiceAuth, ServiceAuthMiddleware, callers, service_auth_required
from shared_core.clients import HTTPClient, ServiceError, ServiceToken, TokenError, forward_user
from shared_core.context.propagation import is_request_id
from shared_core.middleware import RequestContextMiddleware

CANARY = "c4n4ry-that-sings-0123456789"
UNSENDABLE = {
    "outside of latin-1": f"Bearer {CANARY}\u20ac",
    "a surrogate": f"Bearer {CANARY}\udc80",
    "a line break": f"Bearer {CANARY}\r\nX-Admin: 1",
    "a bare line feed": f"Bearer {CANARY}\n",
    "a NUL": f"Bearer {CANARY}\x00",
    "a control character": f"Bearer {CANARY}\x1b[2J",
    "a deletion": f"Bearer {CANARY}\x7f",
    "an edge": f" Bearer {CANARY}",
    "another edge": f"Bearer {CANARY}\t",
    "nothing but white space": "   ",
    "too long": f"Bearer {CANARY}{'x' * 8192}",
}


@pytest.fixture(autouse=True)
def own(settings):
    settings.SERVICE_AUTH_TOKEN = "own"


def serve(client, **headers):
    """Let a view call another service for a request with these headers; return its response, or the error."""
    answers = []

    def view(request):
        try:
            answers.append(client.get("/x"))
        except ServiceError as error:
            answers.append(error)
        return HttpResponse()

    request = RequestFactory().get("/")
    request.META.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    RequestContextMiddleware(view)(request)
    return answers[0]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("what", UNSENDABLE)
def test_an_authorization_that_cannot_be_sent_is_an_error_and_nothing_is_sent(make, recorder, what, capture_logs):
    client = make("http://user:8000", service="user", token=forward_user(), transport=recorder)
    error = serve(client, authorization=UNSENDABLE[what], x_request_id="request-0123456789")

    assert isinstance(error, TokenError)
    assert recorder.requests == []
    assert (error.method, error.service, error.url) == ("GET", "user", "http://user:8000/x")
    assert (error.request_id, error.attempts) == ("request-0123456789", 0)
    texts = [str(error), pickle.dumps(error).decode("latin-1"), str(capture_logs), repr(error.__cause__)]
    assert not any(CANARY in text for text in texts)
    assert [line["level"] for line in capture_logs if line["logger"] == "shared_core.http"] == ["WARNING"]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    "value", ["Bearer a", "Basic YW5u", 'Digest username="Ann", uri="/"', "Bearer \xe4\xff", f"Bearer {'x' * 8185}"]
)
def test_one_that_can_goes_on_as_it_is(make, recorder, value):
    serve(make("http://user:8000", token=forward_user(), transport=recorder), authorization=value)

    assert recorder.requests[0].headers["Authorization"] == value
    assert recorder.requests[0].headers["X-Service-Authorization"] == "Bearer own"


@pytest.mark.django_db(databases="__all__")
def test_where_it_is_not_needed_it_is_no_error(make, recorder):
    bad = UNSENDABLE["a line break"]
    serve(make("http://user:8000", token="mine", transport=recorder), authorization=bad)
    by_hand = make("http://user:8000", token=forward_user(), headers={"Authorization": "Own"}, transport=recorder)
    serve(by_hand, authorization=bad)
    stranger = HTTPClient(token=forward_user(), transport=recorder)
    serve(_At(stranger, "https://stranger.example.com"), authorization=bad)

    assert [request.headers.get("Authorization") for request in recorder.requests] == ["Bearer mine", "Own", None]


class _At:
    def __init__(self, client, base):
        self._client, self._base = client, base

    def get(self, path):
        return self._client.get(self._base + path)


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("name", ["x_request_id", "traceparent", "x_request_deadline"])
@pytest.mark.parametrize("what", UNSENDABLE)
def test_no_other_header_goes_on_as_it_came(make, recorder, name, what):
    response = serve(make("http://user:8000", transport=recorder), **{name: UNSENDABLE[what]})

    assert response.status_code == 200
    headers = recorder.requests[0].headers
    assert CANARY not in str(headers)
    assert is_request_id(headers["X-Request-ID"])


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("who", [{"authorization": "Bearer user"}, {}], ids=["a person", "nobody"])
def test_a_person_who_hangs_up_does_not_make_the_view_go_on_in_the_services_name(make, recorder, who):
    """Under ASGI the request is cancelled. The thread of its view is not."""
    client = make("http://user:8000", token=forward_user(), transport=recorder)
    began, cancelled, ended = (threading.Event() for _ in range(3))
    errors = []

    async def view(request):
        return await asyncio.to_thread(work)

    def work():
        began.set()
        cancelled.wait(10)
        try:
            client.delete("/accounts/7")
        except ServiceError as error:
            errors.append(error)
        ended.set()

    async def serve_and_hang_up():
        request = RequestFactory().get("/", headers=who)
        task = asyncio.create_task(RequestContextMiddleware(view)(request))
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        cancelled.set()
        await asyncio.to_thread(ended.wait, 10)

    asyncio.run(serve_and_hang_up())

    assert [type(error) for error in errors] == ([TokenError] if who else [])
    assert len(recorder.requests) == (0 if who else 1)


GATEWAY, CRON = "Bearer gateway-token-0123456789", "Bearer cron-token-0123456789"
KEY = "a shared secret of more than 32 bytes"


@pytest.fixture
def accepting(settings):
    tokens = {"gateway": GATEWAY, "cron": CRON}
    settings.SERVICE_ACCEPTED_TOKENS = {name: [token.removeprefix("Bearer ")] for name, token in tokens.items()}
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = KEY, ["HS256"]
    settings.SERVICE_JWT_AUDIENCE, settings.SERVICE_JWT_ISSUER = "user", "ticket"


def by_the_view(view):
    return service_auth_required()(view)


def by_the_middleware(view):
    return ServiceAuthMiddleware(view)


def by_a_framework(view):
    def guarded(request):
        assert ServiceAuth()(request)
        return view(request)

    return guarded


def by_nobody(view):
    """An open path, or code that runs before the guard, for example a middleware."""
    return view


GUARDS = [by_the_view, by_the_middleware, by_a_framework, by_nobody]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.usefixtures("accepting")
class TestOnlyAPersonsAuthorizationGoesOn:
    def forwarded(self, client, recorder, guard=by_nobody, **headers):
        def view(request):
            client.get("/x")
            return HttpResponse()

        request = RequestFactory().get("/")
        request.META.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
        assert RequestContextMiddleware(guard(view))(request).status_code == 200
        assert recorder.requests[-1].headers["X-Service-Authorization"] == "Bearer own"
        return recorder.requests[-1].headers.get("Authorization")

    @pytest.fixture
    def client(self, make, recorder):
        return make("http://user:8000", token=forward_user(), transport=recorder)

    @pytest.mark.parametrize("guard", GUARDS)
    def test_the_token_of_the_calling_service_does_not(self, client, recorder, guard):
        jwt = f"Bearer {ServiceToken('ticket', 'user', KEY).mint().token}"

        for token in (GATEWAY, CRON, GATEWAY.replace("Bearer ", "bearer  "), jwt):
            assert self.forwarded(client, recorder, guard, authorization=token) is None
            # Next to another one, as where a service passes on what it got.
            both = {"x_service_authorization": GATEWAY, "authorization": token}
            assert self.forwarded(client, recorder, guard, **both) is None
        assert self.forwarded(client, recorder, guard, authorization=GATEWAY, x_service_authorization="") is None

    @pytest.mark.parametrize("guard", GUARDS)
    def test_a_persons_does(self, client, recorder, guard):
        headers = {"x_service_authorization": GATEWAY, "authorization": "Bearer ann"}

        assert self.forwarded(client, recorder, guard, **headers) == "Bearer ann"

    @pytest.mark.parametrize("accepted", [None, {}])
    def test_where_no_service_is_accepted_each_authorization_is_a_persons(self, client, recorder, settings, accepted):
        settings.SERVICE_ACCEPTED_TOKENS, settings.SERVICE_JWT_KEY = accepted, None

        assert self.forwarded(client, recorder, authorization=GATEWAY) == GATEWAY

    def test_a_jwt_that_expires_while_its_request_is_served_does_not(self, client, recorder, monkeypatch):
        token = f"Bearer {ServiceToken('ticket', 'user', KEY).mint().token}"

        def expires(view):
            def later(request):
                monkeypatch.setattr(callers, "is_of_service", lambda _: False)
                return view(request)

            return service_auth_required()(later)

        assert self.forwarded(client, recorder, expires, authorization=token) is None

    def test_one_that_is_of_another_request_does_not_change_what_goes_on(self, client, recorder):
        def another(view):
            def first(request):
                other = RequestFactory().get("/", headers={"Authorization": GATEWAY})
                assert service_auth_required()(lambda _: HttpResponse())(other).status_code == 200
                return view(request)

            return first

        assert self.forwarded(client, recorder, another, authorization="Bearer ann") == "Bearer ann"

    def test_nothing_does_where_it_is_unknown_which_services_are_accepted(self, client, recorder, settings):
        settings.SERVICE_ACCEPTED_TOKENS = "gateway=gateway-token-0123456789"

        with pytest.raises(ImproperlyConfigured):
            self.forwarded(client, recorder, authorization=GATEWAY)
        assert recorder.requests == []
