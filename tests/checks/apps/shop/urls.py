from django.contrib import admin
from django.urls import include, path

from tests.checks.apps.shop import clients

urlpatterns = [path("admin/", admin.site.urls), path("", include("shared_core.urls"))]
users = clients.UserClient()
