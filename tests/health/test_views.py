"""What the probes answer, to whom, and past what stands in a probe's way."""

import asyncio
import threading
import time
from types import ModuleType

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from shared_core.clients import CircuitBreaker
from shared_core.clients.circuits import ServiceHealth, registry
from shared_core.health import readiness_check
from shared_core.health.probes import registered
from shared_core.origins import origin_of

HOSTS = ["10.0.0.7:8000", "service.example.org"]
TOKEN = "ticket-token-0123456789"

ready_at = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def _forget_checks(monkeypatch):
    for name in list(registered):
        monkeypatch.delitem(registered, name)
    yield
    registered.clear()


@pytest.fixture
def broken():
    """A check that fails, and whose reason holds a secret."""

    @readiness_check("search")
    def search_answers():
        raise ConnectionError("https://ada:hunter2@search:9200 refused")


def urls(*patterns):
    module = ModuleType("urls")
    module.urlpatterns = list(patterns)
    return module


def test_health_passes_without_running_a_check_or_query(client, broken):
    response = client.get("/health/")  # pytest-django forbids it the database

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


@ready_at
def test_a_service_whose_database_answers_is_ready(client):
    response = client.get("/ready/")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


@ready_at
def test_an_unauthenticated_probe_gets_only_the_names_of_failed_checks(client, broken):
    response = client.get("/ready/", headers={"Authorization": "Bearer nobodys-token-0123456789"})

    assert (response.status_code, response.json()) == (503, {"status": "unavailable", "failed": ["search"]})


@ready_at
def test_hanging_checks_run_concurrently(client):
    over = threading.Event()
    for name in ("one", "two", "three"):
        readiness_check(name, timeout=1.0)(lambda: over.wait(30))
    started = time.monotonic()
    try:
        response = client.get("/ready/")
        waited = time.monotonic() - started
    finally:
        over.set()

    assert response.json() == {"status": "unavailable", "failed": ["one", "two", "three"]}
    assert waited < 2.8  # one after the other they take 3


@ready_at
def test_with_debug_the_details_are_shown_without_secrets(client, settings, broken):
    settings.DEBUG = True
    circuit = registry.circuit(origin_of("http://user-service:8000"), CircuitBreaker(failures=1), time.monotonic())
    circuit.release(circuit.acquire(time.monotonic()), ServiceHealth.DOWN, time.monotonic())
    answer = client.get("/ready/").json()

    assert {name: check["ok"] for name, check in answer["checks"].items()} == {
        **dict.fromkeys(["database", "migrations", "database:archive", "migrations:archive"], True),
        "search": False,
    }
    assert all(0 <= check["ms"] < 5000 for check in answer["checks"].values())
    assert answer["checks"]["search"]["reason"] == "ConnectionError: https://***@search:9200 refused"
    assert answer["origins"]["http://user-service:8000"]["circuit"] == "open"


@ready_at
def test_an_open_circuit_does_not_fail_readiness(client):
    circuit = registry.circuit(origin_of("http://user-service:8000"), CircuitBreaker(failures=1), time.monotonic())
    circuit.release(circuit.acquire(time.monotonic()), ServiceHealth.DOWN, time.monotonic())

    assert client.get("/ready/").status_code == 200


@ready_at
def test_an_accepted_service_gets_the_details(client, settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TOKEN]}

    assert "checks" in client.get("/ready/", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert "checks" not in client.get("/ready/", headers={"Authorization": f"Bearer {TOKEN[:-1]}8"}).json()


@ready_at
def test_a_probe_that_accepts_text_gets_text(client, settings, broken):
    told = client.get("/ready/", headers={"Accept": "text/plain"})
    settings.DEBUG = True
    details = client.get("/ready/", headers={"Accept": "text/plain"}).content.decode().splitlines()

    assert (told.status_code, told.content) == (503, b"unavailable: search\n")
    assert told.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert details[0] == "unavailable: search"
    assert details[1].startswith("database ")
    assert details[1].endswith(" ms ok")
    assert details[-1].endswith("ConnectionError: https://***@search:9200 refused")
    assert client.get("/health/", headers={"Accept": "text/plain"}).content == b"ok\n"


@ready_at
@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "text/plain, application/json", "text/html", "no/;,", ""]
)
def test_other_accept_headers_get_json(client, accept):
    assert client.get("/ready/", headers={"Accept": accept}).json() == {"status": "ok"}


@ready_at
def test_a_probe_answers_head_and_refuses_post(client, broken):
    asked, head = client.get("/ready/"), client.head("/ready/")

    assert (head.status_code, head.content) == (503, b"")
    assert head.headers["Content-Length"] == str(len(asked.content))
    assert client.post("/health/").status_code == client.post("/ready/").status_code == 405


@ready_at
@pytest.mark.parametrize("at", ["/health/", "/ready/"])
def test_a_probe_bypasses_allowed_hosts_the_https_redirect_and_tokens(client, settings, at):
    settings.ALLOWED_HOSTS = ["service.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "shared_core.auth.ServiceAuthMiddleware",
    ]

    asked = [[client.get(path, headers={"Host": host}).status_code for path in (at, "/ids/")] for host in HOSTS]

    assert asked == [[200, 400], [200, 301]]


@ready_at
def test_the_middleware_answers_probes_without_included_urls(client, settings):
    settings.ROOT_URLCONF = urls(path("", lambda request: HttpResponse()))

    assert [client.get(at).status_code for at in ("/health/", "/ready/", "/internal/health/")] == [200, 200, 404]


@ready_at
def test_probes_included_under_another_path_answer_there(client, settings):
    settings.ROOT_URLCONF = urls(path("internal/", include("shared_core.urls")))
    settings.SECURE_SSL_REDIRECT = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.security.SecurityMiddleware"]

    assert client.get("/internal/ready/").json() == {"status": "ok"}


@ready_at
def test_included_urls_answer_probes_without_the_middleware(settings):
    settings.MIDDLEWARE = []

    assert Client().get("/ready/").json() == Client().get("/health/").json() == {"status": "ok"}


def test_a_services_own_health_view_takes_precedence(client, settings):
    settings.ROOT_URLCONF = urls(path("health/", lambda request: HttpResponse("mine")))

    assert client.get("/health/").content == b"mine"


@ready_at
def test_a_probe_under_asgi_does_not_block_other_requests():
    @readiness_check("slow", timeout=0.5)
    def slow():
        time.sleep(0.6)

    async def ask():
        client = AsyncClient()
        probe = asyncio.create_task(client.get("/ready/", headers={"Host": "10.0.0.7"}))
        await asyncio.sleep(0.1)
        other = await client.get("/ids/")
        return other.status_code, probe.done(), await probe

    status, was_done, probe = asyncio.run(ask())

    assert (status, was_done) == (200, False)
    assert (probe.status_code, probe.json()["failed"]) == (503, ["slow"])
