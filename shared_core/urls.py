"""The probes, for ``path("", include("shared_core.urls"))``."""

from django.urls import path

from shared_core import health

app_name = "shared_core.health"

urlpatterns = [
    path("health/", health.health, name="health"),
    path("ready/", health.ready, name="ready"),
]
