"""What people ask for help with."""

from django.db import models

from shared_core.models import ActiveParentConstraint, BaseModel, SoftDeleteMeta


class Ticket(BaseModel):
    class Status(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.OPEN)
    requestor_id = models.UUIDField()  # a user of user-service
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="sub_tickets")
    # What the caller named the request by which this was opened; deleted tickets keep theirs.
    idempotency_key = models.CharField(max_length=200, null=True, unique=True, editable=False)
    notified_at = models.DateTimeField(null=True, editable=False)  # when communication-service knew of it

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return self.title


class Comment(BaseModel):
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="comments")
    author_id = models.UUIDField()
    text = models.TextField()

    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            # What is written while its ticket is being deleted is deleted with it, or is refused.
            ActiveParentConstraint(fields=["ticket"], name="comment_ticket_active"),
        ]

    def __str__(self):
        return self.text[:50]


class AttachmentReference(BaseModel):
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="attachments")
    attachment_id = models.UUIDField()  # an attachment of file-service

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return str(self.attachment_id)
