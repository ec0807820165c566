"""What `python -m shared_core.logs` says of files that cannot be read, and of records that mean harm."""

import json
import os
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

pytestmark = pytest.mark.slow

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


HEAD = "INFO 2025-11-20 10:30:45,123 apps "
ACCESS = HEAD.replace("apps", "shared_core.access") + "GET request_id=0f8fad5b1 service=t method=GET path=/x "


def as_json(**fields):
    head = {"level": "INFO", "time": "2025-11-20T10:30:45.123Z", "logger": "apps", "msg": "m"}
    return json.dumps(head | {"request_id": "0f8fad5b1"} | fields)


HOSTILE = {
    "an escape in a text": HEAD + 'msg="a\\u001b[2J\\u001b]0;pwn\\u0007\\nforged" request_id=0f8fad5b1 service=t',
    "an escape in JSON": as_json(msg="a\x1b[2J\nforged", service="s\x1b[31m"),
    "an escape in a call": as_json(
        logger="shared_core.http", method="G\x1b[2J", path="/\n", peer_service="\x9b1m", error="\x07", ms=3
    ),
    "an escape in an id": as_json(request_id="0f8f\x1b[31m\nX"),
    "an escape in one of two ids": as_json(request_id="0f8f\x1b[31m\nX") + "\n" + as_json(request_id="0b"),
    "an escape in a logger": as_json(logger="apps\x1b[2J"),
    "a lone surrogate": as_json(msg="a") + "\n" + HEAD + 'msg="a\\ud800" request_id=0f8fad5b1 service=t',
    "a lone surrogate in JSON": as_json(msg="\ud800", service="\udc80"),
    "markup": ACCESS + 'ms=3 status="</text><script>alert(1)</script>"',
    **{
        f"ms={ms}": ACCESS + f"ms={ms} status=200"
        for ms in ("1e15", "1e308", "1e14", "Infinity", "NaN", "-1", "1" + "0" * 400)
    },
    "the year 1": ACCESS.replace("2025-11-20", "0001-01-01") + "ms=3000000000 status=200",
    "attempts that are a list": as_json(logger="shared_core.http", method="GET", ms=3, attempts=[]),
    "a status that is an object": as_json(logger="shared_core.http", method="GET", ms=3, status={"a": 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_drawn_without_a_crash_and_commands_no_terminal(name, tmp_path):
    path, picture = tmp_path / "a.log", tmp_path / "a.svg"
    path.write_text(HOSTILE[name] + "\n")

    done = run(path, "--trace", "--svg", picture)

    said = (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stderr
    assert all(row.isprintable() for row in said.split("\n"))
    if "two ids" in name or "logger" in name:
        assert (done.returncode, len(said.splitlines())) == (1, 1)
    else:
        assert (done.returncode, len(said.splitlines())) == (0, 3 if name == "a lone surrogate" else 2)
        drawn = ET.fromstring(picture.read_text())  # it is well-formed
        assert {element.tag.partition("}")[2] for element in drawn.iter()} == {"svg", "title", "rect", "text"}


def test_a_name_in_a_message_commands_no_terminal(tmp_path):
    done = run(tmp_path / "a\x1b[2J\nforged.log")

    (line,) = done.stderr.decode().splitlines()
    assert line.isprintable()


def test_a_field_of_a_line_is_never_its_head_in_json(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(HEAD + "x level=ERROR time=y logger=z level_=1\n")

    (line,) = run(path, "--json").stdout.splitlines()

    head = {"level": "INFO", "time": "2025-11-20T10:30:45.123Z", "logger": "apps", "msg": "x"}
    assert json.loads(line) == head | {"level_": "ERROR", "time_": "y", "logger_": "z", "level__": 1}


@pytest.mark.parametrize("line", [HEAD + "x a=NaN b=-Infinity", as_json(a=[{"b": float("nan")}], b=float("inf"))])
def test_numbers_that_json_does_not_know_are_texts(tmp_path, line):
    path = tmp_path / "a.log"
    path.write_text(line + "\n")

    (said,) = run(path, "--json").stdout.decode().splitlines()

    parsed = json.loads(said, parse_constant=pytest.fail)
    assert str(parsed["b"]).endswith("Infinity")
