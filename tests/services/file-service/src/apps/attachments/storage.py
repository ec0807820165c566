"""How does a file get from a socket to the disk, whole or not at all, in little memory?"""

import hashlib

CHUNK = 64 * 1024  # bytes


class TooLargeError(Exception):
    """The content is larger than is allowed."""


def store(stream, path, limit):
    """Write ``stream`` to ``path`` and return its size in bytes and its SHA-256.

    Raises:
        TooLargeError: There are more than ``limit`` bytes; nothing is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    size, digest = 0, hashlib.sha256()
    try:
        with part.open("xb") as file:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise TooLargeError
                digest.update(chunk)
                file.write(chunk)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return size, digest.hexdigest()
