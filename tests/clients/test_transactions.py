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
def test_a_call_inside_atomic_warns_and_says_what_to_do(client, caplog):
    with transaction.atomic():
        client.get("/x")

    assert len(warnings(caplog)) == 1
    assert "transaction.on_commit" in warnings(caplog)[0].getMessage()
    assert (warnings(caplog)[0].peer_service, warnings(caplog)[0].database) == ("user", "default")


@pytest.mark.django_db
def test_a_test_cases_own_transaction_does_not_count(client, caplog):
    client.get("/x")

    assert warnings(caplog) == []


@pytest.mark.django_db(transaction=True)
def test_a_call_after_the_commit_is_none_inside(client, caplog):
    with transaction.atomic():
        transaction.on_commit(lambda: client.get("/x"))

    assert warnings(caplog) == []


@pytest.mark.django_db(databases=["default", "archive"])
def test_each_database_counts(client, caplog):
    with transaction.atomic(using="archive"):
        client.get("/x")

    assert warnings(caplog)[0].database == "archive"


@pytest.mark.django_db
def test_the_setting_may_forbid_it_before_anything_is_sent(client, server, settings, caplog):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "raise"
    with transaction.atomic(), pytest.raises(CallInsideTransaction, match=r"inside transaction\.atomic") as caught:
        client.post("/x")

    assert server.received == []
    assert (caught.value.service, caught.value.method, caught.value.attempts) == ("user", "POST", 0)


@pytest.mark.django_db
def test_the_setting_may_allow_it(client, settings, caplog):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "allow"
    with transaction.atomic():
        client.get("/x")

    assert warnings(caplog) == []


@pytest.mark.django_db
def test_a_setting_that_is_none_of_these_is_named(client, settings):
    settings.SHARED_CORE_HTTP_IN_ATOMIC = "maybe"

    with transaction.atomic(), pytest.raises(ImproperlyConfigured, match=r'must be "warn", "raise" or "allow"'):
        client.get("/x")


@pytest.mark.django_db
def test_asking_for_a_token_on_the_way_warns_no_second_time(make, server, other, caplog):
    other.script(answer_json({"access_token": "abc", "token_type": "Bearer"}))
    client = make(server.url, token=ClientCredentials(f"{other.url}/token", "ticket", "s3cret"))
    with transaction.atomic():
        client.get("/x")

    assert len(warnings(caplog)) == 1
