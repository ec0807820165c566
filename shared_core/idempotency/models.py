"""The stored responses, kept until `purge_idempotency_keys` deletes them."""

from django.db import models
from django.utils import timezone


class StoredResponse(models.Model):
    """The response to the first request with an Idempotency-Key."""

    # SHA-256 of caller, method, path and key, which are readable beside it.
    scope = models.CharField(max_length=64, primary_key=True)
    caller = models.CharField(max_length=255, blank=True)
    method = models.CharField(max_length=32)
    path = models.CharField(max_length=1000)
    key = models.CharField(max_length=255)
    # SHA-256 of query, content type and body.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        db_table = "shared_core_idempotency_firstanswer"  # of the model's first name: a rename would stop old processes

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
