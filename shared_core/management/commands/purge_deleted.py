"""``manage.py purge_deleted``: purge rows that were soft-deleted long ago.

Each model is purged in batches that are committed, children before parents. So the command can be stopped and run
again at any time, and by several workers at once. On a terminal, a bar shows the progress; elsewhere each model gets
one line.
"""

import datetime as dt
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.apps import apps
from django.core.management.base import CommandParser
from django.db import models, router

from shared_core.management.base import TerminalCommand, check_alias, usage_error
from shared_core.models.purging import Batch, expired, moment_of, purge_batches
from shared_core.models.relations import hierarchy_of, is_soft_deletable, owner_of
from shared_core.terminal import EXIT_INTERRUPTED, Progress, ProgressBar, interrupt_event

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Command(TerminalCommand):
    """``manage.py purge_deleted``."""

    help = """\
Delete for good what was soft-deleted long ago. Ctrl-C stops after the batch
being run."""
    examples = """\
manage.py purge_deleted --older-than 90d                  every night, for example
manage.py purge_deleted --older-than 90d --dry-run        counts, and purges nothing
manage.py purge_deleted --older-than 2w --model app.Note  only this, and what is purged with it

Exit status: 0 when it is done, 1 where it failed, 2 for a mistake in the command
line, 130 where it was stopped; to run it again goes on.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than",
            required=True,
            metavar="90d",
            help="purge rows deleted longer ago than this: a number and s, m, h, d or w",
        )
        parser.add_argument(
            "--model",
            action="append",
            metavar="app.Model",
            help="purge this model; may be repeated (default: all that are soft-deletable)",
        )
        parser.add_argument("--batch-size", type=int, default=1000, metavar="N", help="rows a transaction (1000)")
        parser.add_argument("--database", default="default", metavar="ALIAS", help='where ("default")')
        parser.add_argument("--dry-run", action="store_true", help="count the rows, and purge nothing")

    def handle(self, **options: Any) -> None:  # Any: as argparse read them
        """Purge, or count, one model after the other."""
        using: str = options["database"]
        check_alias(using)
        if options["batch_size"] < 1:
            raise usage_error(f"--batch-size {options['batch_size']}: a number of rows from 1, as 1000.")
        moment = parse_moment(options["older_than"])
        chosen = choose_models(options["model"], using)
        if options["dry_run"]:
            self._count(chosen, moment, using)
        else:
            self._purge(chosen, moment, options["batch_size"], using)

    def _count(self, chosen: list[type[models.Model]], moment: dt.datetime, using: str) -> None:
        """Write a table of how many rows of each model were deleted before the moment."""
        counts = {model._meta.label: expired(model, moment, using).count() for model in chosen}
        table = [("model", "rows"), *((label, f"{count:,}") for label, count in counts.items())]
        table.append(("total", f"{sum(counts.values()):,}"))
        widths = [max(len(line[column]) for line in table) for column in (0, 1)]
        for label, count in table:
            self.stdout.write(f"{label:<{widths[0]}}  {count:>{widths[1]}}")
        self.stdout.write(f"Deleted before {moment.isoformat(' ', 'seconds')}. A dry run: nothing was purged.")

    def _purge(self, chosen: list[type[models.Model]], moment: dt.datetime, batch_size: int, using: str) -> None:
        """Purge one model after the other, until all are done or the command is interrupted."""
        total = 0
        with interrupt_event() as stop:
            for model in chosen:
                count = expired(model, moment, using).count() if self.terminal else 0
                progress_bar = self.progress_bar(Progress(model._meta.label, count))
                with closing(purge_batches(model, older_than=moment, batch_size=batch_size, using=using)) as batches:
                    total += self._run_batches(model._meta.label, batches, progress_bar, stop)
                if stop.is_set():
                    self.stderr.write(f"Stopped with {total:,} purged: run it again to go on.")
                    sys.exit(EXIT_INTERRUPTED)
        self.stdout.write(f"total: {total:,} purged")

    def _run_batches(
        self, label: str, batches: Iterator[Batch], progress_bar: ProgressBar | None, stop: threading.Event
    ) -> int:
        """Let the batches of one model run, show how it goes, and return the number of rows purged."""
        purged = skipped = 0
        try:
            while not stop.is_set() and (batch := next(batches, None)):
                purged, skipped = purged + batch.purged, skipped + batch.skipped
                if progress_bar:
                    progress_bar.advance(batch.candidates)
        except KeyboardInterrupt:  # the second Ctrl-C
            stop.set()
        finally:
            if progress_bar:
                progress_bar.clear()
        kept = f", {skipped:,} skipped: what refers to them must stay" if skipped else ""
        self.stdout.write(f"{label}: {purged:,} purged{kept}")
        self.stdout.flush()  # the next one may take long
        return purged


def parse_moment(text: str) -> dt.datetime:
    """Return the moment that ``90d`` means, counted back from now.

    Raises:
        CommandError: It is no duration, or longer than the calendar.
    """
    match = re.fullmatch(r"([0-9]+)([smhdw])", text)
    if match is None:
        raise usage_error(f"--older-than {text}: a number and s, m, h, d or w, as 90d, 12h or 2w.")
    try:
        return moment_of(dt.timedelta(**{_UNITS[match[2]]: int(match[1])}))
    except OverflowError:
        raise usage_error(f"--older-than {text}: longer ago than the calendar reaches; 90d, say.") from None


def choose_models(labels: list[str] | None, using: str) -> list[type[models.Model]]:
    """Return the models named, or all that have the columns in a table that Django manages; children before parents.

    Raises:
        CommandError: A label names no model, or one that is not soft-deletable.
    """
    if labels is None:
        chosen = [
            model
            for model in apps.get_models()
            if is_soft_deletable(model)
            and owner_of(model) is model
            and model._meta.managed
            and router.allow_migrate_model(using, model)
        ]
    else:
        chosen = list(dict.fromkeys(map(_model_of, labels)))
    # A child that is gone by itself no longer keeps its parent, as one that refers by PROTECT would.
    return sorted(chosen, key=lambda model: (hierarchy_of(model).rank, model._meta.label), reverse=True)


def _model_of(label: str) -> type[models.Model]:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise usage_error(f"--model {label}: {error} Write app.Model, as tickets.Ticket.") from None
    if not is_soft_deletable(model):
        raise usage_error(f"--model {label}: it does not derive from SoftDeleteModel: nothing of it was soft-deleted.")
    return model
