"""The services that this one asks."""

from shared_core.clients import ServiceClient


class UserClient(ServiceClient):
    service = "user"

    def is_active(self, user_id):
        """Say whether there is such a user, who may open tickets; ServiceError where that cannot be known."""
        user = self.get_json(f"/api/v1/users/{user_id}", missing_ok=True)
        return user is not None and user["is_active"]


class FileClient(ServiceClient):
    service = "file"

    def exists(self, attachment_id):
        """Say whether there is such an attachment; ServiceError where that cannot be known."""
        return self.get_json(f"/api/v1/attachments/{attachment_id}", missing_ok=True) is not None


class CommunicationClient(ServiceClient):
    service = "communication"

    def notify_opened(self, ticket):
        """Tell that ``ticket`` was opened; told again, it notifies nobody twice, for as long as answers are kept."""
        body = {
            "ticket_id": str(ticket.pk),
            "recipient_id": str(ticket.requestor_id),
            "kind": "ticket-opened",
            "text": ticket.title,
        }
        self.post("/api/v1/notifications", json=body, idempotency_key=f"ticket-opened-{ticket.pk}")


# One of each a process: they keep connections alive, and are safe to share.
users = UserClient()
files = FileClient()
communication = CommunicationClient()
