"""What do the checks add to ``manage.py check``?"""

import os
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.figures import Figure, Result

_SOURCE = Path(__file__).parents[2] / "services" / "ticket-service" / "src"
AT_MOST = 50.0  # ms
_WITHOUT = "import shared_core.checks; shared_core.checks.register = lambda: None; "
_CHECK = "import sys; sys.argv = ['manage.py', 'check']; import runpy; runpy.run_path('manage.py', run_name='__main__')"


def checks(rounds: int) -> Result:
    """Check ticket-service with and without ours, each in a process of its own, in turn."""
    names = ("USER_SERVICE_URL", "FILE_SERVICE_URL", "COMMUNICATION_SERVICE_URL")
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}},
        **dict.fromkeys(("DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD"), "unused"),
        **dict.fromkeys(names, "http://service:8000"),
        "ALLOWED_HOSTS": "ticket",
        "DJANGO_SETTINGS_MODULE": "core.settings.prod",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SERVICE_ACCEPTED_TOKENS": f"gateway={secrets.token_urlsafe(32)}",
        "SERVICE_AUTH_TOKEN": secrets.token_urlsafe(32),
    }

    def run(code: str) -> float:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=_SOURCE, env=environment, capture_output=True, text=True, check=True
        )
        assert "no issues" in done.stdout, done.stdout + done.stderr
        return (time.perf_counter() - started) * 1000

    run(_CHECK)
    with_ours, without = [], []
    for number in range(rounds):
        turns = [(with_ours, _CHECK), (without, _WITHOUT + _CHECK)]
        for taken, code in turns[:: -1 if number % 2 else 1]:
            taken.append(run(code))
    added = [one - other for one, other in zip(with_ours, without, strict=True)]
    figure = Figure(
        what="the checks add to manage.py check of ticket-service",
        figure=statistics.median(added),
        limit=AT_MOST,
        unit=" ms",
        low=min(added),
        high=max(added),
        raw=added,
    )
    lines = [
        f"checks of ticket-service, {rounds} rounds; medians:",
        f"  with ours    {statistics.median(with_ours):>8,.0f} ms",
        f"  without      {statistics.median(without):>8,.0f} ms",
    ]
    return Result("checks", lines, [figure])
