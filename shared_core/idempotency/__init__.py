"""A request that is repeated is answered as it was the first time, and done once."""

from shared_core.idempotency.views import idempotent

__all__ = ["idempotent"]
