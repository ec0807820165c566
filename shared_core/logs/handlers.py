"""Log files that fail safely: a destination that cannot be written costs a warning a minute, and nothing else.

The service starts, the request goes on, and other destinations get their lines. Once the destination can be written
again, a line on the console reports how many records were lost.
"""

import contextlib
import errno
import fcntl
import logging
import math
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from shared_core.timing import Deadline

_WARN_EVERY = 60.0  # seconds

# How long a full pipe or FIFO is waited for; once, until it takes a record again.
_WAIT_FOR_READER = 1.0  # seconds
# Another process rotates in milliseconds. One that holds the lock for longer costs a second of waiting in 25.
_LOCK_TRIES, _LOCK_PAUSE = 20, 0.01  # seconds
_ROTATE_AGAIN_AFTER = 5.0  # seconds
# Opening these by name gives the same device again, so they are never rotated.
_DEVICES = ("/dev/", "/proc/")
_LONGEST_CHAIN = 40  # links that Linux follows
MOST_BACKUPS = 1000  # each rotation renames all of them
_LINE_FEED = b"\n"
# No open waits, neither for the reader of a FIFO, and no terminal becomes the process's own.
_OPEN = os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class LossReporter:
    """Counts the records that one destination lost, and reports them on the console.

    A report comes at most once a minute, and once the destination takes records again.
    """

    def __init__(
        self, destination: str, format_record: Callable[[logging.LogRecord], str], clock: Callable[[], float]
    ) -> None:
        self._destination = destination
        self._format = format_record
        self._clock = clock
        self._count = 0
        self._warned_at: float | None = None
        self._is_reported = False  # the present losses

    def count(self, why: str) -> None:
        """Count a lost record; report it if a report is due."""
        self._count += 1
        if self._is_due():
            self._is_reported = True
            self.report(f"{why}; {self._count} records lost")

    def end(self, how: str, *, for_good: bool = False) -> None:
        """Report how many records were lost, if that was reported before, if a report is due, or ``for_good``."""
        if self._count and (self._is_reported or for_good or self._is_due()):
            count, self._count, self._is_reported = self._count, 0, False
            self.report(f"{how}; {count} records were lost to it")

    def warn(self, text: str) -> None:
        """Report what loses no record, at most once a minute."""
        if self._is_due():
            self.report(text)

    def report(self, text: str) -> None:
        """Write a line to the console, in the destination's own format."""
        # Not by a handler: the console's may be the one that fails, or there is none.
        record = logging.LogRecord(__name__, logging.WARNING, "", 0, f"{self._destination} {text}", None, None)
        # Whatever stands in for the console: it may be in any state.
        with contextlib.suppress(Exception):
            sys.stderr.write(f"{self._format(record)}\n")

    def _is_due(self) -> bool:
        now = self._clock()
        if self._warned_at is not None and now - self._warned_at < _WARN_EVERY:
            return False
        self._warned_at = now
        return True


