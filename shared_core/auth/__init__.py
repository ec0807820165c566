"""The other side of a service's token: who calls, and may it?"""

from shared_core.auth.guards import ServiceAuth, ServiceAuthMiddleware, ServiceCaller, service_auth_required

__all__ = ["ServiceAuth", "ServiceAuthMiddleware", "ServiceCaller", "service_auth_required"]
