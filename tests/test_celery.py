"""Tasks, run by a real worker; its broker is a folder."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from shared_core.logs import parse_line

pytestmark = pytest.mark.slow

SEND = """
import django
from shared_core import context
from shared_core.context.propagation import is_request_id
from tests.tiny_service.tasks import app, fail, tell, tell_at_second_try
django.setup()
"""


class Worker:
    """A worker, and what its processes wrote on standard error and to its log file."""

    def __init__(self, folder, *options):
        self._folder = folder
        for name in ("broker", "broker/control", "broker/results"):
            (folder / name).mkdir()
        self._environment = os.environ | {
            "BROKER": str(folder / "broker"),
            "DJANGO_SETTINGS_MODULE": "tests.tiny_service.settings",
            "LOG_FILE": str(folder / "worker.log"),
            "PYTHONWARNINGS": "ignore",  # of being run by root
        }
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.tiny_service.tasks",
            "worker",
            "--without-mingle",
            *options,
        ]
        with (folder / "stderr").open("w") as stderr:
            command += options
            self.process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=stderr)

    def ask(self, code):
        """Run ``code`` in a process that sends tasks; return what it prints."""
        self._wait_for_its_queue()
        command = [sys.executable, "-c", SEND + code]
        environment = self._environment | {"LOG_FILE": str(self._folder / "asker.log")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _wait_for_its_queue(self):
        # Who comes while the worker writes it finds an empty file: the transport makes it first, then locks it.
        table, ends = self._folder / "broker" / "control" / "celery.exchange", time.monotonic() + 30
        while not (table.exists() and table.stat().st_size):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < ends, "the worker has no queue"
            time.sleep(0.05)

    def stop(self):
        """Ask for the warm shutdown that Celery documents for SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0

    @property
    def said(self):
        """The lines of standard error."""
        return (self._folder / "stderr").read_text().splitlines()

    @property
    def written(self):
        """The lines of the file."""
        return (self._folder / "worker.log").read_text().splitlines()


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a worker with options; it ends with the test."""
    with contextlib.ExitStack() as started:

        def run(*options):
            worker = Worker(tmp_path, *options)
            started.enter_context(worker.process)  # waits
            started.callback(worker.process.kill)
            return worker

        yield run


def records(lines, logger):
    return [record for record in map(parse_line, lines) if record["logger"] == logger]


def test_a_task_logs_with_the_ids_of_the_request_that_sent_it(start):
    worker = start(
        "--without-mingle", "--pool=prefork", "--concurrency=2", "--max-tasks-per-child=1", "--loglevel=DEBUG"
    )

    bound = worker.ask("""
with context.bind(request_id="0f8fad5b", trace_id="a" * 32, span_id="b" * 16, ticket_id=7, api_key="hunter2"):
    tell.delay("first").get(60)
    tell_at_second_try.delay().get(60)
    (tell.si("left") | tell.si("right")).delay().get(60)
    try:
        fail.delay().get(60)
    except ValueError:
        pass
print(tell.delay("alone").get(60)["request_id"])
""")
    worker.stop()

    # Whatever is said, is said in the service's format, and once: on the console and in the file.
    assert sorted(worker.written) == sorted(worker.said)
    told = records(worker.said, "apps.tiny")
    assert [record["fields"]["what"] for record in told] == ["first", "second", "left", "right", "alone"]
    *asked, alone = [record["fields"] for record in told]
    assert {(fields["request_id"], fields["trace_id"], fields["ticket_id"]) for fields in asked} == {
        ("0f8fad5b", "a" * 32, 7)
    }
    assert len({fields["span_id"] for fields in asked} | {"b" * 16}) == 5
    assert [fields["task"] for fields in asked][:2] == [
        "tests.tiny_service.tasks.tell",
        "tests.tiny_service.tasks.tell_at_second_try",
    ]
    assert len({fields["task_id"] for fields in asked}) == 4
    assert alone["request_id"] == bound != "0f8fad5b"
    assert "ticket_id" not in alone
    # What Celery itself says of a task bears them too.
    failed = [record["fields"] for record in records(worker.said, "celery.app.trace") if record["level"] == "ERROR"]
    assert [(fields["request_id"], fields["exc_msg"]) for fields in failed] == [("0f8fad5b", "no")]
    assert "hunter2" not in str(worker.said)


def test_a_thread_pool_worker_keeps_no_binding_between_tasks(start):
    worker = start("--pool=threads", "--concurrency=2")

    worker.ask("""
results = []
for number in range(20):
    with context.bind(request_id=f"request-{number:02}", **{f"only_{number}": True}):
        results.append((number, tell.delay(number)))
for number, result in results:
    bound = result.get(60)
    assert bound["request_id"] == f"request-{number:02}", bound
    assert [key for key in bound if key.startswith("only_")] == [f"only_{number}"], bound
""")
    worker.stop()

    assert len(records(worker.said, "apps.tiny")) == 20


@pytest.fixture
def alone(tmp_path):
    """Return a function that runs code without a worker, and returns what it prints."""

    def run(code):
        environment = os.environ | {"BROKER": str(tmp_path), "LOG_FILE": str(tmp_path / "asker.log")}
        command = [sys.executable, "-c", SEND + code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_an_eager_task_shares_the_ids_of_its_request(alone):
    printed = alone("""
app.conf.task_always_eager = True
with context.bind(request_id="0f8fad5b", span_id="b" * 16):
    bound = tell.delay("x").get()
    print(bound["request_id"], bound["span_id"], bound["task"])
    print(context.current().keys())
print(len(tell.delay("x").get()["request_id"]), context.current())
""")

    assert printed == [
        f"0f8fad5b {'b' * 16} tests.tiny_service.tasks.tell",
        "dict_keys(['request_id', 'span_id'])",
        "32 {}",
    ]


def test_the_context_header_is_bounded_and_has_the_ids_first(alone):
    printed = alone("""
import json, uuid
from shared_core.celery import _attach_bindings
long = {f"k{number}": "x" * 1000 for number in range(20)}
with context.bind(url="http://u:p@h/", tags=["a"], ticket=uuid.UUID(int=7), ratio=0.5, **long, request_id="0f8fad5b"):
    _attach_bindings(headers := {})
sent = json.loads(headers["shared_core_context"])
print(len(headers["shared_core_context"]) <= 8192, list(sent)[0], [sent[k] for k in ("ticket", "ratio", "tags", "url")])
_attach_bindings(headers := {})
print(headers)
""")

    assert printed == [
        "True request_id ['00000000-0000-0000-0000-000000000007', 0.5, '[\"a\"]', 'http://***@h/']",
        "{}",
    ]


@pytest.mark.parametrize(
    "header", ["{", "[]", 7, '{"request_id": "a b", "trace_id": 1}', '{"request_id": "' + "x" * 70]
)
def test_a_task_with_an_invalid_context_header_gets_new_ids(alone, header):
    printed = alone(f"""
from shared_core.celery import _bind_task, _unbind_task
tell.push_request(id="1", shared_core_context={header!r})
_bind_task(task=tell, task_id="1")
bound = context.current()
_unbind_task()
print(is_request_id(bound["request_id"]), len(bound["request_id"]), len(bound["trace_id"]), context.current())
""")

    assert printed == ["True 32 32 {}"]
