"""``manage.py notify_pending``: tells communication-service of the tickets that it could not be told of."""

from django.core.management.base import BaseCommand, CommandError

from apps.tickets.models import Ticket
from apps.tickets.services import tell
from shared_core.clients import ServiceError


class Command(BaseCommand):
    help = "Tell communication-service of each open ticket that it does not know of yet."

    def handle(self, *args, **options):
        told = 0
        for ticket in Ticket.objects.filter(notified_at=None).order_by("pk"):
            try:
                tell(ticket)
            except ServiceError as error:
                raise CommandError(f"{told} told, then: {error}") from error
            told += 1
        self.stdout.write(f"{told} told")
