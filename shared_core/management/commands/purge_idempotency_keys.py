"""How are first answers forgotten that nobody will ask for again?"""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router

from shared_core.management.commands.purge_deleted import parse_moment

_BATCH = 1000  # rows a statement


class Command(BaseCommand):
    """``manage.py purge_idempotency_keys``, in batches, each of which is committed: it may be stopped at any time."""

    help = "Delete answers that @idempotent stored long ago; a repeat that comes later yet runs the view again."

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
            model = apps.get_model("shared_core_idempotency", "FirstAnswer")
        except LookupError:
            raise CommandError('"shared_core.idempotency" is not in INSTALLED_APPS: there is no table.') from None
        using = router.db_for_write(model)
        moment = parse_moment(options["older_than"])
        rows = model._default_manager.using(using)
        total = 0
        while True:
            expired = rows.filter(created_at__lt=moment).order_by("created_at").values_list("pk", flat=True)
            deleted, _ = rows.filter(pk__in=list(expired[:_BATCH])).delete()
            if not deleted:
                break
            total += deleted
        self.stdout.write(f"{total:,} deleted")
