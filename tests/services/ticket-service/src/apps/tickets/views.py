"""Tickets and comments over HTTP."""

from core.http import invalid, page, read_form
from django.core.exceptions import BadRequest
from django.db import IntegrityError
from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST

from apps.tickets import services
from apps.tickets.forms import CommentForm, TicketForm
from apps.tickets.models import Comment, Ticket
from shared_core.clients import ServiceError
from shared_core.models import ParentDeletedError

RETRY_AFTER = 5  # seconds; about as long as a service takes to come back


def show(ticket):
    return {
        "id": ticket.pk,
        "title": ticket.title,
        "description": ticket.description,
        "status": ticket.status,
        "requestor_id": ticket.requestor_id,
        "parent": ticket.parent_id,
        "notified": ticket.notified_at is not None,
        "created_at": ticket.created_at,
        "deleted_at": ticket.deleted_at,
    }


def show_comment(comment):
    return {"id": comment.pk, "author_id": comment.author_id, "text": comment.text, "created_at": comment.created_at}


def show_whole(ticket):
    return {
        **show(ticket),
        "comments": [show_comment(comment) for comment in ticket.comments.order_by("pk")],
        "attachments": list(ticket.attachments.order_by("pk").values_list("attachment_id", flat=True)),
        "sub_tickets": list(ticket.sub_tickets.order_by("pk").values_list("pk", flat=True)),
    }


def show_counts(counts):
    total, by_model = counts
    return JsonResponse({"total": total, "by_model": by_model})


@require_http_methods(["GET", "POST"])
def tickets(request):
    if request.method == "GET":
        rows = Ticket.objects.deleted() if request.GET.get("deleted") == "1" else Ticket.objects.all()
        return page(request, rows.order_by("pk"), show)
    form = read_form(TicketForm, request)
    if not form.is_valid():
        return invalid(form)
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= 200:
        raise BadRequest("An Idempotency-Key has 1 to 200 characters.")
    try:
        ticket, is_new = services.open_ticket(idempotency_key=key, **form.cleaned_data)
    except services.RefusedError as error:
        return JsonResponse({"error": str(error)}, status=422)
    except ServiceError as error:
        if not error.is_outage:  # its own mistake: to answer 503 would make this service look down
            raise
        answer = {"error": f"{error.service}-service cannot be asked now. Try again."}
        return JsonResponse(answer, status=503, headers={"Retry-After": str(RETRY_AFTER)})
    return JsonResponse(show_whole(ticket), status=201 if is_new else 200)


@require_http_methods(["GET", "DELETE"])
def ticket(request, pk):
    found = get_object_or_404(Ticket, pk=pk)
    return show_counts(found.delete()) if request.method == "DELETE" else JsonResponse(show_whole(found))


@require_POST
def restore(request, pk):
    found = get_object_or_404(Ticket.all_objects, pk=pk)
    try:
        return show_counts(found.restore())
    except ParentDeletedError as error:
        return JsonResponse({"error": str(error)}, status=409)


@require_POST
def comments(request, pk):
    found = get_object_or_404(Ticket, pk=pk)
    form = read_form(CommentForm, request, instance=Comment(ticket=found))
    if not form.is_valid():
        return invalid(form)
    try:
        comment = form.save()
    except IntegrityError:
        raise Http404("The ticket was deleted meanwhile.") from None
    return JsonResponse(show_comment(comment), status=201)


@require_http_methods(["DELETE"])
def comment(request, pk):
    return show_counts(get_object_or_404(Comment, pk=pk).delete())
