"""Sources of lines: files and standard input, merged by time, and files that are followed."""

import contextlib
import errno
import gzip
import heapq
import operator
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from shared_core.logs.reader.lines import Line, read, read_line

STDIN = "-"

_TELL_EVERY = 1_000_000  # bytes
_ISIZE = 4  # bytes at the end of a .gz, which hold its size, RFC 1952

# Bytes of a line; what is longer is read in pieces. A file that was cut while it was open is one line of NUL bytes.
_LONGEST_LINE = 2**20

# Seconds between two looks at the files that are followed.
_LOOK_EVERY = 0.2


def merged(names: Sequence[str], wanted: bytes = b"", advance: Callable[[int], object] | None = None) -> Iterator[Line]:
    """Yield the lines of all files, in time; one line a file is held at once.

    Args:
        names: Files, gzipped ones too (``.gz``), or ``-`` for standard input.
        wanted: What each line must contain.
        advance: Called, now and again, with how many more kB were read.

    Raises:
        OSError: A file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        raw = [stack.enter_context(_opened(name)) for name in names]
        counted = [_counted(lines, advance) for lines in raw] if advance else raw
        yield from heapq.merge(*(read(lines, wanted) for lines in counted), key=operator.attrgetter("time"))


def size_of(name: str) -> int:
    """Return how many bytes there are to read; 0 if that is unknown. A gzipped file states its size itself."""
    path = Path(name)
    if not path.is_file():
        return 0
    with contextlib.suppress(OSError), path.open("rb") as file:  # reading it later reports the error
        size = file.seek(0, os.SEEK_END)
        if not name.endswith(".gz") or size < _ISIZE:
            return size
        file.seek(-_ISIZE, os.SEEK_END)
        return int.from_bytes(file.read(), "little")
    return 0


def _counted(lines: Iterable[bytes], advance: Callable[[int], object]) -> Iterator[bytes]:
    count = 0
    for data in lines:
        count += len(data)
        if count >= _TELL_EVERY:
            advance(count // 1000)
            count = 0
        yield data


def _opened(name: str) -> contextlib.AbstractContextManager[Generator[bytes, None, None]]:
    return contextlib.closing(_read(name))


def _read(name: str) -> Generator[bytes, None, None]:
    with _errors_of("standard input" if name == STDIN else name), _open(name) as file:
        yield from iter(partial(file.readline, _LONGEST_LINE), b"")


def _open(name: str) -> contextlib.AbstractContextManager[BinaryIO | gzip.GzipFile]:
    if name == STDIN:
        if sys.stdin is None:  # it was closed before Python started
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return contextlib.nullcontext(sys.stdin.buffer)
    return gzip.open(name) if name.endswith(".gz") else Path(name).open("rb")


@contextlib.contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Raise an OSError that names the file, also for one that was raised by reading and names none."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        number, reason = getattr(error, "errno", None) or errno.EIO, getattr(error, "strerror", None) or str(error)
        raise OSError(number, reason, name) from error


class Followed:
    """A file that is followed from its present end, also after it was moved away and created again."""

    def __init__(self, name: str) -> None:
        self._path = Path(name)
        self._file: BinaryIO | None = None
        self._rest, self._goes_on = b"", False
        with contextlib.suppress(FileNotFoundError), _errors_of(name):
            self._file = self._opened()
            self._file.seek(0, os.SEEK_END)

    def new(self) -> Iterator[Line]:
        """Yield the lines that were written since, but for one that is not complete."""
        with _errors_of(str(self._path)):
            yield from self._new()

    def _new(self) -> Iterator[Line]:
        if self._file is not None:
            yield from self._lines(self._file)
        if self._is_elsewhere():
            with contextlib.suppress(FileNotFoundError):
                anew = self._opened()
                self.close()
                self._file = anew
                yield from self._lines(anew)

    def _opened(self) -> BinaryIO:
        # What is no file has no end from which it could be followed, and a FIFO without a writer would be waited for.
        if not stat.S_ISREG(self._path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no regular file, which --follow needs")
        return self._path.open("rb")

    def _lines(self, file: BinaryIO) -> Iterator[Line]:
        if os.fstat(file.fileno()).st_size < file.tell():  # cut short, as `> file` does
            file.seek(0)
            self._rest, self._goes_on = b"", False
        last = ""
        while data := file.readline(_LONGEST_LINE):
            self._rest += data
            ends = self._rest.endswith(b"\n")
            if ends or len(self._rest) >= _LONGEST_LINE:
                line = read_line(self._rest, last, goes_on=self._goes_on)
                self._rest, self._goes_on = b"", not ends
                last = line.time
                yield line

    def _is_elsewhere(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest, self._goes_on = None, b"", False


def followed(names: Sequence[str], sleep: Callable[[float], object] = time.sleep) -> Iterator[Line]:
    """Yield what is written to the files from now on; what came between two looks, in time."""
    files = [Followed(name) for name in names]
    try:
        while True:
            # Merged and not sorted: of what was written one line a file is held.
            yield from heapq.merge(*(file.new() for file in files), key=operator.attrgetter("time"))
            sleep(_LOOK_EVERY)
    finally:
        for file in files:
            file.close()
