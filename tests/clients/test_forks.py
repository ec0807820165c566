"""One client, several processes and many threads: each gets its own answers, over connections of its own."""

import os
import signal
import subprocess
import sys
import time as real_time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared_core.clients import HTTPClient
from tests.clients.fixtures import CERTIFICATE
from tests.clients.server import answer
from tests.stack.servers import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).with_name("programs")


def echo(connection, request):
    return answer(200, request.path)(connection, request)


def processes_by_connection(server):
    """Return which processes used each connection."""
    used = {}
    for request in server.received:
        if "X-Process" in request.headers:
            used.setdefault(request.connection, set()).add(request.headers["X-Process"])
    return used


def assert_nobody_shared(server, processes):
    used = processes_by_connection(server)
    assert all(len(of) == 1 for of in used.values()), used
    assert len(set.union(*used.values())) == processes


def python(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}
    )


def status_of(process):
    """Return the status that the process ends with; one that hangs is killed."""
    try:
        return process.wait(40)
    finally:
        process.kill()
        process.wait()


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, process, seconds=30):
    ends = real_time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process has ended"
        assert real_time.monotonic() < ends, "that took too long"
        real_time.sleep(0.05)


@pytest.mark.parametrize("scheme", ["server", "secure"])
def test_children_forked_during_calls_use_their_own_connections(request, scheme):
    server = request.getfixturevalue(scheme)
    server.script(echo)
    bundle = [str(CERTIFICATE)] if scheme == "secure" else []
    status = status_of(python(str(PROGRAMS / "forking.py"), server.url, *bundle))

    assert status == 0
    assert_nobody_shared(server, processes=5)


def test_a_forked_child_does_not_deadlock_on_its_parents_locks(server):
    status = status_of(python(str(PROGRAMS / "locked.py"), server.url))

    assert status == 0
    assert server.connections == 2


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()  # the test's own
    except OSError:
        return False
    return True


def test_workers_of_gunicorn_that_preloads_have_connections_of_their_own(server):
    server.script(echo)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    gunicorn = python(
        "-m", "gunicorn", "--preload", "--workers=2", f"--bind=127.0.0.1:{port}",
        "--log-level=error", "tests.clients.programs.preloaded", UPSTREAM=server.url,
    )  # fmt: skip
    try:
        wait_for(lambda: answers(f"{url}/up"), gunicorn)
        with HTTPClient(url, token=False, budget=None, breaker=None) as client, ThreadPoolExecutor(8) as threads:
            texts = list(threads.map(lambda number: client.get(f"/{number}").text, range(200)))
    finally:
        end(gunicorn)

    assert texts == [f"/{number}" for number in range(200)]
    assert_nobody_shared(server, processes=3)


def test_processes_of_a_celery_worker_have_connections_of_their_own(server, tmp_path):
    server.script(echo)
    for name in ("queue", "control", "done"):
        (tmp_path / name).mkdir()
    environment = {"UPSTREAM": server.url, "BROKER": str(tmp_path)}
    done = tmp_path / "done"
    worker = python(
        "-m", "celery", "--app=tests.clients.programs.tasks", "worker", "--pool=prefork", "--concurrency=2",
        "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat", **environment,
    )  # fmt: skip
    try:
        send = "from tests.clients.programs.tasks import call; [call.delay(number) for number in range(40)]"
        assert status_of(python("-c", send, **environment)) == 0
        wait_for(lambda: len(list(done.iterdir())) == 40, worker)
    finally:
        end(worker)

    assert {path.read_text() for path in done.iterdir()} == {"right"}
    assert_nobody_shared(server, processes=3)


def test_a_hundred_threads_share_a_client_and_its_ten_connections(server):
    server.script(echo)
    with HTTPClient(server.url, token=False, pool_maxsize=10) as client, ThreadPoolExecutor(100) as threads:
        texts = list(threads.map(lambda number: client.get(f"/{number}").text, range(500)))

    assert texts == [f"/{number}" for number in range(500)]
    assert server.connections <= 10
