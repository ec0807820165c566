"""The first answers, kept until `purge_idempotency_keys` forgets them."""

from django.db import models
from django.utils import timezone


class FirstAnswer(models.Model):
    """What was answered to the first request that bore an Idempotency-Key."""

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

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
