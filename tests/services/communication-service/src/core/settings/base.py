"""What is the same wherever communication-service runs: chat messages and notifications for tickets."""

from shared_core.service_settings import get_service_settings

globals().update(get_service_settings("communication", apps=["shared_core.idempotency", "apps.messaging"]))
