from django.db import models

from shared_core.models import SoftDeleteModel


class Pot(models.Model):
    def __str__(self):
        return str(self.pk)


class GlazedPot(SoftDeleteModel, Pot):
    def __str__(self):
        return str(self.pk)
