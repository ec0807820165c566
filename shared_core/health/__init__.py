"""Is the process alive, and may it be sent requests?"""

from shared_core.health.probes import readiness_check
from shared_core.health.views import health, ready

__all__ = ["health", "readiness_check", "ready"]
