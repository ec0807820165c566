"""What looks like a mistake, and is none."""

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from shared_core.models import (
    ActiveIndex,
    AllObjectsManager,
    BaseModel,
    SoftDeleteManager,
    SoftDeleteMeta,
    SoftDeleteModel,
    SoftDeleteQuerySet,
    UniqueActiveConstraint,
)


class Guarded(BaseModel):
    class Meta(SoftDeleteMeta):
        abstract = True


class CustomerManager(SoftDeleteManager):
    pass


class Customer(Guarded):
    """Has values that are unique among active rows, or together with what tells deletions apart."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    email = models.EmailField()
    handle = models.CharField(max_length=30)
    number = models.IntegerField()
    friends = models.ManyToManyField("self")
    labels = GenericRelation("Label")

    objects = CustomerManager()

    class Meta(SoftDeleteMeta):
        constraints = [
            *SoftDeleteMeta.constraints,
            UniqueActiveConstraint(fields=["email"], name="shop_email"),
            models.UniqueConstraint(Lower("handle"), condition=Q(is_deleted=False), name="shop_handle"),
            models.UniqueConstraint(fields=["number", "deleted_at"], name="shop_number"),
        ]
        indexes = [*SoftDeleteMeta.indexes, ActiveIndex(fields=["-created_at"], name="shop_newest")]

    def save(self, *args, **kwargs):
        self.handle = self.handle.lower()
        super().save(*args, **kwargs)
        if self.number == 0:
            self.number = 1
            super().save(update_fields=["number"])


class Label(BaseModel):
    content_type = models.ForeignKey("contenttypes.ContentType", models.PROTECT)
    object_id = models.UUIDField()
    subject = GenericForeignKey()


class Country(Guarded):
    code = models.CharField(max_length=2, unique=True)  # what other rows refer to cannot be there twice

    objects = SoftDeleteManager.from_queryset(SoftDeleteQuerySet)()

    def save(self, force_insert=False, force_update=False, using=None, update_fields=None):
        super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)


class Place(BaseModel):
    country = models.ForeignKey(Country, models.CASCADE, to_field="code")

    class Meta(SoftDeleteMeta):
        pass


class Warehouse(Place):
    """Shares is_deleted with its place."""


class Item(models.Model):
    """Cannot be soft-deleted, and refers to nothing that can by CASCADE."""

    country = models.ForeignKey(Country, models.PROTECT)

    def __str__(self):
        return str(self.pk)


class Vase(SoftDeleteModel, Item):
    def __str__(self):
        return str(self.pk)


class Archive(BaseModel):
    """Shows deleted rows on purpose."""

    everything = AllObjectsManager()

    class Meta:
        default_manager_name = "everything"


class OldCustomer(Customer):
    class Meta:
        proxy = True
