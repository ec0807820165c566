"""Its page."""

import logging

from django.http import HttpRequest, HttpResponse
from django.urls import path

logger = logging.getLogger("apps.tiny")


def see(request: HttpRequest) -> HttpResponse:
    """Log, and answer."""
    logger.info("Seen", extra={"number": int(request.GET["number"])})
    return HttpResponse()


urlpatterns = [path("", see)]
