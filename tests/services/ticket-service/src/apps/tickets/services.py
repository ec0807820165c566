"""How a ticket is opened: by asking others before anything is written, and telling them after."""

import logging

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.tickets import clients
from apps.tickets.models import AttachmentReference, Ticket
from shared_core.clients import ServiceError

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The request is well formed, and yet no ticket can be opened by it."""


class UnknownError(RefusedError):
    """It names a user, an attachment or a parent that does not exist."""


class KeyUsedError(RefusedError):
    """Its idempotency key opened another ticket, which must not be taken for this one."""


def open_ticket(*, attachment_id=None, idempotency_key=None, **fields):
    """Return the new ticket and True; or, where the key was used before, the ticket of then and False.

    Raises:
        UnknownError: There is no such requestor, attachment or parent.
        KeyUsedError: The key was used for another ticket.
        ServiceError: Whether they exist cannot be known now; nothing was written.
    """
    if known := _opened_before(idempotency_key, attachment_id, fields):
        return _tell(known), False
    # Outside of the transaction: a call inside would hold a server connection while it waits.
    if not clients.users.is_active(fields["requestor_id"]):
        raise UnknownError("There is no such requestor, or not any more.")
    if attachment_id and not clients.files.exists(attachment_id):
        raise UnknownError("There is no such attachment.")
    try:
        with transaction.atomic():
            _hold(fields.get("parent"))
            ticket = Ticket.objects.create(idempotency_key=idempotency_key, **fields)
            if attachment_id:
                AttachmentReference.objects.create(ticket=ticket, attachment_id=attachment_id)
    except IntegrityError:
        # The same request, sent again while the first was being served.
        if known := _opened_before(idempotency_key, attachment_id, fields):
            return _tell(known), False
        raise
    logger.info("Ticket opened", extra={"ticket_id": ticket.pk})
    return _tell(ticket), True


def _opened_before(key, attachment_id, fields):
    """Return the ticket that this request has opened before, None where it has not; KeyUsedError for another one's."""
    ticket = Ticket.all_objects.filter(idempotency_key=key).first() if key else None
    if ticket is None:
        return None
    references = AttachmentReference.all_objects.filter(ticket=ticket)
    attachments = list(references.values_list("attachment_id", flat=True))
    is_same = all(getattr(ticket, name) == value for name, value in fields.items())
    if not is_same or attachments != ([attachment_id] if attachment_id else []):
        raise KeyUsedError("This Idempotency-Key was used for another ticket.")
    return ticket


def _hold(parent):
    """Keep ``parent`` from being deleted until the transaction ends; it may have been while others were asked."""
    if parent and not Ticket.objects.select_for_update().filter(pk=parent.pk).exists():
        raise UnknownError("There is no such parent, or not any more.")


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
