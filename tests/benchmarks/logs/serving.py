"""What does the middleware add to a request, its access line included?"""

import io
import logging
import statistics
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from shared_core.logs import TextFormatter
from tests.benchmarks.figures import Figure, Ratios, Result
from tests.benchmarks.logs.tables import COLUMNS, absolute
from tests.benchmarks.turns import Work, in_turn

ADDED = 1.1  # of what Django takes for a request by itself
WITH, WITHOUT = "RequestContextMiddleware", "no middleware"


def answer(request: HttpRequest, number: int) -> HttpResponse:
    """Answer as little as a view can."""
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("api/v1/tickets/<int:number>", answer)]


def middleware(runs: int, count: int) -> Result:
    """Compare requests through Django's WSGI handler, from the environment to the closed response."""
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
    django.setup()
    access = logging.getLogger("shared_core.access")
    access.setLevel(logging.INFO)
    access.propagate = False
    access.addHandler(handler := logging.StreamHandler(_Null()))
    handler.setFormatter(TextFormatter(service="ticket"))
    stacks: dict[str, list[str]] = {WITH: [f"shared_core.middleware.{WITH}"], WITHOUT: []}
    taken = in_turn({name: _serving(stack, count) for name, stack in stacks.items()}, runs)

    added = [ours - theirs for ours, theirs in zip(taken[WITH].wall, taken[WITHOUT].wall, strict=True)]
    found = Ratios(added, taken[WITHOUT].wall).figure("the middleware adds, beside Django's empty stack", ADDED)
    each = Figure(what="the middleware adds", figure=statistics.median(added) / count * 1e6, unit=" us")
    lines = [
        f"middleware, {runs} rounds of {count} requests:",
        COLUMNS.format("added, beside an empty stack", found.spread, found.said),
        COLUMNS.format("added", f"{each.figure:.2f}{each.unit}", ""),
    ]
    return Result("middleware", [*lines, *absolute(taken, count, "request")], [found, each])


class _Null:
    def write(self, text: str) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Likewise."""


def _serving(stack: list[str], count: int) -> Work:
    with override_settings(MIDDLEWARE=stack):
        handler = WSGIHandler()

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        assert status == "200 OK"

    def work() -> None:
        for number in range(count):
            response = handler(_environment(number), start_response)
            b"".join(response)
            response.close()

    def prepare() -> Callable[[], None]:
        return work

    return prepare


def _environment(number: int) -> dict[str, Any]:
    """Return what a server makes of a request that came with ids."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/api/v1/tickets/{number}",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "ticket-service",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "ticket-service",
        "HTTP_X_REQUEST_ID": f"0f8fad5bd9cb469fa165{number:012}",
        "HTTP_TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
