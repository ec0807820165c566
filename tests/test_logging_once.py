"""Each record once, and all of them in the service's format, whatever program runs the service (test_celery.py too)."""

import time
from collections import Counter

import pytest

from shared_core.logs import parse_line

pytestmark = pytest.mark.slow


def numbers(lines):
    """Return ``{number: how many records of the view}``."""
    records = [parse_line(line) for line in lines if " apps.tiny Seen " in line]
    return Counter(record["fields"]["number"] for record in records)


def count(lines, logger):
    return sum(f" {logger} " in line for line in lines)


def test_each_record_is_written_once_under_gunicorn_with_preload(serve):
    # From the folder of its gunicorn.conf.py, which names the format.
    server = serve(
        "gunicorn", "--preload", "--workers=2", "--bind=127.0.0.1:{port}",
        "--config=tests/tiny_service/gunicorn.conf.py", "django.core.wsgi:get_wsgi_application()",
    )  # fmt: skip

    for number in range(20):
        server.get(f"/?number={number}")
    server.process.stop()

    assert numbers(server.console) == dict.fromkeys(range(20), 1)
    assert numbers(server.written) == dict.fromkeys(range(20), 1)
    assert count(server.console, "shared_core.access") == count(server.written, "shared_core.access") == 20
    # gunicorn's own too: the first of its master, before Django is there, and the last.
    said = [parse_line(line)["message"] for line in server.console]
    assert said[0].startswith("Starting gunicorn")
    assert said[-1].startswith("Shutting down: Master")


def test_each_record_is_written_once_under_runserver_with_reload(serve):
    server = serve("django", "runserver", "--skip-checks", "127.0.0.1:{port}")
    urls = server.folder / "tests" / "tiny_service" / "urls.py"

    server.get("/?number=1")
    end = time.monotonic() + 20
    while "changed, reloading" not in str(server.console):
        assert time.monotonic() < end, server.console
        urls.touch()  # again, until the watcher has seen the file before
        time.sleep(0.2)
    for number in range(2, 6):
        server.get(f"/?number={number}")
    server.process.stop()

    assert numbers(server.written) == dict.fromkeys(range(1, 6), 1)
    assert numbers(server.console) == dict.fromkeys(range(1, 6), 1)
    for logger in ("shared_core.access", "django.server"):
        assert count(server.console, logger) == count(server.written, logger) == 5
    assert sum("changed, reloading" in line for line in server.written) == 1
