"""Requests with and without tokens, before a view, a whole service, and API frameworks."""

import asyncio
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpResponse
from django.test import AsyncClient, RequestFactory

from shared_core import context
from shared_core.auth import ServiceAuth, ServiceAuthMiddleware, service_auth_required
from shared_core.clients import ServiceToken

TICKET, FILE = "ticket-token-0123456789", "file-token-0123456789"
KEY = "a shared secret of more than 32 bytes"


@pytest.fixture(autouse=True)
def accepted(settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TICKET], "file": [FILE]}


def request(path="/api/v1/users", **headers):
    return RequestFactory().get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@service_auth_required("ticket")
def users(request):
    return HttpResponse(f"{request.service} {context.current()['caller']}")


@service_auth_required()
async def users_async(request):
    return HttpResponse(f"{request.service} {context.current()['caller']}")


def test_a_named_service_is_accepted_and_is_request_service():
    response = users(request(authorization=f"Bearer {TICKET}"))

    assert (response.status_code, response.content) == (200, b"ticket ticket")
    assert context.current() == {}


def test_a_token_of_another_service_is_forbidden(capture_logs):
    response = users(request(authorization=f"Bearer {FILE}"))

    assert (response.status_code, response.content) == (403, b'{"error": "This service may not call this."}')
    (said,) = [record for record in capture_logs if record["logger"] == "shared_core.auth"]
    assert (said["level"], said["message"]) == ("WARNING", "Caller refused")
    assert said["fields"] == {"status": 403, "reason": "file is not one of ticket", "path": "/api/v1/users"}


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, 'Bearer realm="services"'),
        ("", 'Bearer realm="services"'),
        (f"Bearer {TICKET[:-1]}8", 'Bearer realm="services", error="invalid_token"'),
        (f"Bearer {TICKET}, Bearer {TICKET}", 'Bearer realm="services", error="invalid_token"'),
        (f"Basic {TICKET}", 'Bearer realm="services", error="invalid_token"'),
        (TICKET, 'Bearer realm="services", error="invalid_token"'),
        (f"Bearer {TICKET}\x00", 'Bearer realm="services", error="invalid_token"'),
        ("Bearer " + "x" * 100_000, 'Bearer realm="services", error="invalid_token"'),
        ("Bearer ٣٣٣٣٣٣٣٣٣٣٣٣٣٣٣٣٣", 'Bearer realm="services", error="invalid_token"'),
        ("Bearer " + "=" * 50, 'Bearer realm="services", error="invalid_token"'),
        ("Bearer a.b.c", 'Bearer realm="services", error="invalid_token"'),
    ],
)
def test_a_missing_or_wrong_token_is_401_without_a_reason(header, challenge, capture_logs):
    response = users(request() if header is None else request(authorization=header))

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == challenge
    assert response.content == b'{"error": "A service\'s token is needed."}'
    assert TICKET[:-1] not in str(capture_logs)


def test_without_accepted_tokens_every_caller_is_401(settings):
    del settings.SERVICE_ACCEPTED_TOKENS

    assert users(request(authorization=f"Bearer {TICKET}")).status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_bearer_scheme_is_case_insensitive(scheme):
    assert users(request(authorization=f"{scheme} {TICKET}")).status_code == 200


def test_x_service_authorization_takes_precedence_over_authorization():
    user = f"Bearer {FILE}"

    assert users(request(authorization=user, x_service_authorization=f"Bearer {TICKET}")).status_code == 200
    assert users(request(authorization=f"Bearer {TICKET}", x_service_authorization="Bearer nobodys")).status_code == 401


def test_jwts_and_static_tokens_are_accepted_at_the_same_time(settings):
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = KEY, ["HS256"]
    settings.SERVICE_JWT_AUDIENCE, settings.SERVICE_JWT_ISSUER = "user", ["ticket", "file"]
    token = ServiceToken("ticket", "user", KEY).mint().token

    assert users(request(authorization=f"Bearer {token}")).content == b"ticket ticket"
    assert users(request(authorization=f"Bearer {TICKET}")).content == b"ticket ticket"
    settings.SERVICE_JWT_AUDIENCE = "communication"
    assert users(request(authorization=f"Bearer {token}")).status_code == 401


