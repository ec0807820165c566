import datetime as dt
import io
import os
import signal

import pytest
from django.core.management import CommandError, call_command
from django.db.models.signals import post_delete
from django.utils import timezone

from shared_core.idempotency.models import StoredResponse
from shared_core.management.commands import purge_idempotency_keys
from tests.terminal import Terminal


def keep(scope, days):
    StoredResponse.objects.create(
        scope=scope, status=201, body=b"", created_at=timezone.now() - dt.timedelta(days=days)
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "left"), [([], ["new"]), (["--older-than", "30d"], ["new", "old"]), (["--older-than", "1s"], [])]
)
def test_responses_older_than_the_limit_are_deleted(capsys, options, left):
    keep("new", days=1)
    keep("old", days=8)

    call_command("purge_idempotency_keys", *options)

    assert sorted(StoredResponse.objects.values_list("pk", flat=True)) == left
    assert capsys.readouterr().out == f"{2 - len(left)} deleted\n"


@pytest.mark.django_db
def test_responses_are_deleted_in_batches(monkeypatch, django_assert_num_queries, capsys):
    monkeypatch.setattr(purge_idempotency_keys, "_BATCH", 2)
    for number in range(5):
        keep(str(number), days=8)

    with django_assert_num_queries(7):  # three times which and DELETE, and which are left
        call_command("purge_idempotency_keys")

    assert capsys.readouterr().out == "5 deleted\n"


@pytest.mark.django_db
def test_a_terminal_gets_a_progress_bar_that_is_cleared(monkeypatch):
    monkeypatch.setattr(purge_idempotency_keys, "_BATCH", 2)
    for number in range(3):
        keep(str(number), days=8)
    out, err = io.StringIO(), Terminal()

    call_command("purge_idempotency_keys", stdout=out, stderr=err)

    first, second, gone = err.getvalue().lstrip("\r").split("\r")[:3]
    assert first.startswith("answers [#############.......] 2/3  67%")
    assert second.startswith("answers [####################] 3/3 100%")
    assert gone.strip() == ""
    assert out.getvalue() == "3 deleted\n"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("times", "left"), [(1, 3), (2, 5)])
def test_ctrl_c_finishes_the_batch_and_a_second_one_stops_at_once(monkeypatch, times, left):
    monkeypatch.setattr(purge_idempotency_keys, "_BATCH", 2)
    for number in range(5):
        keep(str(number), days=8)
    signals = [signal.SIGINT] * times
    err = io.StringIO()

    def interrupt(**kwargs):
        while signals:
            os.kill(os.getpid(), signals.pop())

    post_delete.connect(interrupt, sender=StoredResponse)
    try:
        with pytest.raises(SystemExit) as raised:
            call_command("purge_idempotency_keys", stderr=err)
    finally:
        post_delete.disconnect(interrupt, sender=StoredResponse)

    assert raised.value.code == 130
    assert err.getvalue() == f"Stopped with {5 - left} deleted: run it again to go on.\n"
    assert StoredResponse.objects.count() == left


def test_an_invalid_duration_is_named(monkeypatch):
    with pytest.raises(CommandError, match="--older-than soon: a number and s, m, h, d or w"):
        call_command("purge_idempotency_keys", "--older-than", "soon")


def test_without_its_app_the_error_names_installed_apps(monkeypatch):
    def nowhere(*args):
        raise LookupError

    monkeypatch.setattr(purge_idempotency_keys.apps, "get_model", nowhere)

    with pytest.raises(CommandError, match=r'"shared_core\.idempotency" is not in INSTALLED_APPS'):
        call_command("purge_idempotency_keys")
