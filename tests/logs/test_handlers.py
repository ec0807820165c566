import logging
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared_core.logs import SharedFileHandler

pytestmark = pytest.mark.slow


def write(handler, *messages):
    for message in messages:
        handler.handle(logging.LogRecord("apps", logging.INFO, "x.py", 1, message, (), None))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.log"


@pytest.fixture
def open_handler(request):
    def make(path, **options):
        handler = SharedFileHandler(str(path), **options)
        request.addfinalizer(handler.close)
        return handler

    return make


def test_records_are_appended_and_the_file_is_made_by_the_first(path, open_handler):
    handler = open_handler(path)
    assert not path.exists()

    write(handler, "one", "two")

    assert path.read_text() == "one\ntwo\n"


def test_a_moved_or_removed_file_is_created_again(path, open_handler):
    handler = open_handler(path)
    write(handler, "one")
    path.rename(path.with_suffix(".old"))

    write(handler, "two")
    path.unlink()
    write(handler, "three")

    assert path.with_suffix(".old").read_text() == "one\n"
    assert path.read_text() == "three\n"


def test_a_missing_folder_is_one_warning_a_minute_and_its_return_is_reported(path, open_handler, capsys):
    now = [0.0]
    handler = open_handler(path.parent / "logs" / "service.log", clock=lambda: now[0])

    write(handler, "one", "two")
    first = capsys.readouterr().err
    now[0] = 61.0
    write(handler, "three")
    second = capsys.readouterr().err
    (path.parent / "logs").mkdir()
    write(handler, "four")
    told = capsys.readouterr().err

    assert first.count("\n") == second.count("\n") == 1
    assert "cannot be written: No such file or directory; 1 records lost" in first
    assert "3 records lost" in second
    assert "can be written again; 3 records were lost" in told
    assert (path.parent / "logs" / "service.log").read_text() == "four\n"


def test_a_full_disk_does_not_raise_into_the_caller(path, open_handler, capsys):
    handler = open_handler(path)
    write(handler, "one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        write(handler, "two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    assert "cannot be written: File too large" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("/dev/full", "No space left on device"),
        ("/proc/version", "Permission denied|Input/output error"),  # the latter to root
        ("{folder}", "Is a directory"),
        ("{folder}/file/service.log", "Not a directory"),
        ("{folder}/" + "x" * 300, "File name too long"),
    ],
)
def test_an_unwritable_file_is_reported_on_the_console(tmp_path, open_handler, capsys, destination, why):
    (tmp_path / "file").touch()
    for max_bytes in (0, 10):
        handler = open_handler(destination.format(folder=tmp_path), max_bytes=max_bytes)
        write(handler, "one", "two")

        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(f"cannot be written: ({why}); 1 records lost$", line)


def test_an_unwritable_console_does_not_stop_the_file(path):
    code = (
        "import logging, logging.config, sys\n"
        "from shared_core.logging_config import get_logging_config\n"
        "logging.config.dictConfig(get_logging_config('user', log_file=sys.argv[1]))\n"
        "for number in range(3): logging.warning('%s', number)\n"
    )
    with Path("/dev/full").open("w") as full:
        subprocess.run([sys.executable, "-c", code, path], stderr=full, timeout=60, check=False)

    assert [line.split()[-2] for line in path.read_text().splitlines()] == ["0", "1", "2"]


def test_a_record_truncated_by_a_full_disk_leaves_the_next_one_whole(path, open_handler, capsys):
    handler = open_handler(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, hard))
    try:
        write(handler, "one", "two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    write(handler, "three", "four")

    assert path.read_text().splitlines() == ["one", "tw", "three", "four"]
    assert "can be written again; 1 records were lost to it" in capsys.readouterr().err


def test_a_record_that_cannot_be_formatted_does_not_raise_into_the_caller(path, open_handler, capsys):
    handler = open_handler(path)

    handler.handle(logging.LogRecord("apps", logging.INFO, "x.py", 1, "%d", ("x",), None))

    assert "Logging error" in capsys.readouterr().err


def test_the_file_is_rotated_before_it_grows_past_its_size(path, open_handler):
    handler = open_handler(path, max_bytes=8, backups=2)

    write(handler, "one", "two", "three", "four", "five")

    kept = [path, path.with_name("service.log.1"), path.with_name("service.log.2")]
    assert [file.read_text() for file in kept] == ["five\n", "four\n", "three\n"]
    assert not path.with_name("service.log.3").exists()


def _write_many(path, worker, count):
    handler = SharedFileHandler(str(path), max_bytes=20_000, backups=1000)
    write(handler, *(f"{worker} {number}" for number in range(count)))
    handler.close()


def test_processes_that_write_and_rotate_one_file_lose_no_record(path):
    processes = [
        multiprocessing.get_context("spawn").Process(target=_write_many, args=(path, worker, 2000))
        for worker in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    files = [file for file in path.parent.iterdir() if file.suffix != ".lock"]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert sorted(lines) == sorted(f"{worker} {number}" for worker in range(4) for number in range(2000))


def test_a_forked_child_and_its_parent_write_whole_records(path, open_handler):
    handler = open_handler(path)
    write(handler, "parent")
    child = os.fork()
    if child == 0:
        write(handler, "child")
        os._exit(0)
    os.waitpid(child, 0)

    write(handler, "parent again")

    assert path.read_text().splitlines() == ["parent", "child", "parent again"]
