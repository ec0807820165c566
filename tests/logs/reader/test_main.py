"""The reader of logs: python -m shared_core.logs."""

import contextlib
import gzip
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from shared_core.logs.__main__ import main
from shared_core.logs.reader import sources
from tests.terminal import on_a_terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ID, OTHER = "0f8fad5b-aaaa", "7c9e6679-bbbb"


def line(second, text, level="INFO", logger="apps.tickets", **fields):
    said = "".join(f" {key}={value}" for key, value in fields.items())
    return f"{level} 2025-11-20 10:30:{second:06.3f}".replace(".", ",") + f" {logger} {text}{said}"


def call(second, peer, ms, status=200, **fields):
    fields = {"method": "GET", "peer_service": peer, "path": "/api/v1/x", "status": status, "ms": ms} | fields
    level, text = ("WARNING", f"Call to {peer} failed") if "error" in fields else ("INFO", f"Called {peer}")
    return line(second, text, level, "shared_core.http", **fields)


def access(second, ms, status=200, **fields):
    fields = {"method": "POST", "path": "/api/v1/tickets", "status": status, "ms": ms} | fields
    return line(second, f"POST answered with {status}", "INFO", "shared_core.access", **fields)


@pytest.fixture
def write(tmp_path):
    def write(name, *lines):
        path = tmp_path / name
        path.write_text("".join(f"{text}\n" for text in lines))
        return str(path)

    return write


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        seen = capsys.readouterr()
        return status, seen.out.splitlines(), seen.err

    return run


def test_logs_are_merged_by_time(write, run):
    a = write("a.log", line(1, "one"), line(3, "three"))
    b = write("b.log", line(2, "two"), line(4, "four"))

    assert run(a, b) == (0, [line(1, "one"), line(2, "two"), line(3, "three"), line(4, "four")], "")


def test_a_line_that_is_no_record_is_marked_and_stays_in_place(write, run):
    a = write("a.log", "Booting", line(1, "one"), "Traceback (most recent call last):", '  File "x"', line(3, "three"))
    b = write("b.log", line(2, "two"))

    assert run(a, b)[1] == [
        "? Booting",
        line(1, "one"),
        "? Traceback (most recent call last):",
        '?   File "x"',
        line(2, "two"),
        line(3, "three"),
    ]


def test_control_characters_are_escaped(write, run):
    path = write("a.log", "\x1b[2J\x07 gone")

    assert run(path)[1] == ["? \\x1b[2J\\x07 gone"]


def test_control_characters_in_json_are_escaped_as_json(write, run):
    head = '{"level": "INFO", "time": "2025-11-20T10:30:01.500Z", "logger": "apps",'
    path = write("a.log", head + '\t"msg": "\x9b2J\x7f é"}')

    assert run(path)[1] == [head + ' "msg": "\\u009b2J\\u007f \\u00e9"}']


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--level", "warning"], ["warned", "failed"]),
        (["--logger", "apps.tickets"], ["opened", "warned"]),
        (["--logger", "apps"], ["opened", "warned", "odd"]),
        (["--request-id", ID], ["opened", "failed"]),
        (["--request-id", ID[:8]], ["opened", "failed"]),
        (["--since", "2025-11-20T10:30:02"], ["warned", "failed", "odd"]),
        (["--until", "2025-11-20 11:30:02+01:00"], ["opened", "warned"]),
        (["--where", "ticket_id=42"], ["opened"]),
        (["--where", "ticket_id=42", "--where", f"request_id={OTHER}"], []),
        (["--where", "note=a b"], ["warned"]),
        (["--where", "done=true"], ["odd"]),
        (["--level", "ERROR", "--request-id", ID], ["failed"]),
    ],
)
def test_options_select_records(write, run, arguments, found):
    path = write(
        "a.log",
        line(1, "opened", ticket_id=42, request_id=ID),
        line(2, "warned", "WARNING", note='"a b"', request_id=OTHER),
        line(3, "failed", "ERROR", "django.request", request_id=ID, trace='"a\\nb"'),
        line(4, "odd", "DEBUG", "apps.ticketsystem", done="true"),
        "no record at all",
    )

    assert [text.split(" ")[4].split("=")[0] for text in run(path, *arguments)[1]] == found


