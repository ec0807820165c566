"""What is known of each file; its content lies on disk, under its id."""

from django.conf import settings
from django.db import models

from shared_core.models import BaseModel, SoftDeleteMeta


class Attachment(BaseModel):
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()  # bytes
    sha256 = models.CharField(max_length=64)

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return self.name

    @property
    def path(self):
        """Where the content lies; the name that the sender gave is no part of it."""
        return settings.FILE_STORAGE / str(self.pk)
