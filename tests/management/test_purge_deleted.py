import datetime as dt
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.models.signals import post_delete
from django.utils import timezone

import tests
from shared_core.management.commands.purge_deleted import choose_models, parse_moment
from tests.library.models import Author, Book, Chapter, Loan, Note, Restaurant
from tests.terminal import Terminal


def expire(rows, days=100):
    rows.update(is_deleted=True, deleted_at=timezone.now() - dt.timedelta(days=days))


@pytest.fixture
def notes(db):
    Note.objects.bulk_create(Note(text=str(number)) for number in range(5))
    expire(Note.all_objects.all())
    Note.objects.create(text="active")


def run(*arguments, out=io.StringIO, err=io.StringIO, **options):
    """Return what the command writes to its output and to its error output."""
    streams = out(), err()
    call_command("purge_deleted", *arguments, stdout=streams[0], stderr=streams[1], **options)
    return streams[0].getvalue(), streams[1].getvalue()


def test_a_model_is_purged_in_batches_and_gets_a_line(notes):
    out, err = run("--older-than", "90d", "--model", "library.Note", "--batch-size", "2")

    assert out.splitlines() == ["library.Note: 5 purged", "total: 5 purged"]
    assert err == ""
    assert Note.all_objects.get().text == "active"


@pytest.mark.django_db
def test_without_a_name_all_models_are_purged_children_first():
    book = Book.objects.create(author=Author.objects.create())
    Loan.objects.create(book=book)  # refers by PROTECT
    for model in (Author, Book, Loan):
        expire(model.all_objects.all())
    out, _ = run("--older-than", "90d")

    lines = out.splitlines()
    places = [lines.index(f"library.{name}: 1 purged") for name in ("Loan", "Book", "Author")]
    assert places == sorted(places)
    assert lines[-1] == "total: 3 purged"


@pytest.mark.django_db
def test_rows_that_are_kept_are_mentioned():
    book = Book.objects.create(author=Author.objects.create())
    expire(Author.all_objects.all())
    out, _ = run("--older-than", "90d", "--model", "library.Author")

    assert out.startswith("library.Author: 0 purged, 1 skipped: what refers to them must stay\n")
    assert Author.all_objects.get() == book.author


def test_a_dry_run_counts_in_a_table_and_purges_nothing(notes):
    out, _ = run("--older-than", "90d", "--model", "library.Note", "--model", "library.Author", "--dry-run")

    lines = out.splitlines()
    assert lines[:4] == ["model           rows", "library.Note       5", "library.Author     0", "total              5"]
    assert lines[4].endswith("A dry run: nothing was purged.")
    assert Note.all_objects.count() == 6


def test_models_are_those_that_own_their_columns_in_managed_tables():
    chosen = choose_models(None, "default")

    assert Restaurant not in chosen
    assert {Author, Chapter, Note} <= set(chosen)
    assert chosen.index(Chapter) < chosen.index(Book) < chosen.index(Author)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("45s", dt.timedelta(seconds=45)),
        ("30m", dt.timedelta(minutes=30)),
        ("12h", dt.timedelta(hours=12)),
        ("90d", dt.timedelta(days=90)),
        ("2w", dt.timedelta(weeks=2)),
        ("0d", dt.timedelta()),
    ],
)
def test_a_duration_is_counted_back_from_now(text, ago):
    assert abs(timezone.now() - ago - parse_moment(text)) < dt.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--older-than", "90"], r"--older-than 90: a number and s, m, h, d or w, as 90d"),
        (["--older-than=-1d"], r"--older-than -1d: a number"),
        (["--older-than", "1y"], r"--older-than 1y: "),
        (["--older-than", "٣d"], r"a number and"),
        (["--older-than", "9999999d"], r"than the calendar reaches"),
        (["--older-than", "9999999999999w"], r"than the calendar reaches"),
        ([], r"required: --older-than"),
        (["--older-than", "1d", "--model", "library.Nothing"], r"library.Nothing: App 'library' doesn't have a"),
        (["--older-than", "1d", "--model", "Note"], r"--model Note: .* Write app.Model"),
        (["--older-than", "1d", "--model", "library.Stamp"], r"library.Stamp: it does not derive from SoftDeleteModel"),
        (["--older-than", "1d", "--batch-size", "0"], r"--batch-size 0: a number of rows from 1"),
        (["--older-than", "1d", "--database", "other"], r"--database other: settings.DATABASES has default"),
    ],
)
def test_an_invalid_argument_is_named(arguments, message):
    with pytest.raises(CommandError, match=message):
        run(*arguments)


@pytest.mark.parametrize("streams", [{"out": Terminal}, {"err": Terminal}])
def test_a_terminal_gets_a_progress_bar_that_is_cleared(notes, streams):
    out, err = run("--older-than", "90d", "--model", "library.Note", "--batch-size", "2", **streams)

    shown = out if "out" in streams else err
    for part in ("2/5  40%", "4/5  80%", "5/5 100%"):
        assert f"{part} " in shown
    assert "\x1b" not in shown
    assert [line for line in out.replace("\r", "\n").splitlines() if line.strip()][-2:] == [
        "library.Note: 5 purged",
        "total: 5 purged",
    ]


@pytest.fixture
def interrupt():
    """Send this process Ctrl-C, as often as the test says, while a note is being deleted."""
    times = []

    def send(**kwargs):
        for _ in range(times.pop() if times else 0):
            os.kill(os.getpid(), signal.SIGINT)

    post_delete.connect(send, sender=Note)
    yield times
    post_delete.disconnect(send, sender=Note)


def test_ctrl_c_finishes_the_batch_and_says_how_to_continue(notes, interrupt):
    before = signal.getsignal(signal.SIGINT)
    interrupt.append(1)
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(SystemExit) as raised:
        run(
            *("--older-than", "90d", "--model", "library.Note", "--model", "library.Author", "--batch-size", "2"),
            out=lambda: out,
            err=lambda: err,
        )
    assert raised.value.code == 130
    assert err.getvalue() == "Stopped with 2 purged: run it again to go on.\n"
    assert out.getvalue() == "library.Note: 2 purged\n"
    assert Note.all_objects.count() == 4
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_stops_at_once_and_rolls_the_batch_back(notes, interrupt):
    interrupt.append(2)

    with pytest.raises(SystemExit) as raised:
        run("--older-than", "90d", "--model", "library.Note")
    assert raised.value.code == 130
    assert Note.all_objects.count() == 6


# Deletes slowly, and says when it has begun.
SLOW = """
import sys, time
import django
django.setup()
from django.core.management import execute_from_command_line
from django.db.models.signals import post_delete
from tests.library.models import Note
def slowly(**kwargs):
    print("deleting", flush=True)
    time.sleep(0.2)
post_delete.connect(slowly, sender=Note)
execute_from_command_line(sys.argv)
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_that_gets_ctrl_c_ends_with_130_and_keeps_what_was_committed(notes):
    database = connection.settings_dict
    names = {"DB_HOST": "HOST", "DB_PORT": "PORT", "DB_NAME": "NAME", "DB_USER": "USER", "DB_PASSWORD": "PASSWORD"}
    environment = os.environ | {name: str(database[key]) for name, key in names.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "purge_deleted", "--older-than=90d", "--model=library.Note", "--batch-size=2"],
        cwd=Path(tests.__file__).parents[1],
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.settings", "ENVIRONMENT": "test", "SERVICE_NAME": "tests"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "deleting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130, err
    assert "library.Note: 2 purged" in out
    assert "Stopped with 2 purged" in err
    assert "Purged library.Note rows=2" in err  # the one record of the log
    assert models.QuerySet(Note).count() == 4
