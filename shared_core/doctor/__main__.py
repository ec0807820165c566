"""Report what is set, what answers and what is wrong with the service in this folder.

Versions, variables, settings, databases and their pooler, migrations, the services called, and system checks.
"""

import argparse
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from django.db import connections

from shared_core.doctor.databases import check_database, topic_of
from shared_core.doctor.lines import Line, TimedCheck, describe_error
from shared_core.doctor.project import configure_databases_only, find_project, is_set_up, set_up_django
from shared_core.doctor.services import service_urls, start_service_checks
from shared_core.doctor.surroundings import variables, versions
from shared_core.doctor.system import run_system_checks
from shared_core.terminal import uses_colour
from shared_core.timing import Deadline

_TIMEOUT = 10.0  # seconds for all that is asked
_DATABASES_TIMEOUT = 6.0  # of these
_MIN_CHECKS_TIMEOUT = 2.0

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
    colour = uses_colour(sys.stdout)
    # What is found is on the page; log lines and warnings would stand between.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    failures = 0
    try:
        for line in _report():
            print(line.as_text(colour=colour), flush=True)
            failures += line.mark == "FAIL"
        last = Line("FAIL", "doctor", f"failures: {failures}") if failures else Line("ok", "doctor", "nothing fails")
        print(last.as_text(colour=colour), flush=True)
    except OSError as error:
        failures += 1
        line = Line(
            "FAIL", "doctor", f"this folder cannot be read: {describe_error(error)}", "Go to a service's folder"
        )
        print(line.as_text(colour=colour))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m shared_core doctor",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _report() -> Iterator[Line]:
    deadline = Deadline(_TIMEOUT)
    project = find_project(Path.cwd())
    yield from versions()
    entered = list(set_up_django(project))  # into its folder: the .env that counts is the one that is seen from there
    yield from variables()
    yield from entered
    yield from configure_databases_only()
    services = start_service_checks(service_urls(by_settings=is_set_up()))
    answering = []
    for alias, check in _start_database_checks().items():
        lines = check.lines()
        yield from lines
        if any(line.mark == "ok" for line in lines):
            answering.append(alias)
    for service in services:
        yield from service.lines()
    if is_set_up():
        patience = max(deadline.left(), _MIN_CHECKS_TIMEOUT)
        yield from TimedCheck("checks", partial(run_system_checks, answering), timeout=patience).lines()
    else:
        yield Line("warn", "checks", "not run, nor were migrations looked at", "Fix the settings first")


def _start_database_checks() -> dict[str, TimedCheck]:
    aliases = [alias for alias, database in connections.settings.items() if database["ENGINE"] != _NO_DATABASE]
    checks = {alias: partial(check_database, alias, migrations=is_set_up()) for alias in aliases}
    return {alias: TimedCheck(topic_of(alias), ask, timeout=_DATABASES_TIMEOUT) for alias, ask in checks.items()}


if __name__ == "__main__":
    sys.exit(main())
