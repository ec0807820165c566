"""``manage.py migrate``: Django's, which several replicas may run at once."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import connections

from shared_core.databases.migrating import MigrationLockError, migration_lock


class Command(migrate.Command):
    """Migrates where nobody else does; else it waits until that is done, and applies what is left."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare Django's options, and ours."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=600.0,
            metavar="SECONDS",
            help="how long to wait for another process that migrates the same database (600)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as argparse read them
        """Migrate under a lock, on PostgreSQL; what changes nothing needs none."""
        timeout = options.pop("lock_timeout")
        if not 0 <= timeout < float("inf"):
            raise CommandError(f"--lock-timeout {timeout:g}: a number of seconds, 0 or more.")
        connection = connections[options["database"]]
        if connection.vendor != "postgresql" or options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        try:
            with migration_lock(connection, timeout, self._tell):
                super().handle(*args, **options)
        except MigrationLockError as error:
            raise CommandError(str(error)) from error

    def _tell(self, line: str) -> None:
        self.stderr.write(line, self.style.NOTICE)
        self.stderr.flush()
