"""Addresses below /api/v1/."""

from django.urls import path

from apps.tickets import views

urlpatterns = [
    path("tickets", views.tickets),
    path("tickets/<uuid:pk>", views.ticket),
    path("tickets/<uuid:pk>/restore", views.restore),
    path("tickets/<uuid:pk>/comments", views.comments),
    path("comments/<uuid:pk>", views.comment),
]
