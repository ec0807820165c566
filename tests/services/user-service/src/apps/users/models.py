"""Who works here, and in which department."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from shared_core.models import BaseModel, SoftDeleteManager, SoftDeleteMeta, UniqueActiveConstraint


class Department(BaseModel):
    name = models.CharField(max_length=100)

    class Meta(SoftDeleteMeta):
        pass

    def __str__(self):
        return self.name


class UserManager(SoftDeleteManager, BaseUserManager):
    """Shows users that are not deleted, and makes new ones."""

    def create_user(self, email, name, password=None, **fields):
        user = self.model(email=self.normalize_email(email), name=name, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, BaseModel):
    email = models.EmailField()
    name = models.CharField(max_length=100)
    department = models.ForeignKey(Department, models.SET_NULL, null=True, blank=True, related_name="users")
    is_active = models.BooleanField(default=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            # A deleted user does not keep an address from being used again.
            UniqueActiveConstraint(fields=["email"], name="unique_active_email"),
        ]

    def __str__(self):
        return self.email
