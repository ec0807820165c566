"""The probes, for ``path("", include("shared_core.urls"))``."""

from django.urls import path

from shared_core.health import views

app_name = "shared_core.health"

urlpatterns = [
    path("health/", views.health, name="health"),
    path("ready/", views.ready, name="ready"),
]
