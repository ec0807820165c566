from django.db import models

from shared_core.models import BaseModel


class Member(BaseModel):
    email = models.EmailField(unique=True)