class SharedFileHandler(logging.Handler):
    """Appends each record to a file that other processes write and rotate too, and that may be moved away.

    A record is one ``write`` to a file opened for appending, so records of several processes never mix. A symbolic link
    is followed, and its target rotated. A file that cannot be rotated grows on, with a warning a minute on the console.
    A FIFO or device is never rotated. A FIFO without a reader is an error at once; a full one is waited for, 1 s at
    most.
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
            backups: How many of these to keep, from 1 to 1,000.
            clock: Seconds, for the warnings.

        Raises:
            ValueError: ``filename`` holds a NUL character, or ``backups`` is too large.
        """
        if "\0" in str(filename):
            raise ValueError(f"The name of the log file, {str(filename)!r}, has a NUL character: write it without one.")
        if backups > MOST_BACKUPS:
            raise ValueError(f"backups={backups} keeps too many rotated files: write {MOST_BACKUPS} at most.")
        super().__init__()
        self._filename = str(Path(filename).absolute())
        self._max_bytes = 0 if _is_device(self._filename) else max_bytes
        self._backups = max(backups, 1)
        self._descriptor = self._inode = self._device = -1
        self._is_torn = False  # the last record is there in part, without its line feed
        self._is_first = True  # after it was opened, or could not be written
        self._is_full = False  # nobody has read since a record was lost
        self._rotate_from = -math.inf  # the clock's
        self._clock = clock
        self._losses = LossReporter(f"Log file {self._filename}", self.format, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Append ``record``. An error of the file system is reported, not raised."""
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
            self.handleError(record)
            return
        try:
            size = self._open_where_it_is_now()
            # Another process may have torn its last record, on a disk that was full.
            is_torn = self._is_torn or (size > 0 and self._is_first and not self._ends_with_line_feed(size))
            if self._max_bytes and size and size + len(data) > self._max_bytes and self._clock() >= self._rotate_from:
                self._rotate(len(data))
            self._write(_LINE_FEED + data if is_torn else data)
            self._is_first = False
        except OSError as error:
            self._is_first = True
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
        """Open the file, again if it was moved or removed; return its size in bytes."""
        try:
            status = os.stat(self._filename)  # noqa: PTH116  # called for each record, and a Path builds its text each time
        except FileNotFoundError:
            status = None
        if status is None or self._inode != status.st_ino or self._device != status.st_dev:
            self._close_file()
            self._descriptor = os.open(self._filename, os.O_WRONLY | os.O_APPEND | _OPEN, 0o640)
            self._is_first = True
            status = os.fstat(self._descriptor)
            self._inode, self._device = status.st_ino, status.st_dev
        return status.st_size

    def _write(self, data: bytes) -> None:
        deadline = Deadline(_WAIT_FOR_READER)
        whole = len(data)
        while data:  # a full disk or a signal leaves a part of it
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                left = 0.0 if self._is_full else deadline.left()
                if left <= 0 or not self._wait_for_reader(left):
                    self._is_full, self._is_torn = True, self._is_torn or len(data) < whole
                    raise
            except OSError:
                self._is_torn = self._is_torn or len(data) < whole
                raise
        self._is_full = self._is_torn = False

    def _wait_for_reader(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def _rotate(self, coming: int) -> None:
        """Rotate the file. If that fails, warn and let it grow."""
        try:
            # Looked at each time: the link may be another one since.
            if _is_device(self._filename):
                self._max_bytes = 0
                return
            # Of the target, where the name is a link: the next file is to be there, too.
            self._shift(os.path.realpath(self._filename), coming)
        except OSError as error:
            self._rotate_from = self._clock() + _ROTATE_AGAIN_AFTER
            why = "another process holds its lock" if isinstance(error, BlockingIOError) else error.strerror
            self._losses.warn(f"cannot be rotated: {why}; it grows past {self._max_bytes} bytes")
            self._open_where_it_is_now()

    def _shift(self, filename: str, coming: int) -> None:
        # One process renames the files; the others waited for the lock, and find a small file.
        guard = os.open(f"{filename}.lock", os.O_RDWR | os.O_NOFOLLOW | _OPEN, 0o640)
        try:
            if self._is_mine_to_rotate(guard, coming):
                before = self._device, self._inode
                self._move_away(filename)
                self._open_where_it_is_now()
                if (self._device, self._inode) == before:
                    # What was moved away is still what the name leads to, and would be moved for ever.
                    self._max_bytes = 0
                    self._losses.report("is the same file after its rotation, so it is rotated no more")
        finally:
            os.close(guard)

    def _move_away(self, filename: str) -> None:
        """Make the file ``filename.1``, that ``filename.2``, and so on; if that fails, all stay as they were."""
        # First the file itself, which is most likely to stay, as one does that is mounted. No backup is lost by that.
        moved = f"{filename}.rotating"
        if os.path.lexists(moved):  # a process ended between the two
            self._shift_backups(filename, moved)
        Path(filename).rename(moved)
        try:
            self._shift_backups(filename, moved)
        except OSError:
            if not os.path.lexists(filename):  # nobody wrote meanwhile
                Path(moved).rename(filename)
            raise

    def _shift_backups(self, filename: str, moved: str) -> None:
        # The last one makes room, and is removed once all are where they belong.
        names = [f"{filename}.oldest", *(f"{filename}.{number}" for number in range(self._backups, 0, -1)), moved]
        if Path(names[1]).is_dir():  # nobody's backup, which could be moved and never removed
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        done: list[tuple[str, str]] = []
        try:
            for to, name in pairwise(names):
                with contextlib.suppress(FileNotFoundError):
                    Path(name).rename(to)
                    done.append((name, to))
        except OSError:
            with contextlib.suppress(OSError):
                for name, to in reversed(done):
                    Path(to).rename(name)
            raise
        Path(names[0]).unlink(missing_ok=True)

    def _ends_with_line_feed(self, size: int) -> bool:
        with contextlib.suppress(OSError), open(self._filename, "rb", opener=_opener) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return os.pread(file.fileno(), 1, size - 1) in {_LINE_FEED, b""}
        return True  # it cannot be read, or has no end

    def _is_mine_to_rotate(self, guard: int, coming: int) -> bool:
        """Lock the file that guards the rotation; return whether no other process has rotated meanwhile.

        Raises:
            BlockingIOError: Another process keeps the lock.
        """
        for number in range(1, _LOCK_TRIES + 1):
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if number == _LOCK_TRIES:
                    raise
            time.sleep(_LOCK_PAUSE)
            if self._open_where_it_is_now() + coming <= self._max_bytes:
                return False
        return self._open_where_it_is_now() + coming > self._max_bytes

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = self._inode = self._device = -1


def _opener(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _is_device(filename: str) -> bool:
    """Say whether the name, or one in its chain of links, is of a device or of what a process has open."""
    for _ in range(_LONGEST_CHAIN):
        folder, name = os.path.split(filename)
        # Links in the way are followed, and the last one is not: /proc/self/fd/1 is no more once it is followed.
        filename = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118  # as text
        if filename.startswith(_DEVICES) and not filename.startswith("/dev/shm/"):  # noqa: S108  # files
            return True
        try:
            target = os.readlink(filename)  # noqa: PTH115  # as text
        except OSError:
            return False
        filename = os.path.join(os.path.dirname(filename), target)  # noqa: PTH118, PTH120  # as text
    return False
