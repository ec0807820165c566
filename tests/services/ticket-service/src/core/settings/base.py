"""What is the same wherever ticket-service runs: tickets, comments, references to attachments."""

from shared_core.service_settings import get_service_settings

globals().update(
    get_service_settings("ticket", apps=["apps.tickets"], calls=["user", "file", "communication"]),
)

# A key that opened a ticket opens no other, also where that ticket is deleted.
SILENCED_SYSTEM_CHECKS = ["shared_core.W101"]
