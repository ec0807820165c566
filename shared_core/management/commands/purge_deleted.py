"""How are rows that were soft-deleted long ago removed for good from the command line?

Each model is purged in batches that are committed, children before parents, so that it can be stopped and run again at
any time, and by several workers at once. On a terminal a bar shows how it goes, elsewhere each model gets one line.
"""

import datetime as dt
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import connections, models, router

from shared_core.models.graph import family_of, is_soft_deletable, owner_of
from shared_core.models.purging import Batch, expired, moment_of, purge_batches

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_INTERRUPTED = 128 + signal.SIGINT  # what shells make of it
_CLEAR = "\r\x1b[K"  # ECMA-48: erase to the end of the line


class Command(BaseCommand):
    """``manage.py purge_deleted``."""

    help = "Delete for good what was soft-deleted long ago. Ctrl-C stops after the batch being run."

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
        if using not in connections:
            raise CommandError(f"--database {using}: settings.DATABASES has {', '.join(connections)}.")
        if options["batch_size"] < 1:
            raise CommandError(f"--batch-size {options['batch_size']}: a number of rows from 1, as 1000.")
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
        """Purge one model after the other, until all are done or somebody interrupts."""
        total = 0
        terminal = next((stream for stream in (self.stderr, self.stdout) if stream.isatty()), None)
        with _interruption() as interruption:
            for model in chosen:
                count = expired(model, moment, using).count() if terminal else 0
                bar = Bar(terminal, Progress(model._meta.label, count)) if terminal else None
                with closing(purge_batches(model, moment, batch_size, using)) as batches:
                    total += self._follow(model._meta.label, batches, bar, interruption)
                if interruption.is_set():
                    self.stderr.write(f"Stopped with {total:,} purged: run it again to go on.")
                    sys.exit(_INTERRUPTED)
        self.stdout.write(f"total: {total:,} purged")

    def _follow(self, label: str, batches: Iterator[Batch], bar: "Bar | None", interruption: threading.Event) -> int:
        """Let the batches of one model run, show how it goes, and return the number of rows purged."""
        purged = skipped = 0
        try:
            while not interruption.is_set() and (batch := next(batches, None)):
                purged, skipped = purged + batch.purged, skipped + batch.skipped
                if bar:
                    bar.advance(batch.candidates)
        except KeyboardInterrupt:  # the second Ctrl-C
            interruption.set()
        finally:
            if bar:
                bar.clear()
        kept = f", {skipped:,} skipped: what refers to them must stay" if skipped else ""
        self.stdout.write(f"{label}: {purged:,} purged{kept}")
        return purged


@dataclass
class Progress:
    """How far the purge of one model is.

        tickets.Ticket [#########...........] 4,500/10,000  45% 900 rows/s ETA 0:00:06

    ``total`` is a number of rows of the model itself, and so is what `advance` is told.
    """

    label: str
    total: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def advance(self, rows: int) -> None:
        """Note that more rows are done."""
        self.done += rows
        self.total = max(self.total, self.done)  # it was counted before, and others go on working

    def line(self, width: int = 80) -> str:
        """Return the bar as text that is shorter than ``width`` columns."""
        elapsed = self.clock() - self.started
        rate = self.done / elapsed if elapsed > 0 else 0.0
        left = str(dt.timedelta(seconds=round((self.total - self.done) / rate))) if rate else "-:--:--"
        share = self.done / self.total if self.total else 1.0
        filled = int(share * 20)
        bar = "#" * filled + "." * (20 - filled)
        facts = f"{self.done:,}/{self.total:,} {share:4.0%} {rate:,.0f} rows/s ETA {left}"
        return f"{self.label} [{bar}] {facts}" if len(self.label) + len(facts) + 25 < width else facts[: width - 1]


@dataclass(frozen=True)
class Bar:
    """A `Progress` on a terminal."""

    terminal: OutputWrapper
    progress: Progress

    def advance(self, rows: int) -> None:
        """Note that more rows are done, and show it."""
        self.progress.advance(rows)
        self._write(_CLEAR + self.progress.line(shutil.get_terminal_size().columns))

    def clear(self) -> None:
        """Leave the line empty."""
        self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self.terminal.write(text, style_func=str, ending="")
        self.terminal.flush()


def parse_moment(text: str) -> dt.datetime:
    """Return the moment that ``90d`` means, counted back from now.

    Raises:
        CommandError: It is no duration, or longer than the calendar.
    """
    match = re.fullmatch(r"([0-9]+)([smhdw])", text)
    if match is None:
        raise CommandError(f"--older-than {text}: a number and s, m, h, d or w, as 90d, 12h or 2w.")
    try:
        return moment_of(dt.timedelta(**{_UNITS[match[2]]: int(match[1])}))
    except OverflowError:
        raise CommandError(f"--older-than {text}: longer ago than the calendar reaches; 90d, say.") from None


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
        chosen = list(dict.fromkeys(map(_model, labels)))
    # A child that is gone by itself no longer keeps its parent, as one that refers by PROTECT would.
    return sorted(chosen, key=lambda model: (family_of(model).rank, model._meta.label), reverse=True)


def _model(label: str) -> type[models.Model]:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise CommandError(f"--model {label}: {error} Write app.Model, as tickets.Ticket.") from None
    if not is_soft_deletable(model):
        raise CommandError(f"--model {label}: it does not derive from SoftDeleteModel: nothing of it was soft-deleted.")
    return model


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Let the first Ctrl-C set the event that is returned, and a second one interrupt at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # Python gives signals to the main thread only
        yield event
        return

    def handle(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)  # None: set by what is not Python
