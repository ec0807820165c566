"""A queue for slow destinations; each test in a process of its own, whose end is a part of it."""

import re
import subprocess
import sys
import time

import pytest

from shared_core.logs import parse_line

pytestmark = pytest.mark.slow

BEGIN = """
import logging, logging.config, os, sys, time
from shared_core import context
from shared_core.logging_config import get_logging_config
config = get_logging_config("ticket", mask_keys=["ssn"], log_file=sys.argv[1])
config["handlers"]["queue"] = {"class": "shared_core.logs.QueuedHandler", "handlers": ["file"]}
config["root"]["handlers"] = ["queue"]
logger = logging.getLogger("apps.tickets")
class Slow(logging.StreamHandler):
    delay = 0.0
    def emit(self, record):
        time.sleep(self.delay)
        super().emit(record)
"""
APPLY = "\nlogging.config.dictConfig(config)\n"
SLOW = """
config["handlers"]["file"] = {"()": Slow, "formatter": "verbose", "stream": open(sys.argv[1], "a")}
"""


def run(tmp_path, code, *, before=""):
    """Run ``code`` with logging configured, and return its lines, parsed, and what it said on the console."""
    path = tmp_path / "service.log"
    command = [sys.executable, "-c", BEGIN + before + APPLY + code, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [parse_line(line) for line in path.read_text().splitlines()], done.stderr


def test_a_record_is_formatted_by_the_caller_and_written_before_exit(tmp_path):
    code = """
with context.bind(request_id="0f8fad5b"):
    tags = ["a"]
    logger.info("Ticket %s", "opened", extra={"tags": tags, "ssn": "078", "nested": {"ssn": "078"}})
    tags.append("later")
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("Failed")
"""
    (opened, failed), said = run(tmp_path, code)

    assert (opened["message"], opened["fields"]) == (
        "Ticket opened",
        {"tags": '["a"]', "ssn": "***", "nested": '{"ssn": "***"}', "request_id": "0f8fad5b", "service": "ticket"},
    )
    assert failed["fields"]["exc_type"] == "ZeroDivisionError"
    assert said == ""


def test_the_caller_does_not_wait_for_a_slow_destination(tmp_path):
    code = """
logging.root.handlers[0].listener.handlers[0].delay = 0.2
started = time.monotonic()
for number in range(10):
    logger.info("Ticket %s", number)
print(time.monotonic() - started)
"""
    started = time.monotonic()
    records, _ = run(tmp_path, code + "assert time.monotonic() - started < 1.8\n", before=SLOW)

    assert [record["message"] for record in records] == [f"Ticket {number}" for number in range(10)]
    assert time.monotonic() - started > 2


def test_forked_children_go_on_logging_and_nothing_is_written_twice(tmp_path):
    code = """
handler = logging.root.handlers[0]
handler.listener.handlers[0].delay = 0.05
for number in range(5):
    logger.info("parent %s", number)  # still waiting when the children are made
children = []
for child in range(3):
    if not (pid := os.fork()):
        logger.info("child %s", child)
        sys.exit()  # flushes
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
logger.info("parent again")
"""
    records, _ = run(tmp_path, code, before=SLOW)

    messages = [record["message"] for record in records]
    expected = [*(f"parent {number}" for number in range(5)), *(f"child {child}" for child in range(3)), "parent again"]
    assert sorted(messages) == sorted(expected)
    assert [message for message in messages if message.startswith("parent")][-1] == "parent again"


def test_records_dropped_by_a_full_queue_are_counted(tmp_path):
    before = SLOW + 'config["handlers"]["queue"]["queue"] = {"()": "queue.Queue", "maxsize": 2}\n'
    code = """
logging.root.handlers[0].listener.handlers[0].delay = 0.3
for number in range(10):
    logger.info("Ticket %s", number)
time.sleep(1.5)
logger.info("Ticket again")
"""
    records, said = run(tmp_path, code, before=before)

    lost = 11 - len(records)
    assert lost >= 6
    assert records[-1]["message"] == "Ticket again"
    told = [parse_line(line) for line in said.splitlines()]
    assert {(record["level"], record["logger"]) for record in told} == {("WARNING", "shared_core.logs.handlers")}
    # It comes and goes, as the thread takes one: that is told once a minute, and the rest when the queue ends.
    full, *ends = [record["message"] for record in told]
    assert full == "Log queue is full; 1 records lost"
    assert all(
        re.fullmatch(r"Log queue (takes records again|is closed); \d+ records were lost to it", end) for end in ends
    )
    assert len(ends) <= 2
    assert sum(int(end.split(";")[1].split()[0]) for end in ends) == lost


def test_a_hanging_destination_does_not_block_exit(tmp_path):
    started = time.monotonic()
    _, said = run(tmp_path, "logging.root.handlers[0].listener.handlers[0].delay = 60\nlogger.info('x')", before=SLOW)

    assert "Log queue still holds 1 records after 5 s" in said
    assert time.monotonic() - started < 30


def test_a_destination_that_raises_does_not_end_the_thread(tmp_path):
    code = """
def fail(record):
    del handler.emit
    raise RuntimeError("no")
handler = logging.root.handlers[0].listener.handlers[0]
handler.emit = fail
logger.info("first")
logger.info("second")
"""
    records, said = run(tmp_path, code)

    assert [record["message"] for record in records] == ["second"]
    assert "RuntimeError: no" in said


def test_levels_and_filters_of_the_destination_hold(tmp_path):
    before = 'config["handlers"]["file"]["level"] = "WARNING"\n'
    records, _ = run(tmp_path, "logger.info('no')\nlogger.error('yes')", before=before)

    assert [record["message"] for record in records] == ["yes"]


def test_the_queue_is_bounded_in_bytes_and_keeps_only_text(tmp_path):
    code = """
import shared_core.logs.queue as queue_module
handler = logging.root.handlers[0]
handler.listener.handlers[0].delay = 0.5
logger.info("first")
time.sleep(0.1)
for number in range(4000):
    logger.info("Ticket %s", number, extra={"body": "x" * 30_000, "big": bytearray(100)})
waiting = list(handler.queue.queue)
assert sum(len(vars(record)[queue_module._TEXT]) for _, record in waiting) <= 64 * 2**20, len(waiting)
assert 1000 < len(waiting) < 2500, len(waiting)
assert all("body" not in vars(record) and record.args is None for _, record in waiting)
os._exit(0)
"""
    _, said = run(tmp_path, code, before=SLOW)

    assert "Log queue is full; 1 records lost" in said


def test_a_handler_that_logs_does_not_feed_itself(tmp_path):
    code = """
open(sys.argv[1], "w").close()
class Chatty(logging.Handler):
    count = 0
    def emit(self, record):
        Chatty.count += 1
        logger.info("from the handler")
logging.root.handlers[0].listener.handlers = (Chatty(),)
logger.info("one")
logger.info("two")
time.sleep(0.5)
assert Chatty.count == 2, Chatty.count
"""
    _, said = run(tmp_path, code)

    assert "is fed by one of its own handlers; 1 records lost" in said


def test_a_system_exit_in_the_destination_does_not_end_the_thread(tmp_path):
    code = """
def end(record):
    del handler.emit
    raise SystemExit(3)
handler = logging.root.handlers[0].listener.handlers[0]
handler.emit = end
logger.info("first")
time.sleep(0.2)
logger.info("second")
"""
    records, said = run(tmp_path, code)

    assert [record["message"] for record in records] == ["second"]
    assert "SystemExit: 3" in said


def test_a_child_of_a_parent_that_gave_up_still_flushes(tmp_path):
    code = """
import shared_core.logs.queue as queue_module
queue_module._FLUSHED_WITHIN = 0.2
handler = logging.root.handlers[0]
slow = handler.listener.handlers[0]
slow.delay = 100
logger.info("parent")
handler.flush()
slow.delay = 0.1
queue_module._FLUSHED_WITHIN = 5
if not (pid := os.fork()):
    slow.createLock()
    logger.info("child")
    handler.flush()
    os._exit(0)
os.waitpid(pid, 0)
os._exit(0)
"""
    records, _ = run(tmp_path, code, before=SLOW)

    assert [record["message"] for record in records] == ["child"]


@pytest.mark.parametrize("recursive", [False, True])
def test_without_a_thread_the_caller_writes(tmp_path, recursive):
    code = f"""
import threading
class Thread(threading.Thread):
    def start(self):
        raise RuntimeError("can't start new thread")
threading.Thread, original = Thread, threading.Thread
if {recursive}:
    handler = logging.root.handlers[0].listener.handlers[0]
    emit = handler.emit
    handler.emit = lambda record: (emit(record), logger.info("again"))
logger.info("one")
logger.info("two")
threading.Thread = original
logger.info("three")
"""
    records, said = run(tmp_path, code)

    assert [record["message"] for record in records] == ["one", "two", "three"]
    assert said.count("has no thread (can't start new thread): callers write themselves") == 1


def test_a_record_logged_at_interpreter_exit_is_written(tmp_path):
    records, _ = run(tmp_path, "import atexit\natexit.register(lambda: logger.info('last'))")

    assert [record["message"] for record in records] == ["last"]


def test_a_filter_that_raises_does_not_raise_into_the_caller(tmp_path):
    code = """
handler = logging.root.handlers[0].listener.handlers[0]
def fail(record):
    handler.removeFilter(fail)
    raise RuntimeError("no")
handler.addFilter(fail)
logger.info("one")
logger.info("two")
"""
    records, said = run(tmp_path, code)

    assert [record["message"] for record in records] == ["two"]
    assert "RuntimeError: no" in said
