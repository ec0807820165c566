import time

import pytest
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from shared_core.clients import CircuitBreaker
from shared_core.clients.circuits import Verdict, ledger
from shared_core.clients.urls import origin_of


def test_health_touches_nothing(client):
    response = client.get("/health/")  # pytest-django forbids it the database

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db(databases="__all__")
def test_a_service_whose_database_answers_is_ready(client):
    response = client.get("/ready/")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db(databases="__all__")
def test_with_debug_ready_tells_what_is_known_of_the_services_called(client, settings):
    settings.DEBUG = True
    circuit = ledger.circuit(origin_of("http://user-service:8000"), CircuitBreaker(failures=1))
    circuit.leave(circuit.enter(time.monotonic()), Verdict.DOWN, time.monotonic())
    response = client.get("/ready/")

    assert response.status_code == 200  # another service's outage makes this one no less ready
    origin = response.json()["origins"]["http://user-service:8000"]
    assert 9 < origin.pop("retry_after") <= 10
    assert origin == {"circuit": "open", "failures": 1, "retries_left": None}


@pytest.mark.django_db(databases="__all__")
def test_a_probe_may_ask_for_the_head_only_and_may_not_write(client):
    assert client.head("/ready/").status_code == 200
    assert client.post("/health/").status_code == 405


@pytest.mark.django_db(databases="__all__")
def test_a_database_that_is_down_is_named_and_nothing_else_is_told(client, monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise OperationalError("connection to 10.0.0.7 as ada refused")

    monkeypatch.setattr(connections["default"], "cursor", refuse)
    response = client.get("/ready/")

    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "failed": ["database", "migrations"]}
    assert "Readiness check failed" in caplog.text


@pytest.mark.django_db(databases="__all__")
def test_migrations_that_are_not_applied_are_told(client, monkeypatch):
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: [("users", False)])

    assert client.get("/ready/").json() == {"status": "unavailable", "failed": ["migrations"]}
