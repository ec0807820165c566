"""The views of the probes.

/health/    200 while the process answers; touches nothing, so that a database outage restarts no service
/ready/     200 where all that it asks passes, else 503 and the names of what does not; within 5 s whatever hangs;
            to insiders also how long each took, why it failed, and what is known of the origins that are called
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_safe

from shared_core.auth.callers import caller_of
from shared_core.health.databases import database_probes
from shared_core.health.probes import ProbeResult, registered

# The url namespace of shared_core/urls.py, and how its paths end.
_NAMESPACE, _PATH_ENDINGS = "shared_core.health", ("/health/", "/ready/")


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer that this process is alive."""
    return _respond(request, {"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer whether this service can do its work now."""
    # All of them at once, then wait for each.
    findings = [run.wait() for run in [probe.start() for probe in (*database_probes(), *registered.values())]]
    failed = [name for finding in findings for name in finding.names if name in finding.failed]
    answer: dict[str, Any] = {"status": "unavailable", "failed": failed} if failed else {"status": "ok"}
    if settings.DEBUG or isinstance(caller_of(request), str):
        answer["checks"] = {name: _details_of(name, finding) for finding in findings for name in finding.names}
        answer["origins"] = _origins()
    return _respond(request, answer)


def _details_of(name: str, finding: ProbeResult) -> dict[str, object]:
    if name not in finding.failed:
        # Of one that could not be asked nothing is known.
        return {"ok": None if finding.names[0] in finding.failed else True, "ms": finding.ms}
    return {"ok": False, "ms": finding.ms, "reason": finding.failed[name]}


def _origins() -> dict[str, object]:
    """Return what is known of the services called: one that is down makes this one no less ready."""
    from shared_core.clients.circuits import registry  # noqa: PLC0415  # requests, for those who call nobody

    return {origin: asdict(stats) for origin, stats in registry.stats(time.monotonic()).items()}


def _respond(request: HttpRequest, answer: dict[str, Any]) -> HttpResponse:
    status = 200 if answer["status"] == "ok" else 503
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    response: HttpResponse
    if _wants_text(request):
        text = "text/plain; charset=utf-8"
        response = HttpResponse(_as_text(answer), status=status, content_type=text, headers=headers)
    else:
        response = JsonResponse(answer, status=status, headers=headers)
    if request.method == "HEAD":
        length = len(response.content)
        response.content = b""
        response.headers["Content-Length"] = str(length)
    return response


def _wants_text(request: HttpRequest) -> bool:
    if "HTTP_ACCEPT" not in request.META:
        return False
    try:
        return request.accepts("text/plain") and not request.accepts("application/json")
    except (ValueError, LookupError):  # of an Accept that cannot be read
        return False


def _as_text(answer: dict[str, Any]) -> str:
    lines = [f"{answer['status']}{': ' if 'failed' in answer else ''}{', '.join(answer.get('failed', []))}"]
    for name, check in answer.get("checks", {}).items():
        said = {True: "ok", None: "unknown"}.get(check["ok"], check.get("reason"))
        lines.append(f"{name} {check['ms']} ms {said}")
    lines += [f"{origin} {facts['circuit']}" for origin, facts in answer.get("origins", {}).items()]
    return "\n".join(lines) + "\n"


def probe_at(path: str) -> Callable[[HttpRequest], HttpResponse] | None:
    """Return the view that answers ``path``, where that is a probe.

    It is one where ``include("shared_core.urls")`` put it, and /health/ and /ready/ are where the service has no view
    of its own there.
    """
    if not path.endswith(_PATH_ENDINGS):
        return None
    try:
        if resolve(path).app_name != _NAMESPACE:
            return None
    except Resolver404:
        if path not in _PATH_ENDINGS:
            return None
    return health if path.endswith("/health/") else ready
