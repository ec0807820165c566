"""Is the process alive, and may it be sent requests?

/health/    200 while the process answers; touches nothing, so that a database outage restarts no service
/ready/     200 where each database answers and has all migrations, else 503 and the names of what does not;
            with DEBUG also what is known of the origins that this process calls
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType

from django.conf import settings
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from shared_core.clients.circuits import ledger

logger = logging.getLogger("shared_core.health")


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:  # noqa: ARG001  # Django's signature
    """Answer that this process is alive."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:  # noqa: ARG001  # as above
    """Answer whether this service can do its work now."""
    failed = [name for name, check in _CHECKS.items() if not _passes(name, check)]
    answer: dict[str, object] = {"status": "unavailable", "failed": failed} if failed else {"status": "ok"}
    if settings.DEBUG:
        # A called service that is down makes this one no less ready: it is for people to see.
        answer["origins"] = {origin: asdict(stats) for origin, stats in ledger.stats(time.monotonic()).items()}
    return JsonResponse(answer, status=503 if failed else 200)


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Error:
        # The caller is told the name only: the reason may hold hosts and users.
        logger.warning("Readiness check failed", extra={"check": name}, exc_info=True)
        return False


def _databases_answer() -> bool:
    for connection in connections.all():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    return True


def _migrations_are_applied() -> bool:
    for connection in connections.all():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
    return True


_CHECKS: Mapping[str, Callable[[], bool]] = MappingProxyType(
    {"database": _databases_answer, "migrations": _migrations_are_applied}
)
