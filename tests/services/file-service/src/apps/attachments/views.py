"""Attachments over HTTP: the body of an upload is the file, as it is."""

import logging

from core.http import invalid, page
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import FileResponse, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.attachments.forms import AttachmentForm
from apps.attachments.models import Attachment
from apps.attachments.storage import BrokenOffError, store

logger = logging.getLogger(__name__)


def show(attachment):
    return {
        "id": attachment.pk,
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "created_at": attachment.created_at,
    }


@require_http_methods(["GET", "POST"])
def attachments(request):
    return upload(request) if request.method == "POST" else page(request, Attachment.objects.order_by("pk"), show)


def upload(request):
    form = AttachmentForm(
        {"name": request.GET.get("name"), "content_type": request.content_type or "application/octet-stream"}
    )
    if not form.is_valid():
        return invalid(form)
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        # Django reads no body of unknown length (Transfer-Encoding: chunked): the file would be stored empty.
        return JsonResponse({"error": "Say how long the file is, in Content-Length."}, status=411)
    attachment = form.save(commit=False)
    attachment.size = int(length)
    if attachment.size > settings.MAX_UPLOAD_BYTES:
        return JsonResponse({"error": f"A file has {settings.MAX_UPLOAD_BYTES} bytes at most."}, status=413)
    try:
        attachment.sha256 = store(request, attachment.path, attachment.size)
    except BrokenOffError:
        raise BadRequest("The body broke off.") from None
    attachment.save()
    logger.info("Attachment stored", extra={"attachment_id": attachment.pk, "size": attachment.size})
    return JsonResponse(show(attachment), status=201)


@require_http_methods(["GET", "DELETE"])
def attachment(request, pk):
    found = get_object_or_404(Attachment, pk=pk)
    if request.method == "DELETE":
        found.delete()  # the content stays, so that it can be restored
        return HttpResponse(status=204)
    return JsonResponse(show(found))


@require_safe
def content(request, pk):
    found = get_object_or_404(Attachment, pk=pk)
    return FileResponse(found.path.open("rb"), as_attachment=True, filename=found.name, content_type=found.content_type)


@require_POST
def restore(request, pk):
    found = get_object_or_404(Attachment.all_objects, pk=pk)
    found.restore()
    return JsonResponse(show(found))
