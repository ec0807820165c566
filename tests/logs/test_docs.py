"""docs/logs.md holds: its expressions read what is written, and its code runs; lnav reads it where it is installed."""

import json
import logging
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import re2

from shared_core import context
from shared_core.logging_config import get_logging_config
from shared_core.logs import TextFormatter, parse_line
from tests.logs.hostile import Hostile

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "logs.md").read_text()
LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error"}

# logfmt with JSON's strings, which is what Loki's and lnav's readers take.
FIELD = re.compile(r' ([A-Za-z0-9_.-]{1,64})=(?:("(?:[^"\\]|\\.)*")|([^ "=]*))')


def lines(count):
    """Return lines of hostile records, some with an exception."""
    hostile, formatter = Hostile("tools"), TextFormatter(service="tickets")
    made = []
    for number in range(count):
        with context.bind(request_id=f"request-{number}", **hostile.fields(["x", "X.y", "0", "y-z"])):
            record, _ = hostile.record(hostile.fields(["a", "ticket_id", "user.id", "_", "b"]))
            if number % 5 == 0:
                error = ValueError(hostile.text())
                record.exc_info = (ValueError, error, None)
            made.append(formatter.format(record))
    return made


def fields_of(text):
    """Return ``{key: text}`` of a run of fields."""
    assert "".join(found[0] for found in FIELD.finditer(text)) == text
    return {found[1]: json.loads(found[2]) if found[2] else found[3] for found in FIELD.finditer(text)}


def as_text(value):
    """Return what logfmt, which knows texts only, makes of a value."""
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture
def expression():
    """The page's, read by the engine whose syntax Go's and Rust's share."""
    (text,) = re.findall(r"^```re2\n(.*?)\n```", PAGE, re.MULTILINE)
    return re2.compile(text)


def test_the_expression_for_other_tools_reads_every_line_exactly(expression):
    for line in lines(2000):
        parsed, read = parse_line(line), expression.match(line)

        assert (read["level"], read["logger"]) == (parsed["level"], parsed["logger"])
        assert read["time"] == parsed["time"].strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        fields = fields_of(read["fields"])
        assert (read["message"] or fields.pop("msg", "")) == parsed["message"]
        assert fields.keys() == parsed["fields"].keys()
        for key, value in parsed["fields"].items():
            if isinstance(value, str | bool | None):
                assert fields[key] == as_text(value)


def test_the_expression_refuses_what_is_no_record(expression):
    assert expression.match("Traceback (most recent call last):") is None


@pytest.fixture
def lnav(tmp_path):
    """Return a function that runs lnav's commands on a file and returns its result, with the format installed."""
    if (program := shutil.which("lnav")) is None:
        pytest.skip("lnav is not installed (apt-get install lnav)")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TERM": "dumb", "TZ": "UTC"}

    def run(path, query):
        done = subprocess.run(
            [program, "-n", "-c", f";{query}", "-c", ":write-json-to -", path],
            env=environment, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout)

    install = [program, "-i", str(DOCS / "lnav" / "shared_core.json")]
    subprocess.run(install, env=environment, check=True, capture_output=True, timeout=60)
    checked = subprocess.run([program, "-C"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    return run


def test_lnav_reads_level_time_logger_message_and_fields(lnav, tmp_path):
    path = tmp_path / "tickets.log"
    # Its time goes forward: lnav orders a file's lines.
    written = sorted(lines(1000), key=lambda line: parse_line(line)["time"])
    written = [line for line in written if parse_line(line)["time"].year >= 2025]
    path.write_text("".join(f"{line}\n" for line in written))

    rows = lnav(
        path,
        "SELECT log_level, log_time, logger, log_body, request_id, service, fields FROM shared_core ORDER BY log_line",
    )

    assert len(rows) == len(written) > 300
    for row, line in zip(rows, written, strict=True):
        parsed = parse_line(line)
        assert row["logger"] == parsed["logger"]
        assert row["log_level"] == LEVELS.get(parsed["level"], row["log_level"])
        assert row["log_time"] == parsed["time"].strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        assert row["request_id"] == parsed["fields"]["request_id"]
        assert row["service"] == parsed["fields"]["service"]
        assert row["fields"] == line[len(line) - len(row["fields"]) :]
        fields = fields_of(row["fields"])
        assert (fields.pop("msg", "") or row["log_body"]) == parsed["message"]
        assert fields.keys() == parsed["fields"].keys()


def test_lnav_gives_the_fields_of_an_ordinary_line_as_json(lnav, tmp_path):
    path = tmp_path / "tickets.log"
    record = logging.LogRecord("apps", 20, "views.py", 7, "Ticket opened", (), None)
    extras = {"ticket_id": 42, "ms": 1.5, "title": 'a "b"\nc=d \\ ä', "is_new": True}
    vars(record).update(extras)
    path.write_text(TextFormatter().format(record) + "\n")

    (row,) = lnav(path, "SELECT logfmt2json(fields) AS json FROM shared_core")

    assert row["json"] == extras


def test_the_lnav_query_on_the_page_finds_the_lines_of_one_request(lnav, tmp_path):
    (query,) = re.findall(r"^    ;(SELECT .*)$", PAGE, re.MULTILINE)
    path = tmp_path / "tickets.log"
    formatter = TextFormatter(service="tickets")
    made = []
    for identity in ("0f8fad5b", "1a2b3c4d"):
        with context.bind(request_id=identity):
            record = logging.LogRecord("apps.tickets", 20, "views.py", 7, "request_id=0f8fad5b %s", (identity,), None)
            made.append(formatter.format(record))
    path.write_text("".join(f"{line}\n" for line in made))

    (row,) = lnav(path, query)

    assert row["logger"] == "apps.tickets"


def test_the_code_on_the_page_runs(capture_logs):
    names = {"get_logging_config": get_logging_config, "logging": logging, "__name__": "apps"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(compile(block, "docs/logs.md", "exec"), names)  # the project's own page

    capture_logs.clear()
    names["test_a_ticket_is_opened"](capture_logs)
    assert names["LOGGING"]["root"]["handlers"] == ["console", "queue"]
    assert names["logconfig_dict"]["version"] == 1
