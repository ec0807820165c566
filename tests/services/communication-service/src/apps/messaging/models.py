"""What is said about tickets, by people and by services."""

from django.db import models

from shared_core.models import BaseModel, SoftDeleteMeta


class ChatMessage(BaseModel):
    ticket_id = models.UUIDField(db_index=True)
    author_id = models.UUIDField()
    text = models.TextField()

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return self.text[:50]


class Notification(BaseModel):
    ticket_id = models.UUIDField(db_index=True)
    recipient_id = models.UUIDField()
    kind = models.CharField(max_length=50, blank=True)  # what happened: "ticket-opened"
    text = models.CharField(max_length=200)

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return self.text
