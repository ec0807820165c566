from django.db import models

from shared_core.models import BaseModel


class Member(BaseModel):
    pass


class Badge(models.Model):
    member = models.ForeignKey(Member, models.CASCADE)

    def __str__(self):
        return str(self.pk)
