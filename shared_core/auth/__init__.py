"""Which service calls, and may it call: the other side of a service's token."""

import warnings
from typing import Any

from shared_core.auth.guards import ServiceAuth, ServiceAuthMiddleware, service_auth_required

__all__ = ["ServiceAuth", "ServiceAuthMiddleware", "service_auth_required"]


def __getattr__(name: str) -> Any:  # Any: a class
    if name != "ServiceCaller":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shared_core.auth.guards import ServiceCaller  # noqa: PLC0415  # for the name of version 0.1 only

    warnings.warn(
        "shared_core.auth.ServiceCaller is no public name any more: ask request.service, or request.user.name. "
        "Version 0.3 removes the name.",
        DeprecationWarning,
        stacklevel=2,
    )
    return ServiceCaller
