import datetime as dt

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from shared_core.idempotency.models import FirstAnswer
from shared_core.management.commands import purge_idempotency_keys


def keep(scope, days):
    FirstAnswer.objects.create(scope=scope, status=201, body=b"", created_at=timezone.now() - dt.timedelta(days=days))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "left"), [([], ["new"]), (["--older-than", "30d"], ["new", "old"]), (["--older-than", "1s"], [])]
)
def test_what_is_old_is_deleted(capsys, options, left):
    keep("new", days=1)
    keep("old", days=8)

    call_command("purge_idempotency_keys", *options)

    assert sorted(FirstAnswer.objects.values_list("pk", flat=True)) == left
    assert capsys.readouterr().out == f"{2 - len(left)} deleted\n"


@pytest.mark.django_db
def test_it_is_done_in_batches(monkeypatch, django_assert_num_queries, capsys):
    monkeypatch.setattr(purge_idempotency_keys, "_BATCH", 2)
    for number in range(5):
        keep(str(number), days=8)

    with django_assert_num_queries(7):  # three times which and DELETE, and which are left
        call_command("purge_idempotency_keys")

    assert capsys.readouterr().out == "5 deleted\n"


def test_what_is_wrong_is_said(monkeypatch):
    with pytest.raises(CommandError, match="--older-than soon: a number and s, m, h, d or w"):
        call_command("purge_idempotency_keys", "--older-than", "soon")


def test_without_its_app_it_says_so(monkeypatch):
    def nowhere(*args):
        raise LookupError

    monkeypatch.setattr(purge_idempotency_keys.apps, "get_model", nowhere)

    with pytest.raises(CommandError, match=r'"shared_core\.idempotency" is not in INSTALLED_APPS'):
        call_command("purge_idempotency_keys")
