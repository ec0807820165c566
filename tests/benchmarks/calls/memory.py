"""How much memory does a large body take?"""

import json
import os
import subprocess
import sys

from tests.benchmarks.calls.server import ROOT, Running, serving
from tests.benchmarks.figures import Figure, Result

MB = 1_000_000
WHOLE, DOWNLOAD = 50, 200  # MB
# Beside the 10 MB that may be read: the copy that the error carries, and room for the buffer to grow.
REFUSED_LIMIT = 30.0  # MB
STREAM_LIMIT = 10.0  # MB; pieces are 64 KiB, the rest is the allocator's
COLUMNS = "  {:<58} {:>10} {:>10}  {}"

CASES = [  # client, how, MB, what is said of it, the bound in MB
    ("requests", "whole", WHOLE, f"{WHOLE} MB of JSON, requests.Session reads it", None),
    ("ours, unlimited", "whole", WHOLE, f"{WHOLE} MB of JSON, HTTPClient(max_response_bytes=None) reads it", None),
    ("ours", "refused", WHOLE, f"{WHOLE} MB of JSON, HTTPClient raises ResponseTooLarge", REFUSED_LIMIT),
    ("requests", "streamed", DOWNLOAD, f"{DOWNLOAD} MB by iter_content, requests.Session", None),
    ("ours", "streamed", DOWNLOAD, f"{DOWNLOAD} MB by iter_content, HTTPClient", STREAM_LIMIT),
]


def memory() -> Result:
    """Move each body in a process of its own, and look at the peak of its memory."""
    figures: list[Figure] = []
    lines = [COLUMNS.format("memory, peak of a process:", "grew by", "to", "").removeprefix("  ")]
    with serving() as server:
        for client, how, size, what, limit in CASES:
            before, after = _peaks(server, client, how, size)
            figures.append(Figure(what=f"memory for {what}", figure=(after - before) / MB, limit=limit, unit=" MB"))
            grown = f"{figures[-1].figure:.1f} MB"
            lines.append(COLUMNS.format(what, grown, f"{after / MB:.1f} MB", figures[-1].said))
    return Result("memory", [*lines, ""], figures)


def _peaks(server: Running, client: str, how: str, size: int) -> tuple[int, int]:
    """Return the peaks before and after, in bytes.

    Raises:
        CalledProcessError: What was moved is not what should have been.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "tests.benchmarks.calls.moving", client, how, f"{server.url}/bytes/{size * MB}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300, cwd=ROOT, env=environment)
    before, after = json.loads(done.stdout)
    return before, after