def test_invalid_settings_raise_instead_of_accepting_callers(settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": "not a list"}

    with pytest.raises(ImproperlyConfigured):
        users(request(authorization="Bearer not"))


def test_an_async_view_gets_its_caller_and_refuses_others():
    async def ask(token):
        return await users_async(request(authorization=f"Bearer {token}"))

    assert asyncio.run(ask(FILE)).content == b"file file"
    assert asyncio.run(ask("nobodys")).status_code == 401


def test_an_async_view_refuses_a_service_that_it_does_not_name():
    @service_auth_required("ticket")
    async def view(request):
        return HttpResponse()

    statuses = [asyncio.run(view(request(authorization=f"Bearer {token}"))).status_code for token in (TICKET, FILE)]

    assert statuses == [200, 403]


def test_a_header_that_is_too_long_is_no_bearer_token(capture_logs):
    users(request(authorization="Bearer " + "x" * 8186))

    assert [record["fields"]["reason"] for record in capture_logs] == ["no bearer token"]


@pytest.mark.parametrize("wrong", [service_auth_required, lambda _: service_auth_required(7)])
def test_a_decorator_without_service_names_is_a_type_error(wrong):
    with pytest.raises(TypeError, match="@service_auth_required"):
        wrong(users)


class TestMiddleware:
    @pytest.fixture
    def guarded(self, settings, client):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "shared_core.auth.ServiceAuthMiddleware"]
        return client

    def test_every_path_without_an_accepted_token_is_401(self, guarded):
        assert guarded.get("/ids/").status_code == 401
        assert guarded.get("/nowhere/").status_code == 401
        assert guarded.get("/ids/", headers={"Authorization": f"Bearer {TICKET}"}).status_code == 200
        assert guarded.get("/nowhere/", headers={"Authorization": f"Bearer {TICKET}"}).status_code == 404

    def test_probes_need_no_token_and_similar_paths_do(self, guarded):
        assert guarded.get("/health/").status_code == 200
        for path in ("/health/x", "//health/", "/ids/health/", "/health/../ids/", "/ids/?/health/"):
            assert guarded.get(path).status_code == 401

    def test_exempt_paths_need_no_token(self, guarded, settings):
        settings.SERVICE_AUTH_EXEMPT_PATHS = ["/items/", "/ids"]

        assert guarded.get("/items/7/").status_code == 200
        assert guarded.get("/ids/").status_code == 401
        settings.SERVICE_AUTH_EXEMPT_PATHS = "/items/"
        with pytest.raises(ImproperlyConfigured, match="must be a list"):
            guarded.get("/items/7/")

    def test_the_access_line_names_the_caller(self, guarded, capture_logs):
        guarded.get("/ids/", headers={"Authorization": f"Bearer {TICKET}"})
        guarded.get("/ids/")

        lines = [record["fields"] for record in capture_logs if record["logger"] == "shared_core.access"]
        assert [line.get("caller") for line in lines] == ["ticket", None]

    def test_asgi_requests_are_guarded_like_wsgi_requests(self, guarded):
        async def ask():
            client = AsyncClient()
            statuses = [(await client.get("/ids/", headers={"Authorization": f"Bearer {TICKET}"})).status_code]
            return [*statuses, (await client.get("/ids/")).status_code, (await client.get("/health/")).status_code]

        assert asyncio.run(ask()) == [200, 401, 200]

    def test_the_callers_name_is_bound_for_the_whole_service(self):
        def bound(request):
            return HttpResponse(context.current().get("caller", "nobody"))

        async def bound_async(request):
            return bound(request)

        asked = request(authorization=f"Bearer {TICKET}")
        responses = [ServiceAuthMiddleware(bound)(asked), asyncio.run(ServiceAuthMiddleware(bound_async)(asked))]

        assert [response.content for response in responses] == [b"ticket", b"ticket"]
        assert context.current() == {}

    def test_exempt_paths_are_relative_to_the_script_name(self, settings):
        settings.SERVICE_AUTH_EXEMPT_PATHS = ["/public/"]
        middleware = ServiceAuthMiddleware(lambda request: HttpResponse())

        def ask(path):
            return middleware(RequestFactory().get(path, SCRIPT_NAME="/api")).status_code

        assert [ask("/public/"), ask("/public/x"), ask("/other/")] == [200, 200, 401]

    def test_a_views_own_guard_holds_behind_the_middleware(self):
        middleware = ServiceAuthMiddleware(users)

        assert middleware(request(authorization=f"Bearer {TICKET}")).status_code == 200
        assert middleware(request(authorization=f"Bearer {FILE}")).status_code == 403


class TestApiFrameworks:
    def test_service_auth_is_an_auth_callable_for_django_ninja(self):
        auth = ServiceAuth("ticket")

        asked = request(authorization=f"Bearer {TICKET}")
        assert str(auth(asked)) == asked.service == "ticket"
        assert auth(request()) is None
        with pytest.raises(PermissionDenied):
            auth(request(authorization=f"Bearer {FILE}"))

    def test_service_auth_is_an_authentication_class_for_rest_framework(self):
        auth = ServiceAuth()
        asked = SimpleNamespace(_request=request(authorization=f"Bearer {TICKET}"))

        user, credentials = auth.authenticate(asked)

        assert (str(user), user.pk, user.is_authenticated, user.is_anonymous, credentials) == (
            "ticket", "ticket", True, False, None,
        )  # fmt: skip
        assert auth.authenticate(SimpleNamespace(_request=request())) is None
        assert auth.authenticate_header(asked) == 'Bearer realm="services"'
