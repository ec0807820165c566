"""Repeated requests: `@idempotent` runs the view once, and gives its response again."""

from shared_core.idempotency.views import idempotent

__all__ = ["idempotent"]
