"""``manage.py purge_idempotency_keys``: delete the responses that ``@idempotent`` stored long ago."""

import sys
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError, CommandParser
from django.db import router

from shared_core.management.base import TerminalCommand
from shared_core.management.commands.purge_deleted import parse_moment
from shared_core.terminal import EXIT_INTERRUPTED, Progress, interrupt_event

_BATCH = 1000  # rows a statement


class Command(TerminalCommand):
    """``manage.py purge_idempotency_keys``, in batches, each of which is committed: it may be stopped at any time."""

    help = """\
Delete answers that @idempotent stored long ago; a repeat that comes later yet
runs the view again. Ctrl-C stops after the batch being run."""
    examples = """\
manage.py purge_idempotency_keys                    every night, say: keeps 7 days
manage.py purge_idempotency_keys --older-than 24h

Exit status: 0 when it is done, 1 where it failed, 2 for a mistake in the command
line, 130 where it was stopped; to run it again goes on.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than",
            default="7d",
            metavar="7d",
            help="delete what is older than this: a number and s, m, h, d or w (7d)",
        )

    def handle(self, **options: Any) -> None:  # Any: as argparse read them
        """Delete, and say how many."""
        try:
            model = apps.get_model("shared_core_idempotency", "StoredResponse")
        except LookupError:
            raise CommandError('"shared_core.idempotency" is not in INSTALLED_APPS: there is no table.') from None
        rows = model._default_manager.using(router.db_for_write(model))
        expired = rows.filter(created_at__lt=parse_moment(options["older_than"]))
        keys = expired.order_by("created_at").values_list("pk", flat=True)[:_BATCH]
        progress_bar = self.progress_bar(Progress("answers", expired.count() if self.terminal else 0))
        total = 0
        with interrupt_event() as stop:
            try:
                while not stop.is_set() and (batch := list(keys.all())):
                    deleted, _ = rows.filter(pk__in=batch).delete()
                    total += deleted
                    if progress_bar:
                        progress_bar.advance(deleted)
            except KeyboardInterrupt:  # the second Ctrl-C
                stop.set()
            finally:
                if progress_bar:
                    progress_bar.clear()
        if stop.is_set():
            self.stderr.write(f"Stopped with {total:,} deleted: run it again to go on.")
            sys.exit(EXIT_INTERRUPTED)
        self.stdout.write(f"{total:,} deleted")