@pytest.mark.parametrize("around", [(b"x", b""), (b"x", b"\n"), (b"\0", b"")], ids=["letters", "ended", "NUL"])
@pytest.mark.parametrize("reader", ["read", "followed"])
def test_a_part_of_an_overlong_line_is_no_record(tmp_path, monkeypatch, around, reader):
    monkeypatch.setattr(sources, "_LONGEST_LINE", 200)
    path, (filler, end) = tmp_path / "a.log", around
    forged, real = line(2, "forged").encode(), line(3, "real").encode()
    content = filler * 200 + forged + (filler * 300 + forged if not end else b"") + b"\n" + real + b"\n"
    path.touch()
    file = sources.Followed(str(path))
    path.write_bytes(content)
    with contextlib.closing(file):
        found = list(sources.merged([str(path)]) if reader == "read" else file.new())

    assert b"".join(piece.text.replace("\\x00", "\0").encode() for piece in found) == content.replace(b"\n", b"")
    assert [piece.text for piece in found if piece.is_record] == [real.decode()]


def test_a_request_id_in_another_field_does_not_match(write, run):
    assert run(write("a.log", line(1, "mentioned", note=ID)), "--request-id", ID)[1] == []


def test_since_accepts_a_duration(write, run):
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    path = write("a.log", line(1, "old"), f"INFO {now},000 apps new")

    assert run(path, "--since", "10m")[1] == [f"INFO {now},000 apps new"]


def test_json_lines_are_read_and_written(write, run):
    written = {"level": "INFO", "time": "2025-11-20T10:30:01.500Z", "logger": "apps", "msg": "a=b", "n": 1, "t": "x y"}
    path = write("a.log", json.dumps(written), line(2, "text", n=2), '{"level": "INFO"}', "{")

    _, out, _ = run(path, "--json")

    assert [json.loads(text) for text in out] == [
        written,
        {"level": "INFO", "time": "2025-11-20T10:30:02.000Z", "logger": "apps.tickets", "msg": "text", "n": 2},
        {"foreign": '{"level": "INFO"}'},
        {"foreign": "{"},
    ]
    assert run(path, "--where", "n=1")[1] == [json.dumps(written)]


def test_the_prefix_of_docker_compose_is_taken_off(write, run):
    assert run(write("a.log", f"ticket-service-1  | {line(1, 'one')}"))[1] == [line(1, "one")]


