"""Say what is set, what answers and what is wrong with the service in this folder.

Versions, variables, settings, databases and their pooler, migrations, the services called, and system checks.
"""

import argparse
import io
import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from django.db import connections

from shared_core.doctor.databases import ask_database, topic_of
from shared_core.doctor.lines import Asking, Line, reason_of
from shared_core.doctor.project import enter, fall_back, find_project, is_set_up
from shared_core.doctor.services import ask_services, called
from shared_core.doctor.surroundings import variables, versions
from shared_core.doctor.system import ask_checks
from shared_core.terminal import wants_colour

_WITHIN = 10.0  # seconds for all that is asked
_DATABASES_WITHIN = 6.0  # of these
_CHECKS_AT_LEAST = 2.0

# What Django has where DATABASES is empty.
_NO_DATABASE = "django.db.backends.dummy"

_EXAMPLES = """\
cd ticket-service; python -m shared_core doctor
DJANGO_SETTINGS_MODULE=core.settings.prod python -m shared_core doctor
docker compose exec ticket python -m shared_core doctor

Each line begins with ok, warn or FAIL; secrets are never printed. It takes some 10 s at most, whatever hangs.
Exit status: 0 where nothing fails, 1 where something does, 2 for a mistake in the command line.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``doctor``; return its exit status."""
    _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what others say may have letters that a terminal has not
    colour = wants_colour(sys.stdout)
    # What is found is on the page; log lines and warnings would stand between.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    failures = 0
    try:
        for line in _page():
            print(line.as_text(colour=colour), flush=True)
            failures += line.mark == "FAIL"
        last = Line("FAIL", "doctor", f"failures: {failures}") if failures else Line("ok", "doctor", "nothing fails")
        print(last.as_text(colour=colour), flush=True)
    except OSError as error:
        failures += 1
        line = Line("FAIL", "doctor", f"this folder cannot be read: {reason_of(error)}", "Go to a service's folder")
        print(line.as_text(colour=colour))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m shared_core doctor",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _page() -> Iterator[Line]:
    end = time.monotonic() + _WITHIN
    project = find_project(Path.cwd())
    yield from versions()
    entered = list(enter(project))  # into its folder: the .env that counts is the one that is seen from there
    yield from variables()
    yield from entered
    yield from fall_back()
    services = ask_services(called(by_settings=is_set_up()))
    answering = []
    for alias, asking in _ask_databases().items():
        lines = asking.lines()
        yield from lines
        if any(line.mark == "ok" for line in lines):
            answering.append(alias)
    for service in services:
        yield from service.lines()
    if is_set_up():
        patience = max(end - time.monotonic(), _CHECKS_AT_LEAST)
        yield from Asking("checks", partial(ask_checks, answering), within=patience).lines()
    else:
        yield Line("warn", "checks", "not run, nor were migrations looked at", "Mend the settings first")


def _ask_databases() -> dict[str, Asking]:
    aliases = [alias for alias, database in connections.settings.items() if database["ENGINE"] != _NO_DATABASE]
    asked = {alias: partial(ask_database, alias, migrations=is_set_up()) for alias in aliases}
    return {alias: Asking(topic_of(alias), ask, within=_DATABASES_WITHIN) for alias, ask in asked.items()}


if __name__ == "__main__":
    sys.exit(main())
