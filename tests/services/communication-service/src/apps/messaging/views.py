"""Messages and notifications over HTTP."""

import logging

from core.http import invalid, page, read_form
from django.core.exceptions import BadRequest
from django.forms import UUIDField, ValidationError
from django.http import JsonResponse
from django.views.decorators.http import require_http_methods

from apps.messaging.forms import ChatMessageForm, NotificationForm
from apps.messaging.models import ChatMessage, Notification
from shared_core.auth import service_auth_required
from shared_core.idempotency import idempotent

logger = logging.getLogger(__name__)


def show_message(message):
    return {"id": message.pk, "author_id": message.author_id, "text": message.text, "created_at": message.created_at}


def show_notification(notification):
    return {
        "id": notification.pk,
        "ticket_id": notification.ticket_id,
        "recipient_id": notification.recipient_id,
        "kind": notification.kind,
        "text": notification.text,
        "created_at": notification.created_at,
    }


@require_http_methods(["GET", "POST"])
def messages(request, ticket_id):
    if request.method == "GET":
        return page(request, ChatMessage.objects.filter(ticket_id=ticket_id).order_by("pk"), show_message)
    form = read_form(ChatMessageForm, request, instance=ChatMessage(ticket_id=ticket_id))
    if not form.is_valid():
        return invalid(form)
    return JsonResponse(show_message(form.save()), status=201)


@require_http_methods(["GET", "POST"])
def notifications(request):
    return notify(request) if request.method == "POST" else list_notifications(request)


def list_notifications(request):
    rows = Notification.objects.order_by("pk")
    if "ticket_id" in request.GET:
        try:
            rows = rows.filter(ticket_id=UUIDField().clean(request.GET["ticket_id"]))
        except ValidationError:
            raise BadRequest("ticket_id is not a UUID.") from None
    return page(request, rows, show_notification)


@service_auth_required("ticket")
@idempotent(required=True)
def notify(request):
    """Notify, once for each Idempotency-Key."""
    form = read_form(NotificationForm, request)
    if not form.is_valid():
        return invalid(form)
    notification = form.save()
    logger.info("Notified", extra={"ticket_id": notification.ticket_id})
    return JsonResponse(show_notification(notification), status=201)
