"""Addresses below /api/v1/."""

from django.urls import path

from apps.users import views

urlpatterns = [
    path("users", views.users),
    path("users/<uuid:pk>", views.user),
    path("users/<uuid:pk>/deactivate", views.deactivate),
    path("users/<uuid:pk>/restore", views.restore),
    path("departments", views.departments),
]
