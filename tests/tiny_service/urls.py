"""Its page."""

import logging
import time

from django.http import HttpRequest, HttpResponse
from django.urls import path

logger = logging.getLogger("apps.tiny")


def see(request: HttpRequest) -> HttpResponse:
    """Log, and answer, if asked to after some seconds."""
    logger.info("Seen", extra={"number": int(request.GET["number"])})
    time.sleep(float(request.GET.get("seconds", 0)))
    return HttpResponse()


urlpatterns = [path("", see)]
