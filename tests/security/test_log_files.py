"""Log files that are FIFOs, devices and links, and locks that are never released: no caller waits for them."""

import errno
import fcntl
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.logging_config import get_logging_config
from shared_core.logs import SharedFileHandler

pytestmark = pytest.mark.timeout(20)  # what waits for ever fails


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


def write(handler, *messages):
    """Write records; return the seconds that took."""
    began = time.monotonic()
    for message in messages:
        handler.handle(logging.LogRecord("apps", logging.INFO, "x.py", 1, message, (), None))
    return time.monotonic() - began


@pytest.fixture
def fifo(path):
    """A FIFO and its reader, which reads nothing."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def test_a_lock_that_another_holds_lets_the_file_grow_with_one_warning(path, open_handler, capsys):
    now = [0.0]
    handler = open_handler(path, max_bytes=8, clock=lambda: now[0])
    write(handler, "one")
    with path.with_name("service.log.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        took = write(handler, "two", *(f"more {number}" for number in range(50)))
        said = capsys.readouterr().err
        now[0] = 61.0
        write(handler, "later")
        again = capsys.readouterr().err

    assert took < 2
    assert path.read_text().splitlines()[:3] == ["one", "two", "more 0"]
    assert len(path.read_text().splitlines()) == 53
    assert said.count("cannot be rotated: another process holds its lock; it grows past 8 bytes") == 1
    assert said.count("\n") == again.count("\n") == 1
    now[0] = 67.0
    write(handler, "rotated")
    assert path.read_text() == "rotated\n"
    assert len(path.with_name("service.log.1").read_text().splitlines()) == 53


def test_a_lock_that_is_held_for_a_moment_is_waited_for(path, open_handler):
    handler = open_handler(path, max_bytes=8)
    write(handler, "one")
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(0.02)"
    )
    lock = path.with_name("service.log.lock")
    with subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        write(handler, "two")

        time.sleep(0.2)
        handler._rotate_from = 0.0
        write(handler, "three")

    assert path.with_name("service.log.1").exists()


def test_a_lock_that_is_a_link_is_not_followed(path, open_handler, tmp_path, capsys):
    victim = tmp_path / "victim"
    path.with_name("service.log.lock").symlink_to(victim)
    handler = open_handler(path, max_bytes=8)

    write(handler, "first", "second")

    assert not victim.exists()
    assert path.read_text() == "first\nsecond\n"
    assert f"cannot be rotated: {os.strerror(errno.ELOOP)}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_lock_that_is_no_file_stops_nobody(path, open_handler, kind):
    lock = path.with_name("service.log.lock")
    os.mkfifo(lock) if kind == "fifo" else lock.mkdir()
    handler = open_handler(path, max_bytes=8)

    took = write(handler, "one", "two", "three")

    assert took < 1
    assert "three\n" in path.read_text()


def test_a_backup_that_cannot_be_moved_loses_no_record(path, open_handler, capsys):
    path.with_name("service.log.1").mkdir()
    handler = open_handler(path, max_bytes=8, backups=1)

    write(handler, "one", "two", "three")

    assert path.read_text() == "one\ntwo\nthree\n"
    assert capsys.readouterr().err.count("cannot be rotated: ") == 1


def test_a_fifo_without_a_reader_is_an_error_at_once(path, open_handler, capsys):
    os.mkfifo(path)

    took = write(open_handler(path, max_bytes=8), "one", "two")

    assert took < 1
    assert f"cannot be written: {os.strerror(errno.ENXIO)}; 1 records lost" in capsys.readouterr().err


def test_a_fifo_with_a_reader_is_written_and_never_rotated(path, open_handler, fifo):
    write(open_handler(path, max_bytes=8), "one", "two", "three")

    assert os.read(fifo, 100) == b"one\ntwo\nthree\n"
    assert [file.name for file in path.parent.iterdir()] == ["service.log"]


def test_a_full_fifo_is_waited_for_once_and_goes_on_with_whole_lines(path, open_handler, fifo, capsys):
    handler = open_handler(path)
    lines = [f"{number} " + "x" * 6000 for number in range(20)]

    took = write(handler, *lines)
    said = capsys.readouterr().err
    read = os.read(fifo, 2**20)
    write(handler, "after")
    read += os.read(fifo, 2**20)

    assert took < 3
    assert f"cannot be written: {os.strerror(errno.EAGAIN)}" in said
    assert "can be written again" in capsys.readouterr().err
    *whole, last = read.decode().splitlines()
    assert whole[:10] == lines[:10]
    assert last == "after"


def test_a_fifo_whose_reader_is_slow_loses_nothing(path, open_handler):
    os.mkfifo(path)
    code = (
        "import sys, time\n"
        "with open(sys.argv[1]) as fifo: read = [time.sleep(0.002) or line for line in fifo]\n"
        "print(*read, sep='', end='')"
    )
    lines = [f"{number} " + "x" * 1000 for number in range(300)]
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as reader:
        held = os.open(path, os.O_WRONLY)  # waits for the reader, which stays until the last writer has closed
        handler = open_handler(path)
        write(handler, *lines)
        handler.close()
        os.close(held)
        read = reader.stdout.read().splitlines()

    assert read == lines


# Not /dev/stdout with a size: as root, code that rotates it would take it away from the machine.
@pytest.mark.parametrize(
    ("name", "size"), [("/dev/stdout", 0), ("/dev/stderr", 0), ("/dev/fd/1", 100), ("/proc/self/fd/1", 100)]
)
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_the_streams_of_a_container_are_written_and_never_rotated(name, size, to, tmp_path):
    code = (
        "import logging, logging.config, sys\n"
        "from shared_core.logging_config import get_logging_config\n"
        "config = get_logging_config('user', log_file=sys.argv[1], log_file_max_bytes=int(sys.argv[2]))\n"
        "config['root']['handlers'] = ['file']\n"
        "logging.config.dictConfig(config)\n"
        "for number in range(50): logging.warning('Written %s', number)\n"
    )
    out = tmp_path / "out"
    with out.open("wb") as file:
        stream = file if to == "file" else subprocess.PIPE
        streams = {"stdout": stream, "stderr": stream}
        done = subprocess.run([sys.executable, "-c", code, name, str(size)], **streams, timeout=15, check=True)
    said = out.read_text() if to == "file" else (done.stdout + done.stderr).decode()

    assert [line.split()[-2] for line in said.splitlines()] == [str(number) for number in range(50)]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_dev_null_is_written(open_handler, capsys):
    write(open_handler("/dev/null", max_bytes=8), "one", "two")

    assert capsys.readouterr().err == ""


def test_a_link_stays_and_its_target_is_rotated(path, open_handler, tmp_path):
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "service.log"
    path.symlink_to(target)

    write(open_handler(path, max_bytes=8), "first", "second")

    assert path.is_symlink()
    assert target.read_text() == "second\n"
    assert target.with_name("service.log.1").read_text() == "first\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_to_itself_is_an_error(path, open_handler, capsys):
    path.symlink_to(path)

    write(open_handler(path, max_bytes=8), "one")

    assert "cannot be written: " in capsys.readouterr().err


def test_a_rotation_that_fails_leaves_the_backups_as_they_were(path, open_handler, monkeypatch, capsys):
    names = [path.with_name(f"service.log.{number}") for number in range(1, 4)]
    for name in names:
        name.write_text(f"{name.name}\n")
    rename = Path.rename
    for which in ("service.log", "service.log.2", "service.log.rotating"):

        def fail(self, target, which=which):
            if self.name == which and not str(target).endswith("service.log"):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail)
        now = [0.0]
        handler = open_handler(path, max_bytes=8, backups=3, clock=lambda now=now: now[0])
        for _ in range(5):
            write(handler, "record")
            now[0] += 6

        assert [name.read_text() for name in names] == [f"{name.name}\n" for name in names]
        assert len(list(path.parent.iterdir())) == 5  # the log, its lock and three backups
        assert "cannot be rotated: " in capsys.readouterr().err
    assert path.read_text().count("record\n") == 15


def test_a_log_that_an_ended_process_left_half_rotated_becomes_a_backup(path, open_handler):
    path.with_name("service.log.rotating").write_text("left\n")
    handler = open_handler(path, max_bytes=8, backups=3)

    write(handler, "one", "two", "three")

    kept = [path.with_name(f"service.log.{number}").read_text() for number in (1, 2)]
    assert (path.read_text(), kept) == ("three\n", ["one\ntwo\n", "left\n"])


def test_a_link_to_the_standard_output_is_written_and_never_rotated(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "app.log").symlink_to("again.log")
    (tmp_path / "real" / "again.log").symlink_to("/proc/self/fd/1")
    code = (
        "import logging, sys; from shared_core.logs import SharedFileHandler\n"
        "handler = SharedFileHandler(sys.argv[1], max_bytes=40)\n"
        "for number in range(8):\n"
        "    handler.handle(logging.LogRecord('apps', 20, 'x', 1, f'record {number} is long enough', (), None))\n"
    )
    out = tmp_path / "out"
    with out.open("wb") as file:
        command = [sys.executable, "-c", code, tmp_path / "logs" / "app.log"]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=15, check=True)

    assert done.stderr == b""
    assert len(out.read_text().splitlines()) == 8
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["again.log", "app.log", "logs", "out", "real"]


def test_a_file_that_is_the_same_after_its_rotation_is_rotated_no_more(path, open_handler, monkeypatch, capsys):
    handler = open_handler(path, max_bytes=8)
    monkeypatch.setattr(handler, "_move_away", lambda filename: None)

    write(handler, "one", "two", "three", "four")

    assert capsys.readouterr().err.count("is the same file after its rotation, so it is rotated no more") == 1
    assert path.read_text() == "one\ntwo\nthree\nfour\n"


def test_a_record_that_another_process_tore_is_not_joined_with_the_next(path, open_handler):
    path.write_text("first rec")

    write(open_handler(path), "second", "third")

    assert path.read_text() == "first rec\nsecond\nthird\n"


def test_a_record_that_another_process_tore_while_nobody_could_write_is_not_joined(path, open_handler, monkeypatch):
    handler = open_handler(path)
    write(handler, "one")

    def fail(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        write(handler, "lost")
    with path.open("a") as other:
        other.write("tor")
    write(handler, "two")

    assert path.read_text() == "one\ntor\ntwo\n"


def test_a_name_with_a_nul_and_too_many_backups_are_errors_at_once():
    with pytest.raises(ValueError, match="NUL"):
        SharedFileHandler("a\0b")
    with pytest.raises(ValueError, match="write 1000 at most"):
        SharedFileHandler("a.log", backups=1001)


@pytest.mark.parametrize(("options", "why"), [({"log_file": "a\0b"}, "NUL"), ({"log_file_backups": 1001}, "1000")])
def test_the_configuration_names_what_is_wrong_with_a_log_file(options, why):
    with pytest.raises(ImproperlyConfigured, match=why):
        get_logging_config("user", **options)


def test_a_console_that_raises_does_not_raise_into_the_caller(path, open_handler, monkeypatch):
    class Console:
        def write(self, text):
            raise RuntimeError("no")

    monkeypatch.setattr(sys, "stderr", Console())

    write(open_handler(path / "none" / "service.log"), "one")
