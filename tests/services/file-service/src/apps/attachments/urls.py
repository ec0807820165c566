"""Addresses below /api/v1/."""

from django.urls import path

from apps.attachments import views

urlpatterns = [
    path("attachments", views.attachments),
    path("attachments/<uuid:pk>", views.attachment),
    path("attachments/<uuid:pk>/content", views.content),
    path("attachments/<uuid:pk>/restore", views.restore),
]
