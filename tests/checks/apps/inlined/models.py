from django.db import models

from shared_core.models import BaseModel


class Crate(models.Model):
    def __str__(self):
        return str(self.pk)


class Box(BaseModel):
    crate = models.ForeignKey(Crate, models.PROTECT)