def test_gzipped_logs_and_standard_input_are_read(tmp_path, run, monkeypatch):
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(f"{line(1, 'one')}\n".encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{line(2, 'two')}\n".encode())))

    assert run(tmp_path / "a.log.1.gz", "-")[1] == [line(1, "one"), line(2, "two")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "soon"], "'soon' is not a time: write 10m"),
        (["--since", "9999999d"], "'9999999d' is not a time: write 10m"),
        (["--until", "9" * 20 + "d"], "is not a time: write 10m"),
        (["--where", "novalue"], "'novalue' is not key=value: write ticket_id=42"),
        (["--follow", "--trace"], "leave out --follow"),
    ],
)
def test_a_usage_error_is_one_line_with_status_2(run, arguments, said):
    status, out, err = run(*arguments)

    assert (status, out) == (2, [])
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("no-such.log", None, "No such file or directory"),
        (".", None, "Is a directory"),
        ("a.gz", b"no gzip", "Not a gzipped file"),
        ("a.gz", gzip.compress(os.urandom(5_000))[:3_000], "Compressed file ended before the end-of-stream marker"),
        ("a.gz", gzip.compress(b"INFO")[:10] + b"\xff" * 20, "Error -3 while decompressing data"),
    ],
    ids=["missing", "a folder", "not gzip", "cut off", "spoilt"],
)
def test_an_unreadable_file_is_one_line_with_status_1(run, tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, _, err = run(tmp_path / name)

    assert status == 1
    assert err.startswith(f"shared_core.logs: {tmp_path / name} cannot be read ({reason}")
    assert err.endswith("): fix that, or name another file\n")
    assert err.count("\n") == 1


def test_an_svg_that_cannot_be_written_is_one_line_with_status_1(story, run, tmp_path):
    path = tmp_path / "nowhere" / "request.svg"
    status, _, err = run(*story, "--request-id", ID, "--svg", path)

    assert status == 1
    assert err.startswith(f"shared_core.logs: {path} cannot be written (No such file or directory): ")


def test_without_a_file_the_reader_says_that_it_reads_the_terminal():
    with subprocess.Popen(
        [sys.executable, "-m", "shared_core.logs"], stdin=(ends := pty.openpty())[1], stderr=subprocess.PIPE, text=True
    ) as program:
        os.write(ends[0], b"\x04")  # Ctrl-D
        said = program.stderr.read()
    for end in ends:
        os.close(end)

    assert said == "shared_core.logs: Reading what is typed until Ctrl-D; name files, or see --help\n"
    assert program.returncode == 0


@pytest.mark.parametrize(("changes", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_timeline_is_coloured_on_a_terminal_without_no_color(story, changes, coloured):
    command = [sys.executable, "-m", "shared_core.logs", *story, "--request-id", ID, "--trace"]
    status, shown = on_a_terminal(command, env=os.environ | {"TERM": "xterm", "NO_COLOR": ""} | changes)

    assert status == 0
    assert f"request {ID}" in shown
    assert ("\x1b" in shown) is coloured


@pytest.fixture
def story(write):
    """One request through three services: ticket asks user, once in vain, and file, which is down."""
    return [
        write(
            "ticket.log",
            line(10.010, "Opening", ticket_id=42, service="ticket", request_id=ID),
            call(10.300, "user", 280, attempts=2, service="ticket", request_id=ID),
            call(10.400, "file", 90, 503, error="ServerError", attempts=1, service="ticket", request_id=ID),
            access(10.410, 410, 503, service="ticket", request_id=ID),
            line(11, "unrelated", request_id=OTHER),
        ),
        write(
            "user.log",
            access(10.060, 20, 503, service="user", request_id=ID),
            access(10.290, 50, 200, service="user", request_id=ID),
        ),
        write("file.log", line(10.350, "Disk is full", "ERROR", service="file", request_id=ID)),
    ]


def test_a_request_is_drawn_as_a_timeline_through_all_services(story, run):
    status, (head, *rows), _ = run(*story, "--request-id", ID, "--trace")

    assert status == 0
    assert head == f"request {ID}  2025-11-20 10:30:10 UTC  410 ms  3 services  4 failures"
    # mark, start, service and what, how long
    assert [
        (row[0], row[1:7].strip(), " ".join(row.split("|")[0][12:].split()), " ".join(row.split("|")[2].split()))
        for row in rows
    ] == [
        ("!", "0", "ticket POST /api/v1/tickets", "410 ms 503"),
        (" ", "10", "ticket · apps.tickets: Opening", ""),
        (" ", "20", "ticket -> user GET /api/v1/x", "280 ms 200 after 2 attempts"),
        ("!", "40", "user POST /api/v1/tickets", "20 ms 503"),
        (" ", "240", "user POST /api/v1/tickets", "50 ms 200"),
        ("!", "310", "ticket -> file GET /api/v1/x", "90 ms ServerError"),
        ("!", "350", "file · apps.tickets: Disk is full", "ERROR"),
    ]
    assert len({len(row.split("|")[1]) for row in rows}) == 1


def test_a_record_in_two_logs_is_drawn_once(story, run):
    once = run(*story, "--request-id", ID, "--trace")[1]

    assert run(*story, *story, "--request-id", ID, "--trace")[1] == once


def test_the_bars_of_a_timeline_show_when_time_passed(story, run):
    rows = run(*story, "--request-id", ID, "--trace")[1][1:]
    bars = [row.split("|")[1] for row in rows]

    assert set(bars[0]) == {"█"}
    assert bars[2].count("░") / len(bars[0]) == pytest.approx(280 / 410, abs=0.05)
    assert bars[5].index("░") / len(bars[0]) == pytest.approx(310 / 410, abs=0.05)


def test_a_request_is_drawn_as_a_picture(story, run, tmp_path):
    status, out, _ = run(*story, "--request-id", ID, "--svg", tmp_path / "request.svg")
    picture = ET.parse(tmp_path / "request.svg").getroot()
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]

    assert (status, out) == (0, [])
    assert {"user  POST /api/v1/tickets", "200  50 ms", "ServerError  90 ms"} <= set(texts)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}rect"))) == 8


def test_an_svg_escapes_markup_from_users(write, run, tmp_path):
    path = write("a.log", line(1, "<script>alert(1)</script>&", request_id=ID, service='"<b>"'))
    run(path, "--request-id", ID, "--svg", tmp_path / "x.svg")

    assert "<script>" not in (tmp_path / "x.svg").read_text()
    assert ET.parse(tmp_path / "x.svg") is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "of 2 requests; choose one with --request-id, such as"), (["--request-id", "nobody1"], "no record has such")],
)
def test_a_timeline_of_no_or_several_requests_is_an_error(story, run, arguments, said):
    status, out, err = run(*story, "--trace", *arguments)

    assert (status, out) == (1, [])
    assert said in err


