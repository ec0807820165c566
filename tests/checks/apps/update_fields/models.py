from django.db import models

from shared_core.models import BaseModel


class Member(BaseModel):
    name = models.CharField(max_length=30)

    def save(self, *args, **kwargs):
        self.name = self.name.strip()
        super().save()
