"""The names that version 0.1 has for `shared_core.logs` work until version 0.3, and warn."""

import subprocess
import sys

import pytest

OLD = {
    "shared_core.log_format": ["DevFormatter", "JsonFormatter", "TextFormatter", "parse_line"],
    "shared_core.log_handlers": ["SharedFileHandler"],
    "shared_core.log_queue": ["QueuedHandler"],
}
ALL = [(module, name) for module, names in OLD.items() for name in names]

CONFIGURE = """
import logging.config, sys
logging.config.dictConfig({
    "version": 1,
    "formatters": {"verbose": {"()": "shared_core.log_format.TextFormatter", "service": "ticket"}},
    "handlers": {
        "file": {
            "class": "shared_core.log_handlers.SharedFileHandler",
            "filename": sys.argv[1],
            "formatter": "verbose",
        },
        "queue": {"class": "shared_core.log_queue.QueuedHandler", "handlers": ["file"]},
    },
    "root": {"handlers": ["queue"]},
})
logging.warning("Ticket opened")
"""


def run(code, *arguments):
    """Run ``code`` in a process of its own, in which every warning is shown, and return what is shown."""
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr


@pytest.mark.parametrize(("module", "name"), ALL)
def test_an_old_name_is_the_new_object_and_its_warning_says_the_new_name(module, name):
    shown = run(f"import shared_core.logs\nfrom {module} import {name}\nassert {name} is shared_core.logs.{name}")

    assert f"DeprecationWarning: {module} is renamed: write shared_core.logs, for example shared_core.logs." in shown
    assert shown.startswith("<string>:2: ")  # where the old name is written


def test_a_logging_dict_with_old_names_works_and_warns_of_each(tmp_path):
    path = tmp_path / "service.log"
    shown = run(CONFIGURE, path)

    assert path.read_text().endswith(" root Ticket opened service=ticket\n")
    assert [module for module in OLD if f"{module} is renamed: write shared_core.logs" in shown] == list(OLD)


def test_the_new_logging_dict_does_not_warn(tmp_path):
    code = """
import logging.config, sys
from shared_core.logging_config import get_logging_config
logging.config.dictConfig(get_logging_config("ticket", log_file=sys.argv[1]))
"""
    assert run(code, tmp_path / "service.log") == ""