@pytest.mark.parametrize("name", ["a.log", "a.log.gz"])
def test_progress_is_shown_only_if_both_outputs_are_a_terminal(tmp_path, name):
    path = tmp_path / name
    text = f"{line(1, 'one')}\n" * 40_000 + f"{line(2, 'two', 'ERROR')}\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    command = [sys.executable, "-m", "shared_core.logs", str(path), "--level", "ERROR"]
    _, shown = on_a_terminal(command)
    _, beside_a_pager = on_a_terminal(command, ["stdin", "stderr"], stdout=subprocess.DEVNULL)

    first, *_, gone, last = shown.lstrip("\r").split("\r")
    assert re.match(rf"read \[#+\.+\] 1,000/{len(text) // 1000:,}  54% [0-9,]+ kB/s ", first)
    assert (gone.strip(), last) == ("", f"{line(2, 'two', 'ERROR')}\n")
    assert "\x1b" not in shown
    assert beside_a_pager == ""


def test_a_followed_file_may_be_rotated_removed_and_truncated(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(f"{line(1, 'old')}\n")
    file = sources.Followed(str(path))
    seen = []

    def look(change):
        change()
        seen.append([found.text.split(" ")[4] for found in file.new()])

    def append(text):
        with path.open("a") as log:
            log.write(text)

    def rotate():
        append(f"{line(3, 'before')}\n")
        path.rename(tmp_path / "a.log.1")
        append(f"{line(4, 'after')}\n")

    look(lambda: None)
    look(lambda: append(f"{line(2, 'new')}\n{line(3, 'half')[:30]}"))
    look(lambda: append(f"{line(3, 'half')[30:]}\n"))
    look(rotate)
    look(path.unlink)
    look(lambda: append(f"{line(5, 'back')}\n"))
    look(lambda: path.write_text(f"{line(6, 'cut')}\n"))
    look(lambda: append(line(7, "half")[:30]))
    look(lambda: path.write_text(f"{line(8, 'anew')}\n"))
    file.close()

    assert seen == [[], ["new"], ["half"], ["before", "after"], [], ["back"], ["cut"], [], ["anew"]]


def test_followed_files_are_merged_by_time(write):
    paths = [Path(write("a.log")), Path(write("b.log"))]
    lines = sources.followed([str(path) for path in paths], sleep=lambda _: fill())
    filled = iter([paths, []])

    def fill():
        for number, path in enumerate(next(filled)):
            path.write_text(f"{line(1 + number, 'one')}\nno record\n{line(3 + number, 'two')}\n")

    found = [next(lines) for _ in range(6)]

    assert [(found.time[17:19], found.is_record) for found in found] == [
        ("01", True),
        ("01", False),
        ("02", True),
        ("02", False),
        ("03", True),
        ("04", True),
    ]


def test_the_program_follows_until_it_is_interrupted(tmp_path):
    path, later = tmp_path / "a.log", tmp_path / "later.log"
    path.write_text(f"{line(1, 'old')}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "shared_core.logs", "-f", str(path), str(later), "--level", "ERROR"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=environment) as program:
        stop = threading.Event()

        def write():
            while not stop.wait(0.1):
                with path.open("a") as log:
                    log.write(f"{line(2, 'quiet')}\n{line(3, 'loud', 'ERROR')}\n")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = program.stdout.readline().rstrip("\n")
        finally:
            stop.set()
            writer.join()
            program.send_signal(2)
        program.stdout.close()
        said = program.stderr.read()
        status = program.wait(10)

    assert (seen, status) == (line(3, "loud", "ERROR"), 130)
    assert said == f"shared_core.logs: {later} is not there yet: waiting for it\n"


def test_a_closed_pipe_is_no_error(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(f"{line(1, 'one')}\n" * 50_000)
    done = subprocess.run(
        f"{sys.executable} -m shared_core.logs {path} | head -1",
        shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == (f"{line(1, 'one')}\n", "")


def test_a_large_log_takes_little_memory(tmp_path):
    path = tmp_path / "a.log"
    with path.open("w") as log:
        for _ in range(100):
            log.write(f"{line(1, 'one', request_id=OTHER)}\n" * 10_000)
        log.write(f"{line(2, 'two', request_id=ID)}\n")
    code = (
        "import tracemalloc, sys; from shared_core.logs.__main__ import main; tracemalloc.start();"
        f"main([{str(path)!r}, {str(path)!r}, '--request-id', {ID!r}]);"
        "print(tracemalloc.get_traced_memory()[1], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )

    assert done.stdout.splitlines() == [line(2, "two", request_id=ID)] * 2
    assert int(done.stderr) < 5_000_000 < path.stat().st_size
