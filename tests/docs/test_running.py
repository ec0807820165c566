"""The code on docs/running.md runs."""

import re
from pathlib import Path

import pytest
from django.test import RequestFactory

from shared_core.databases import advisory_lock
from shared_core.health.probes import registered
from tests.databases.test_traps import execute

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "running.md"
TOKEN = "ticket-token-0123456789"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """What the page's code defines, run as one module."""
    monkeypatch.setenv("TICKET_JWT_KEY", "Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6")
    before = dict(registered)
    names = {"STORAGE": tmp_path, "total_of_all_tickets": lambda: execute("default", "SHOW statement_timeout")}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(PAGE), "exec"), names)  # the project's own page
    yield names
    registered.clear()
    registered.update(before)


@pytest.mark.django_db(transaction=True)
def test_close_the_month_runs_with_its_settings_and_its_lock(page):
    from django.db import connections

    assert page["close_the_month"]() == "2min"
    assert execute("default", "SHOW statement_timeout") == "0"

    other = connections["default"].copy()
    connections["other"] = other
    connections.settings["other"] = other.settings_dict
    try:
        with advisory_lock("close-the-month", using="other"):
            assert page["close_the_month"]() is None
    finally:
        other.close()
        del connections.settings["other"]
        del connections["other"]


@pytest.mark.django_db
def test_notify_knows_its_caller_and_runs_once_for_a_key(page, settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TOKEN]}
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "a-key"}
    answers = [page["notify"](RequestFactory().post("/", headers=headers)) for _ in range(2)]

    assert {answer.content for answer in answers} == {b'{"told_by": "ticket"}'}
    assert page["notify"](RequestFactory().post("/")).status_code == 401


@pytest.mark.django_db
def test_a_custom_idempotency_caller_survives_a_renewed_user_token(page, settings):
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": [TOKEN]}

    def ask(person_id, token):
        headers = {"X-Service-Authorization": f"Bearer {TOKEN}", "Authorization": token, "Idempotency-Key": "a-key"}
        request = RequestFactory().post("/", headers=headers)
        request.person_id = person_id
        return page["open_account"](request)

    answers = [ask("ann", "Bearer first"), ask("ann", "Bearer renewed"), ask("eve", "Bearer first")]

    assert [answer.content for answer in answers] == [b'{"for": "ann"}', b'{"for": "ann"}', b'{"for": "eve"}']
    assert ["Idempotent-Replayed" in answer.headers for answer in answers] == [False, True, False]


@pytest.mark.django_db
def test_tenants_by_host_have_separate_idempotency_keys(page, settings):
    settings.ALLOWED_HOSTS = ["a.example.org", "b.example.org"]

    def ask(host):
        return page["order"](RequestFactory().post("/", headers={"Idempotency-Key": "a-key", "Host": host}))

    answers = [ask(host) for host in ("a.example.org", "b.example.org", "a.example.org")]

    assert [answer.content.decode()[12:13] for answer in answers] == ["a", "b", "a"]
    assert ["Idempotent-Replayed" in answer.headers for answer in answers] == [False, False, True]


def test_the_storage_readiness_check_is_run(page, tmp_path):
    assert registered["storage"].start().wait().failed == {}
    page["STORAGE"] = tmp_path / "gone"
    assert set(registered["storage"].start().wait().failed) == {"storage"}


def test_a_signed_service_token_is_accepted(page, settings):
    settings.SERVICE_JWT_KEY = {"ticket": page["KEY"]}
    settings.SERVICE_JWT_ALGORITHMS = ["HS256"]
    settings.SERVICE_JWT_AUDIENCE = "user"
    from shared_core.auth.callers import caller_of

    token = page["ServiceToken"]("ticket", "user", page["KEY"]).mint().token
    assert caller_of(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})) == "ticket"
