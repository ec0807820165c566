from django.db import models

from shared_core.models import BaseModel


class ByName(models.Manager):
    def get_queryset(self):
        return super().get_queryset().order_by("name")


class Member(BaseModel):
    name = models.CharField(max_length=30)

    by_name = ByName()
