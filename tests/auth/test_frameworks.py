"""The guards in the API frameworks that services use: django-ninja and Django REST framework, as they are."""

import functools

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from ninja import NinjaAPI
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from shared_core.auth import ServiceAuth, service_auth_required
from shared_core.idempotency import idempotent

TICKET, FILE = "ticket-token-0123456789", "file-token-0123456789"

api = NinjaAPI(auth=ServiceAuth("ticket"), urls_namespace="services")


@api.get("/users")
def users(request):
    return {"service": request.service, "auth": str(request.auth)}


class Users(APIView):
    authentication_classes = [functools.partial(ServiceAuth, "ticket")]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"service": request._request.service, "auth": str(request.user)})


@service_auth_required("ticket")
@idempotent
def notify(request):
    return HttpResponse(status=201)


urlpatterns = [path("ninja/", api.urls), path("rest/users", Users.as_view()), path("notify", notify)]


@pytest.fixture(autouse=True)
def _service(settings):
    settings.ROOT_URLCONF = __name__
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TICKET], "file": [FILE]}
    settings.REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}


def get(at, token=None):
    client = Client(headers={"Authorization": f"Bearer {token}"} if token else None)
    return client.get(at)


@pytest.mark.parametrize("at", ["/ninja/users", "/rest/users"])
class TestEachFramework:
    def test_an_accepted_service_gets_200_and_is_request_service(self, at):
        response = get(at, TICKET)

        assert (response.status_code, response.json()) == (200, {"service": "ticket", "auth": "ticket"})

    def test_a_call_without_an_accepted_token_is_401(self, at):
        assert get(at).status_code == get(at, TICKET[:-1] + "8").status_code == 401

    def test_a_token_of_another_service_is_403(self, at):
        assert get(at, FILE).status_code == 403


def test_rest_framework_answers_401_with_www_authenticate():
    assert get("/rest/users").headers["WWW-Authenticate"] == 'Bearer realm="services"'
