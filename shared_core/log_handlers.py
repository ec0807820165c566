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

_TELL_EVERY = 60.0  # seconds


class Losses:
    """What could not be written to one destination: told on the console, once a minute, and once it is over."""

    def __init__(
        self, destination: str, format_record: Callable[[logging.LogRecord], str], clock: Callable[[], float]
    ) -> None:
        self._destination = destination
        self._format = format_record
        self._clock = clock
        self._count = 0
        self._told_at: float | None = None
        self._is_told = False  # of these losses

    def count(self, why: str) -> None:
        """Count a record that is lost."""
        self._count += 1
        if self._is_due():
            self._is_told = True
            self.tell(f"{why}; {self._count} records lost")

    def end(self, how: str, *, for_good: bool = False) -> None:
        """Tell what was lost, if anything was; where it comes and goes, once a minute too, or when it ends for good."""
        if self._count and (self._is_told or for_good or self._is_due()):
            count, self._count, self._is_told = self._count, 0, False
            self.tell(f"{how}; {count} records were lost to it")

    def tell(self, text: str) -> None:
        """Write a line to the console, in the destination's own format."""
        # No handler is asked to: the console's may be the one in trouble, or there is none.
        record = logging.LogRecord(__name__, logging.WARNING, "", 0, f"{self._destination} {text}", None, None)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{self._format(record)}\n")

    def _is_due(self) -> bool:
        now = self._clock()
        if self._told_at is not None and now - self._told_at < _TELL_EVERY:
            return False
        self._told_at = now
        return True


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
        self._filename = str(Path(filename).absolute())
        self._max_bytes = max_bytes
        self._backups = max(backups, 1)
        self._descriptor = self._inode = self._device = -1
        self._is_torn = False  # the last record is there in part, without its line feed
        self._losses = Losses(f"Log file {self._filename}", self.format, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record``; never raises for what the file system does."""
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
            self.handleError(record)
            return
        try:
            size = self._open_where_it_is_now()
            if self._max_bytes and size and size + len(data) > self._max_bytes:
                self._rotate(len(data))
            if self._is_torn:
                data = b"\n" + data
            written = os.write(self._descriptor, data)
            self._is_torn = written < len(data)
            while written < len(data):  # where a disk fills up or a signal comes
                written += os.write(self._descriptor, data[written:])
            self._is_torn = False
        except OSError as error:
            self._losses.count(f"cannot be written: {error.strerror}")
        else:
            self._losses.end("can be written again")

    def close(self) -> None:
        """Close the file."""
        with self.lock or contextlib.nullcontext():
            self._close_file()
            self._losses.end("is closed", for_good=True)
        super().close()

    def _open_where_it_is_now(self) -> int:
        """Open the file, anew where it was moved or removed since; return its size in bytes."""
        try:
            status = os.stat(self._filename)  # noqa: PTH116  # asked for each record: a Path makes its text each time
        except FileNotFoundError:
            status = None
        if status is None or self._inode != status.st_ino or self._device != status.st_dev:
            self._close_file()
            self._descriptor = os.open(self._filename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            status = os.fstat(self._descriptor)
            self._inode, self._device = status.st_ino, status.st_dev
        return status.st_size

    def _rotate(self, coming: int) -> None:
        # One process shifts the files; the others, who waited for the lock, find a small one.
        guard = os.open(f"{self._filename}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if self._open_where_it_is_now() + coming > self._max_bytes:
                for number in range(self._backups - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self._filename}.{number}").rename(f"{self._filename}.{number + 1}")
                Path(self._filename).rename(f"{self._filename}.1")
                self._open_where_it_is_now()
        finally:
            os.close(guard)

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = self._inode = self._device = -1
