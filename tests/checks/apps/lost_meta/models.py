from django.db import models

from shared_core.models import BaseModel, SoftDeleteMeta


class Member(BaseModel):
    name = models.CharField(max_length=30)

    class Meta(SoftDeleteMeta):
        indexes = [models.Index(fields=["name"], name="lost_meta_name")]
