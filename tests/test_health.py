import pytest
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor


def test_health_touches_nothing(client):
    response = client.get("/health/")  # pytest-django forbids it the database

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db(databases="__all__")
def test_a_service_whose_database_answers_is_ready(client):
    response = client.get("/ready/")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


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
