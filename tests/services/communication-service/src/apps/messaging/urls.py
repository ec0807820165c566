"""Addresses below /api/v1/."""

from django.urls import path

from apps.messaging import views

urlpatterns = [
    path("notifications", views.notifications),
    path("tickets/<uuid:ticket_id>/messages", views.messages),
]
