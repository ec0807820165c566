"""Why an attempt failed, as a value: the call decides whether it is raised or repeated."""

from dataclasses import dataclass

import requests

from shared_core.clients.circuits import ServiceHealth
from shared_core.clients.exceptions import ServiceError


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed."""

    error: type[ServiceError]
    reason: str
    cause: Exception | None = None
    response: requests.Response | None = None
    is_retriable: bool = True  # the same request may succeed later
    nothing_sent: bool = False  # not a byte was written, so the service cannot have acted
    health: ServiceHealth = ServiceHealth.UNKNOWN  # what it shows about the service
