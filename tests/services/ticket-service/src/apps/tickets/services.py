"""How a ticket is opened: by asking others before anything is written, and telling them after."""

import logging

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.tickets import clients
from apps.tickets.models import AttachmentReference, Ticket
from shared_core.clients import ServiceError

logger = logging.getLogger(__name__)


class UnknownError(Exception):
    """The request names a user or an attachment that does not exist."""


def open_ticket(*, attachment_id=None, idempotency_key=None, **fields):
    """Return the new ticket and True; or, where the key was used before, the ticket of then and False.

    Raises:
        UnknownError: There is no such requestor or attachment.
        ServiceError: Whether they exist cannot be known now; nothing was written.
    """
    if idempotency_key and (known := Ticket.all_objects.filter(idempotency_key=idempotency_key).first()):
        return _tell(known), False
    # Outside of the transaction: a call inside would hold a server connection while it waits.
    if not clients.users.is_active(fields["requestor_id"]):
        raise UnknownError("There is no such requestor, or not any more.")
    if attachment_id and not clients.files.exists(attachment_id):
        raise UnknownError("There is no such attachment.")
    try:
        with transaction.atomic():
            ticket = Ticket.objects.create(idempotency_key=idempotency_key, **fields)
            if attachment_id:
                AttachmentReference.objects.create(ticket=ticket, attachment_id=attachment_id)
    except IntegrityError:
        if idempotency_key is None:
            raise
        # The same request, sent again while the first was being served.
        return _tell(Ticket.all_objects.get(idempotency_key=idempotency_key)), False
    logger.info("Ticket opened", extra={"ticket_id": ticket.pk})
    return _tell(ticket), True


def _tell(ticket):
    """Tell communication-service of ``ticket`` unless it knows; the ticket stands whether that is possible or not."""
    if ticket.notified_at is None:
        try:
            tell(ticket)
        except ServiceError as error:
            # `manage.py notify_pending` makes up for it.
            logger.warning("Notification is pending", extra={"ticket_id": ticket.pk, "error": str(error)})
    return ticket


def tell(ticket):
    """Tell communication-service of ``ticket``, and remember that it knows."""
    clients.communication.notify_opened(ticket)
    ticket.notified_at = timezone.now()
    ticket.save(update_fields=["notified_at", "updated_at"])
