"""What `python -m shared_core.logs` says of a file that cannot be read: one line, and a status of 1."""

import os
import socket
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120  # short


def run(*arguments, **options):
    command = [sys.executable, "-m", "shared_core.logs", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False, **options)


@pytest.fixture
def name(request, tmp_path):
    path = tmp_path / "service.log"
    if request.param == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
            yield path
    elif request.param == "folder":
        path.mkdir()
        yield path
    elif request.param == "link to itself":
        path.symlink_to(path)
        yield path
    elif request.param == "broken gzip":
        path = path.with_suffix(".gz")
        path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"x" * 100)
        yield path
    elif request.param == "fifo":
        os.mkfifo(path)
        yield path
    else:
        yield request.param


UNREADABLE = ["/proc/self/mem", "/proc/self/mem.gz", "socket", "folder", "link to itself", "broken gzip"]


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--trace"], ["--level", "ERROR"]], ids=" ".join)
@pytest.mark.parametrize("name", UNREADABLE, indirect=True)
def test_what_cannot_be_read_is_one_line_and_a_status_of_1(name, arguments):
    done = run(name, *arguments)

    assert done.returncode == 1
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"shared_core.logs: {name} cannot be read (")


@pytest.mark.parametrize(
    "name", ["/proc/self/mem", "socket", "folder", "fifo", "/dev/zero", "/dev/null"], indirect=True
)
def test_what_cannot_be_followed_is_one_line_and_a_status_of_1(name):
    done = run(name, "--follow")

    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"shared_core.logs: {name} cannot be read (")


def test_what_was_read_before_is_shown(tmp_path):
    good = tmp_path / "a.log"
    good.write_text("no record\n")

    done = run("/proc/self/mem", good)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_a_standard_input_that_is_closed_is_one_line_and_a_status_of_1():
    done = run(preexec_fn=lambda: os.close(0))

    assert done.returncode == 1
    assert done.stderr.decode().startswith("shared_core.logs: standard input cannot be read (")
    assert len(done.stderr.splitlines()) == 1


def test_a_standard_input_that_fails_is_one_line_and_a_status_of_1():
    with open("/proc/self/mem", "rb") as file:  # noqa: PTH123
        done = run(stdin=file)

    assert done.returncode == 1
    assert done.stderr.decode().startswith("shared_core.logs: standard input cannot be read (")


def test_a_fifo_is_read_to_its_end(tmp_path):
    path = tmp_path / "service.log"
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", f"echo no record > {path}"]):
        done = run(path)

    assert (done.returncode, done.stdout) == (0, b"? no record\n")


def test_an_empty_device_is_an_empty_log():
    assert run("/dev/null").returncode == 0
