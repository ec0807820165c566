"""Moves one body in a process of its own: ``python -m tests.benchmarks.calls.moving CLIENT HOW URL``.

Prints the peak of its memory before and after, in bytes, as JSON.
"""

import contextlib
import json
import logging
import resource
import sys
from functools import partial
from pathlib import Path

import requests

from shared_core.clients import HTTPClient, ResponseTooLarge

PIECE = 65_536
CLIENTS = {
    "requests": requests.Session,
    "ours": partial(HTTPClient, token=False, deadline=120),
    "ours, unlimited": partial(HTTPClient, token=False, deadline=120, max_response_bytes=None),
}


def whole(client: requests.Session | HTTPClient, url: str) -> int:
    """Read it at once, and return how much there was."""
    return len(client.get(url).content)


def refused(client: requests.Session | HTTPClient, url: str) -> int:
    """Be refused what is too large."""
    try:
        client.get(url)
    except ResponseTooLarge:
        return 0
    raise AssertionError("it was not refused")


def streamed(client: requests.Session | HTTPClient, url: str) -> int:
    """Read it piece by piece, and return how much there was."""
    with client.get(url, stream=True) as response:
        return sum(map(len, response.iter_content(PIECE)))


def forget_peak() -> None:
    """Begin anew with what is taken now, where the system can: what imports took and gave back would hide as much."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Return the peak of this process's memory, in bytes.

    Not ru_maxrss where there is a choice: Linux counts into it the peak of the process that started this one.
    """
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    name, how, url = sys.argv[1:]
    size = int(url.rpartition("/")[2])
    logging.getLogger("shared_core.http").addHandler(logging.NullHandler())  # what is refused is told of
    with CLIENTS[name]() as client:
        client.get(f"{url.removesuffix(str(size))}10")  # what the first call loads is none of the body's
        forget_peak()
        before = peak()
        moved = globals()[how](client, url)
        print(json.dumps([before, peak()]))
    assert moved == (0 if how == "refused" else size)


if __name__ == "__main__":
    main()
