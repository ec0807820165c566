from django.db import models

from shared_core.models import BaseModel


class Member(BaseModel):
    kind = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
