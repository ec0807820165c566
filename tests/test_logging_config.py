import io
import json
import logging
import logging.config
import os
import pty
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.logging_config import get_logging_config
from shared_core.logs import parse_line

VARIABLES = ("SERVICE_NAME", "ENVIRONMENT", "LOG_LEVEL", "LOG_FORMAT", "LOG_FILE", "LOG_LEVELS")


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_result_is_a_plain_dict_with_the_parts_that_services_edit():
    config = get_logging_config("user")

    assert json.loads(json.dumps(config))["formatters"]["verbose"]["service"] == "user"
    assert config["handlers"]["console"]["stream"] == "ext://sys.stderr"
    assert {"apps", "django"} <= set(config["loggers"])
    assert config["root"]["handlers"] == ["console"]


def test_the_environment_sets_what_arguments_leave_out(monkeypatch, tmp_path):
    monkeypatch.setenv("SERVICE_NAME", "ticket")
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "ticket.log"))
    monkeypatch.setenv("LOG_LEVELS", "apps.noisy=warning, django.db.backends=INFO")

    config = get_logging_config()

    assert config["formatters"]["verbose"]["()"].endswith("JsonFormatter")
    assert config["formatters"]["verbose"]["service"] == "ticket"
    assert config["root"] == {"level": "DEBUG", "handlers": ["console", "file"]}
    assert config["handlers"]["file"]["filename"] == str(tmp_path / "ticket.log")
    assert config["loggers"]["apps.noisy"]["level"] == "WARNING"
    assert config["loggers"]["django.db.backends"]["level"] == "INFO"


def test_production_is_quieter_than_development():
    levels = [get_logging_config(environment=name)["root"]["level"] for name in ("prod", "dev", "test")]

    assert levels == ["INFO", "DEBUG", "INFO"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOG_LEVEL", "LOUD", r"LOG_LEVEL='LOUD' is no logging level: write one of DEBUG, INFO"),
        ("LOG_FORMAT", "xml", r"LOG_FORMAT='xml' is none of text, json, dev"),
        ("ENVIRONMENT", "live", r"ENVIRONMENT='live' is none of"),
        ("LOG_LEVELS", "apps", r"LOG_LEVELS='apps': write logger=LEVEL"),
        ("LOG_LEVELS", "apps=LOUD", r"the level of apps='LOUD' is no logging level"),
    ],
)
def test_an_invalid_variable_is_an_error_that_names_the_allowed_values(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=message):
        get_logging_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 10}, "LOG_LEVEL=10 is no logging level: write one of DEBUG, INFO"),
        ({"levels": {"apps": 10}}, "the level of apps=10 is no logging level"),
        ({"mask_keys": "ssn"}, r"mask_keys='ssn' must be a list of keys: write \['ssn'\]"),
        ({"log_file_max_bytes": "10MB"}, "log_file_max_bytes='10MB' must be a whole number, 0 or more"),
        ({"log_file_max_bytes": -1}, "log_file_max_bytes=-1 must be a whole number, 0 or more"),
        ({"log_file_backups": 0}, "log_file_backups=0 must be a whole number, 1 or more"),
        ({"clashing_extras": "drop"}, "clashing_extras='drop' is none of rename, raise"),
        ({"max_record_bytes": True}, "max_record_bytes=True must be a whole number, 256 or more"),
    ],
)
def test_an_argument_that_is_wrong_is_an_error_that_says_what_to_write(arguments, message):
    with pytest.raises(ImproperlyConfigured, match=message):
        get_logging_config(**arguments)


DEVELOPER = """
import logging, logging.config, sys
from shared_core.logging_config import get_logging_config
logging.config.dictConfig(get_logging_config("user", environment="dev", format="dev", log_file=sys.argv[1]))
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("apps").exception("Failed")
"""


@pytest.mark.parametrize(("no_colour", "has_colour"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_gets_colours_and_traceback_blocks_and_a_file_does_not(tmp_path, no_colour, has_colour):
    terminal, its_stderr = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    if no_colour is not None:
        environment["NO_COLOR"] = no_colour

    command = [sys.executable, "-c", DEVELOPER, str(tmp_path / "user.log")]
    subprocess.run(command, stderr=its_stderr, env=environment, check=True, timeout=60)
    seen = os.read(terminal, 10_000).decode().replace("\r\n", "\n")
    os.close(its_stderr)
    os.close(terminal)

    first, *block = seen.rstrip("\n").split("\n")
    assert first.startswith("\x1b[31mERROR 2") is has_colour
    assert first.endswith('exc_msg="division by zero"\x1b[0m') is has_colour
    assert seen.count("\x1b") == (2 if has_colour else 0)
    assert block[0] == "    Traceback (most recent call last):"
    (line,) = (tmp_path / "user.log").read_text().splitlines()
    assert parse_line(line)["fields"]["trace"].startswith("Traceback")


SERVICE = """
import logging, sys
import django
from django.conf import settings
from shared_core.logging_config import get_logging_config

settings.configure(LOGGING=get_logging_config("user", log_file=sys.argv[1], environment="dev"), DEBUG=True)
django.setup()
logging.config.dictConfig(settings.LOGGING)
logging.getLogger("apps.users").debug("from an app", extra={"user_id": 1})
logging.getLogger("django.request").warning("from django")
logging.getLogger("django.server").info("from runserver", extra={"server_time": "now"})
logging.getLogger("somewhere.else").info("from a library")
"""


def test_each_record_is_written_once_to_console_and_file_in_a_real_service(tmp_path):
    log_file = tmp_path / "user.log"
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, str(log_file)], capture_output=True, text=True, check=True, timeout=60
    )

    records = [parse_line(line) for line in log_file.read_text().splitlines()]
    assert done.stderr == log_file.read_text()
    assert [(record["logger"], record["message"]) for record in records] == [
        ("apps.users", "from an app"),
        ("django.request", "from django"),
        ("django.server", "from runserver"),
        ("somewhere.else", "from a library"),
    ]
    assert records[0]["fields"] == {"user_id": 1, "service": "user"}


def test_a_service_without_a_name_writes_no_service_field(monkeypatch):
    config = get_logging_config()
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["verbose"])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)

    handler.handle(logging.LogRecord("apps", logging.INFO, "x.py", 1, "Started", (), None))

    assert parse_line(stream.getvalue())["fields"] == {}
