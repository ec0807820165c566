"""A call inside transaction.atomic keeps a pooled database connection from everybody else."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from shared_core.clients import CallInsideTransaction, ClientCredentials
from tests.clients.server import answer_json

MESSAGE = "Calling %s inside transaction.atomic"


def warnings(caplog):
    return [record for record in caplog.records if record.msg.startswith(MESSAGE)]


@pytest.mark.django_db
def test_a_call_inside_atomic_logs_a_warning_with_advice(client, caplog):
    with transaction.atomic():
        client.get("/x")

    assert len(warnings(caplog)) == 1
    assert "transaction.on_commit" in warnings(caplog)[0].getMessage()
    assert (warnings(caplog)[0].peer_service, warnings(caplog)[0].database) == ("user", "default")


@pytest.mark.django_db
def test_the_transaction_of_a_test_case_is_not_warned_about(client, caplog):
    client.get("/x")

    assert warnings(caplog) == []


@pytest.mark.django_db(transaction=True)
def test_a_call_in_on_commit_is_not_warned_about(client, caplog):
    with transaction.atomic():
        transaction.on_commit(lambda: client.get("/x"))

    assert warnings(caplog) == []


@pytest.mark.django_db(databases=["default", "archive"])
def test_a_transaction_on_another_database_is_warned_about(client, caplog):
    with transaction.atomic(using="archive"):
        client.get("/x")

    assert warnings(caplog)[0].database == "archive"


@pytest.mark.django_db
def test_the_setting_raise_refuses_a_call_before_it_is_sent(client, server, settings, caplog):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "raise"
    with transaction.atomic(), pytest.raises(CallInsideTransaction, match=r"inside transaction\.atomic") as caught:
        client.post("/x")

    assert server.received == []
    assert (caught.value.service, caught.value.method, caught.value.attempts) == ("user", "POST", 0)


@pytest.mark.django_db
def test_the_setting_allow_turns_the_warning_off(client, settings, caplog):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "allow"
    with transaction.atomic():
        client.get("/x")

    assert warnings(caplog) == []


@pytest.mark.django_db
def test_an_invalid_setting_is_named_with_the_valid_values(client, settings):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "maybe"

    with transaction.atomic(), pytest.raises(ImproperlyConfigured, match=r'must be "warn", "raise" or "allow"'):
        client.get("/x")


@pytest.mark.django_db
def test_a_token_request_of_the_call_logs_no_second_warning(make, server, other, caplog):
    other.script(answer_json({"access_token": "abc", "token_type": "Bearer"}))
    client = make(server.url, token=ClientCredentials(f"{other.url}/token", "ticket", "s3cret"))
    with transaction.atomic():
        client.get("/x")

    assert len(warnings(caplog)) == 1
