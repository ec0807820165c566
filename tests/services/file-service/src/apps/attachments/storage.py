"""How does a file get from a socket to the disk, whole or not at all, in little memory?"""

import hashlib

CHUNK = 64 * 1024  # bytes


class BrokenOffError(Exception):
    """The content ended before its end."""


def store(stream, path, size):
    """Write ``size`` bytes of ``stream`` to ``path`` and return their SHA-256.

    Raises:
        BrokenOffError: There are fewer; nothing is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    left, digest = size, hashlib.sha256()
    try:
        with part.open("xb") as file:
            while chunk := stream.read(min(left, CHUNK)):
                left -= len(chunk)
                digest.update(chunk)
                file.write(chunk)
        if left:
            raise BrokenOffError
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()
