"""Our client calls, our guard lets it in, over a socket: with tokens from settings, files, and signed ones."""

import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.test import override_settings
from django.urls import path

from shared_core.auth import service_auth_required
from shared_core.clients import Forbidden, HTTPClient, ServiceToken, Unauthorized

KEY, OTHER_KEY = "a shared secret of more than 32 bytes", "another secret of more than 32 bytes!"


@service_auth_required("ticket")
def whoami(request):
    return JsonResponse({"service": request.service, "user": request.headers.get("Authorization")})


urlpatterns = [path("whoami", whoami)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def service():
    accepted = {
        "ROOT_URLCONF": __name__,
        "ALLOWED_HOSTS": ["127.0.0.1"],
        "SERVICE_JWT_KEY": {"ticket": KEY, "file": OTHER_KEY},
        "SERVICE_JWT_ALGORITHMS": ["HS256"],
        "SERVICE_JWT_AUDIENCE": "user",
        "SERVICE_ACCEPTED_TOKENS": {"ticket": ["ticket-token-0123456789"]},
    }
    with override_settings(**accepted), make_server("127.0.0.1", 0, WSGIHandler(), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(service, token, **options):
    with HTTPClient(service, token=token, retry=None) as client:
        return client.get_json("/whoami", **options)


@pytest.mark.parametrize("token", ["ticket-token-0123456789", ServiceToken("ticket", "user", KEY)])
def test_a_call_with_a_token_or_jwt_of_the_service_is_accepted(service, token):
    assert ask(service, token)["service"] == "ticket"


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (False, Unauthorized),
        ("ticket-token-0123456788", Unauthorized),
        (ServiceToken("ticket", "file", KEY), Unauthorized),  # for another service
        (ServiceToken("ticket", "user", OTHER_KEY), Unauthorized),  # in another's name
        (ServiceToken("file", "user", OTHER_KEY), Forbidden),  # known, and not asked for
    ],
)
def test_a_call_with_a_wrong_or_foreign_token_is_401_or_403(service, token, error):
    with pytest.raises(error):
        ask(service, token)


def test_a_jwt_that_was_accepted_before_is_refused_once_it_expires(service):
    seen = ServiceToken("ticket", "user", KEY, lifetime=2).mint().token
    with override_settings(SERVICE_JWT_LEEWAY=0):
        assert ask(service, seen)["service"] == "ticket"
        time.sleep(3)
        with pytest.raises(Unauthorized):
            ask(service, seen)


def test_a_gateway_sends_its_own_token_and_the_users(service):
    headers = {"X-Service-Authorization": "Bearer ticket-token-0123456789"}

    assert ask(service, "a-persons-token", headers=headers) == {
        "service": "ticket",
        "user": "Bearer a-persons-token",
    }
