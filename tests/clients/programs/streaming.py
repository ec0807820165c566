"""Moves a lot in little memory: ``streaming.py URL HOW SIZE``; prints by how many bytes the peak of memory grew."""

import re
import resource
import sys
import tempfile
from pathlib import Path

from shared_core.clients import HTTPClient, ResponseTooLarge

PIECE = 1 << 20
# Linux: proc(5).
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def download(client: HTTPClient, size: int) -> None:
    with client.get(f"/{size}", stream=True, deadline=60) as response:
        assert sum(map(len, response.iter_content(PIECE))) == size


def upload_file(client: HTTPClient, size: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(size)  # a hole, which takes no space
        assert int(client.put("/", data=file, deadline=60).text) == size


def upload_generator(client: HTTPClient, size: int) -> None:
    assert int(client.put("/", data=(bytes(PIECE) for _ in range(size // PIECE)), deadline=60).text) == size


def refuse(client: HTTPClient, size: int) -> None:
    for path in (f"/{size}", f"/{size}?chunked", f"/{size}?gzip"):
        try:
            client.get_json(path)
        except ResponseTooLarge:
            continue
        raise AssertionError(path)


def begin() -> None:
    """Let the peak be that of now: a child begins with its parent's."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def peak() -> int:
    if CLEAR.exists():
        return int(re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    url, how, size = sys.argv[1], globals()[sys.argv[2]], int(sys.argv[3])
    with HTTPClient(url, token=False, timeout=30) as client:
        client.get("/0")
        begin()
        before = peak()
        how(client, size)
        print(peak() - before)


if __name__ == "__main__":
    main()
