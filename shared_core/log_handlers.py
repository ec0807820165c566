"""Where do log lines go when the destination fails?

A file that cannot be written costs one warning a minute on the console, and nothing else: the service starts, the
request goes on, other destinations get their lines. Once it can be written again, a line tells how many were lost.
"""

import contextlib
import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

_WARN_EVERY = 60.0  # seconds


class SharedFileHandler(logging.Handler):
    """Appends each record to a file that other processes write and rotate too, and that may be moved away.

    A record is one ``write`` to a file opened for appending, so records of several processes never mix.
    """

    def __init__(
        self,
        filename: str,
        *,
        max_bytes: int = 0,
        backups: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to write; the file is opened by the first record.

        Args:
            filename: Where to append. Its folder must exist by then.
            max_bytes: Once the file would grow past this, it becomes ``filename.1``, that ``filename.2``, and so on.
                0 never rotates.
            backups: How many of these to keep, at least 1.
            clock: Seconds, for the warnings.
        """
        super().__init__()
        self._path = Path(filename).absolute()
        self._max_bytes = max_bytes
        self._backups = max(backups, 1)
        self._clock = clock
        self._descriptor: int | None = None
        self._inode: tuple[int, int] | None = None
        self._lost = 0
        self._warned_at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record``; never raises for what the file system does."""
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
            self.handleError(record)
            return
        try:
            self._append(data)
        except OSError as error:
            self._lost += 1
            self._warn(error)
        else:
            if self._lost:
                lost, self._lost, self._warned_at = self._lost, 0, None
                sys.stderr.write(f"log file {self._path} can be written again; {lost} records were lost to it\n")

    def close(self) -> None:
        """Close the file."""
        with self.lock or contextlib.nullcontext():
            self._close_file()
        super().close()

    def _append(self, data: bytes) -> None:
        size = self._open_where_it_is_now()
        if self._max_bytes and size and size + len(data) > self._max_bytes:
            self._rotate(len(data))
        assert self._descriptor is not None  # noqa: S101  # opened above
        while data:
            # More than one write is needed only where a disk fills up or a signal comes.
            data = data[os.write(self._descriptor, data) :]

    def _open_where_it_is_now(self) -> int:
        """Open the file, anew where it was moved or removed since; return its size in bytes."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            status = None
        if status is None or self._inode != (status.st_dev, status.st_ino):
            self._close_file()
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            status = os.fstat(self._descriptor)
            self._inode = (status.st_dev, status.st_ino)
        return status.st_size

    def _rotate(self, coming: int) -> None:
        # One process shifts the files; the others, who waited for the lock, find a small one.
        guard = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if self._open_where_it_is_now() + coming > self._max_bytes:
                for number in range(self._backups - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self._path}.{number}").rename(f"{self._path}.{number + 1}")
                self._path.rename(f"{self._path}.1")
                self._open_where_it_is_now()
        finally:
            os.close(guard)

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._inode = None

    def _warn(self, error: OSError) -> None:
        now = self._clock()
        if self._warned_at is None or now - self._warned_at >= _WARN_EVERY:
            self._warned_at = now
            sys.stderr.write(f"log file {self._path} cannot be written: {error.strerror}; {self._lost} records lost\n")
