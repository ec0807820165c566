"""The base of the commands: help with examples, errors that say what to do next, exit codes, and colour.

``call_command`` raises Django's exceptions unchanged. The rest is for people who type the command.
"""

import argparse
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter, OutputWrapper
from django.db import Error, InterfaceError, OperationalError, connections

from shared_core.databases.sessions import sqlstate_of
from shared_core.terminal import EXIT_BROKEN_PIPE, Progress, ProgressBar, graceful_exit, requested_colour

# PostgreSQL's codes, https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_SUCH_TABLE = {"42P01", "42703"}  # or column
_NEXT_STEPS = {
    "42501": "Have the owner GRANT it to this role, or run it as the owner.",
    "25006": "Name a database that can be written to.",
}
# The connection was refused, lost or ended; there are too many.
_CONNECTION_ERRORS = ("08", "57P", "53300")


class _HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's, which leaves the lines of the examples as they are."""


class TerminalCommand(BaseCommand):
    """A command that people type."""

    examples = ""  # one a line, "manage.py name --option   what it does"; then what the exit status tells
    needs_tables = True  # that are migrated
    _is_run_from_shell = False

    def __init__(
        self,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        no_color: bool = False,  # as Django has it
        force_color: bool = False,
    ) -> None:
        """Begin as Django's commands do, with what the environment says of colour; options override that."""
        asked = requested_colour()
        no_color |= asked is False and not force_color
        super().__init__(stdout, stderr, no_color, force_color or (asked is True and not no_color))

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return Django's parser, with the examples below the options."""
        return super().create_parser(
            prog_name, subcommand, **{"epilog": self.examples, "formatter_class": _HelpFormatter, **kwargs}
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run it as a program, to an orderly end."""
        self._is_run_from_shell = True
        with graceful_exit(unread=EXIT_BROKEN_PIPE):
            super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it; who typed it gets a line in place of a traceback where the database is not as it must be."""
        try:
            return super().execute(*args, **options)
        except Error as error:
            if self._is_run_from_shell and (describe_error := self.describe_error(error)):
                raise CommandError(describe_error) from error
            raise

    def describe_error(self, error: Error) -> str | None:
        """Return what is wrong with the database, and what to do; None where it is an error of the program's."""
        said, code = str(error).partition("\n")[0].rstrip("."), sqlstate_of(error)
        if code in _NO_SUCH_TABLE or said.startswith("no such "):  # as SQLite says it
            return f"{said}. Run manage.py migrate first." if self.needs_tables else None
        if code in _NEXT_STEPS:
            return f"{said}. {_NEXT_STEPS[code]}"
        is_lost = isinstance(error, OperationalError | InterfaceError) and (
            code is None or code.startswith(_CONNECTION_ERRORS)
        )
        doctor = "Look at DB_HOST and its like: python -m shared_core doctor says what answers."
        return f"The database does not answer: {said}. {doctor}" if is_lost else None

    def progress_bar(self, progress: Progress) -> ProgressBar | None:
        """Return a bar on the terminal, or None where there is none."""
        terminal = self.terminal
        if terminal is None:
            return None

        def write(text: str) -> None:
            terminal.write(text, style_func=str, ending="")
            terminal.flush()

        return ProgressBar(write, progress)

    @property
    def terminal(self) -> OutputWrapper | None:
        """Where a bar can be shown."""
        return next((stream for stream in (self.stderr, self.stdout) if stream.isatty()), None)


def usage_error(text: str) -> CommandError:
    """Return the error for a mistake in the command line."""
    return CommandError(text, returncode=2)


def check_alias(alias: str) -> None:
    """Raise CommandError where no database has this alias."""
    if alias not in connections:
        raise usage_error(f"--database {alias}: settings.DATABASES has {', '.join(connections)}.")
