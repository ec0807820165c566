from shared_core.clients import ServiceClient


class UserClient(ServiceClient):
    service = "user"
