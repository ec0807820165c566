"""Checks of a service: each in a thread of its own, once at a time, and for no longer than was said."""

import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections

from shared_core.health import readiness_check
from shared_core.health.probes import registered

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _forget_checks():
    before = dict(registered)
    registered.clear()
    yield
    registered.clear()
    registered.update(before)


@pytest.fixture
def said(caplog):
    """What was logged of checks."""
    caplog.set_level(logging.INFO, "shared_core.health")
    return lambda: [(record.levelname, record.getMessage(), record.check) for record in caplog.records]


def failed(name):
    return registered[name].start().wait().failed


@pytest.mark.django_db
def test_connections_of_a_check_are_closed_after_it(alias):
    alias("asked")
    kept = []

    @readiness_check("rows")
    def rows():
        with connections["asked"].cursor() as cursor:
            cursor.execute("SELECT 1")
        kept.append(connections["asked"])

    assert failed("rows") == {}
    assert kept[0].connection is None


@pytest.mark.parametrize("answer", [None, True])
def test_a_check_passes_if_it_returns_true_or_none(answer):
    @readiness_check("search")
    def check():
        return answer

    assert check() is answer  # it is the function still
    assert failed("search") == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (False, "it returned False"),
        (0, "it returned int, which is neither True nor None"),
        ("", "it returned str, which is neither True nor None"),
    ],
)
def test_a_check_that_returns_anything_else_fails(answer, reason):
    readiness_check("search")(lambda: answer)

    assert failed("search") == {"search": reason}


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_check_that_raises_fails_and_is_run_again(error):
    outcomes = [error("down"), None]

    @readiness_check("search")
    def check():
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    assert failed("search") == {"search": f"{error.__name__}: down"}
    assert failed("search") == {}


def test_concurrent_probes_run_a_check_once():
    began = threading.Barrier(9)
    runs = []

    @readiness_check("search")
    def check():
        runs.append(threading.current_thread().name)
        time.sleep(0.3)

    def ask(_):
        began.wait(20)
        return failed("search")

    with ThreadPoolExecutor(8) as threads:
        asked = threads.map(ask, range(8))
        began.wait(20)
        assert list(asked) == [{}] * 8

    assert runs == ["probe search"]


def test_a_hanging_check_fails_within_its_timeout_and_passes_once_it_ends(said):
    over, runs = threading.Event(), []

    @readiness_check("search", timeout=1)
    def check():
        runs.append(1)
        over.wait(30)

    seen = []
    for _ in range(3):
        started = time.monotonic()
        reason = failed("search")["search"]
        seen.append((reason, time.monotonic() - started < 0.9))
    over.set()
    registered["search"].start().ended.wait(20)
    after = failed("search")

    assert seen == [
        ("no answer within 1 s", False),
        ("no answer within 1 s", True),
        ("no answer within 1 s", True),
    ]
    assert after == {}
    assert len(runs) <= 3  # the one that hung, and those that were asked once it was over
    assert said() == [
        ("WARNING", "Readiness check failed", "search"),
        ("INFO", "Readiness check passes again", "search"),
    ]


def test_only_a_change_of_the_outcome_is_logged(said, caplog):
    outcomes = [OSError("down"), OSError("down"), None, None]

    @readiness_check("search")
    def check():
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    for _ in range(4):
        failed("search")

    assert said() == [
        ("WARNING", "Readiness check failed", "search"),
        ("INFO", "Readiness check passes again", "search"),
    ]
    assert caplog.records[0].reason == "OSError: down"
    assert caplog.records[0].exc_info[0] is OSError


def test_a_check_runs_in_the_context_of_the_probe():
    number = contextvars.ContextVar("number", default=0)
    seen = []
    readiness_check("search")(lambda: seen.append(number.get()))

    for value in (1, 2):
        number.set(value)
        failed("search")

    assert seen == [1, 2]


@pytest.mark.parametrize("name", ["", "Search", "a" * 64, "a b", "a\n", "database", "migrations:archive", None, 7])
def test_an_invalid_check_name_is_refused(name):
    with pytest.raises(ValueError, match=r'no name of a check: write @readiness_check\("search"\)'):
        readiness_check(name)


@pytest.mark.parametrize("timeout", [0, -1, 4.5, float("nan"), float("inf"), True, "2"])
def test_an_invalid_check_timeout_is_refused(timeout):
    with pytest.raises(ValueError, match="must be seconds, above 0 and up to 4"):
        readiness_check("search", timeout=timeout)


def test_a_duplicate_name_and_a_coroutine_are_refused():
    readiness_check("search")(lambda: None)

    async def check():
        pass

    with pytest.raises(ValueError, match="there is a check 'search' already"):
        readiness_check("search")(lambda: None)
    with pytest.raises(TypeError, match="must be an ordinary function"):
        readiness_check("other")(check)


PROGRAM = """
import os, time
from shared_core.health import readiness_check
from shared_core.health.probes import registered

@readiness_check("search", timeout=0.5)
def search(): pass

@readiness_check("hanging", timeout=0.1)
def hanging(): time.sleep(600)

def ask(name):
    return dict(registered[name].start().wait().failed)

seen = [ask("search"), ask("hanging")]
child = os.fork()
if not child:
    seen = [ask("search"), ask("hanging")]
else:
    os.waitpid(child, 0)
print(seen, flush=True)
"""


def test_a_forked_process_runs_checks_again_and_a_hanging_one_does_not_block_exit():
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings_sqlite", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["[{}, {'hanging': 'no answer within 0.1 s'}]"] * 2
