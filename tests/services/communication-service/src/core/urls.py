"""All addresses of the service."""

from django.urls import include, path

handler400 = "core.http.bad_request"
handler404 = "core.http.not_found"

urlpatterns = [
    path("api/v1/", include("apps.messaging.urls")),
]
