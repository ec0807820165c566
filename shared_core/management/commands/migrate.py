"""``manage.py migrate``: Django's, which several replicas may run at once."""

from argparse import ArgumentTypeError
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import Error, connections
from django.db.migrations.exceptions import MigrationSchemaMissing

from shared_core.databases.migrating import MigrationLockError, migration_lock
from shared_core.management.base import TerminalCommand, check_alias


class Command(TerminalCommand, migrate.Command):
    """Migrates where nobody else does; else it waits until that is done, and applies what is left."""

    needs_tables = False  # it makes them; a migration that misses one has a mistake
    examples = """\
manage.py migrate                         at the start of each replica: one migrates
manage.py migrate --lock-timeout 60       waits for another one no longer than 60 s
manage.py migrate --check --plan          what is left to apply; changes nothing

Exit status: 0 when it is done, 1 where it failed, did not get the lock or --check
finds something to apply, 2 for a mistake in the command line, 130 after Ctrl-C.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare Django's options, and ours."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=_seconds,
            default=600.0,
            metavar="SECONDS",
            help="how long to wait for another process that migrates the same database (600)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as argparse read them
        """Migrate under a lock, on PostgreSQL; what changes nothing needs none."""
        timeout = options.pop("lock_timeout")
        check_alias(options["database"])
        connection = connections[options["database"]]
        if connection.vendor != "postgresql" or options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        try:
            with migration_lock(connection, timeout, self._report):
                super().handle(*args, **options)
        except MigrationLockError as error:
            raise CommandError(" ".join(str(error).split())) from error
        except KeyboardInterrupt:
            self._report("\nStopped: what is applied stays so, and to run it again goes on.")
            raise

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Look for mistakes in the project once the database answers: that it does not is none."""
        for alias in kwargs.get("databases") or ():
            connections[alias].ensure_connection()
        super().check(*args, **kwargs)

    def describe_error(self, error: Error) -> str | None:
        """Return it for what kept Django from making its own table, too."""
        cause = error.__context__ if isinstance(error, MigrationSchemaMissing) else error
        return super().describe_error(cause) if isinstance(cause, Error) else None

    def _report(self, line: str) -> None:
        # The styles are made for the output, and this may go elsewhere.
        self.stderr.write(line, self.style.NOTICE if self.stderr.isatty() else None)
        self.stderr.flush()


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) < float("inf"):
            return seconds
    raise ArgumentTypeError(f"{text!r} is no number of seconds from 0, as 60")
