"""``manage.py notify_pending``: tells communication-service of the tickets that it could not be told of.

Run it every minute or so. It may run at any time, also twice at once: nobody is notified twice.
"""

from django.core.management.base import BaseCommand, CommandError

from apps.tickets.models import Ticket
from apps.tickets.services import tell
from shared_core.clients import ClientError, ServiceError


class Command(BaseCommand):
    help = "Tell communication-service of each open ticket that it does not know of yet."

    def handle(self, *args, **options):
        told, refused = 0, []
        for ticket in Ticket.objects.filter(notified_at=None).order_by("pk"):
            try:
                tell(ticket)
            except ClientError as error:
                refused.append(f"{ticket.pk}: {error}")  # this one only: the others wait for no mending of it
            except ServiceError as error:
                raise CommandError(f"{told} told, then: {error}") from error
            else:
                told += 1
        self.stdout.write(f"{told} told")
        if refused:
            raise CommandError("\n".join(["Refused:", *refused]))
