"""A queue and a thread for slow destinations, so that no request waits for them."""

import contextlib
import logging.handlers
import sys
import threading
import time
import weakref
from queue import Full, Queue
from typing import Any

from shared_core.logs.handlers import LossReporter
from shared_core.timing import reset_after_fork

_WAITING = 10_000  # records
_WAITING_BYTES = 64 * 2**20  # of their texts, each counted with what its record takes
_RECORD_BYTES = 1_000  # about, without its text
_FLUSHED_WITHIN = 5.0  # seconds
_TEXT = "_shared_core_text"
# What a record keeps while it waits, of what was set when it was made.
_KEPT = (
    *("created", "msecs", "relativeCreated", "levelname", "filename", "module", "funcName"),
    *("process", "processName", "thread", "threadName", "taskName"),
)

# Whether this thread is in a handler of a queue: what is logged there would feed the queue for ever.
_writing = threading.local()

_queued: weakref.WeakSet["QueuedHandler"] = weakref.WeakSet()


class QueuedHandler(logging.handlers.QueueHandler):
    """Hands records to a thread of its own, which writes them to slow destinations.

        LOGGING["handlers"]["queue"] = {"class": "shared_core.logs.QueuedHandler", "handlers": ["syslog"]}
        LOGGING["root"]["handlers"] = ["console", "queue"]

    A record is formatted where it is logged, with what is bound there. The thread is each process's own, from its first
    record on: forks go on logging, and write nothing twice. What waits is written before the process exits, within 5 s.
    10,000 records or 64 MiB wait at most, or ``maxsize`` records of the ``queue`` that `logging.config` is told of;
    further ones are lost, with a warning a minute on the console. So are records that a handler's own work logs, which
    would feed the queue for ever. If no thread can start, the caller writes.

    What waits has the text and a record's own attributes, without extras, arguments and frames.
    """

    queue: Queue[Any]  # Any: as the standard library has it
    listener: logging.handlers.QueueListener

    def __init__(self, queue: Queue[Any]) -> None:  # Any: likewise
        """Wait for the first record; ``queue`` bounds how many may wait."""
        super().__init__(queue)
        queue.maxsize = queue.maxsize or _WAITING
        self._thread: threading.Thread | None = None
        self._gave_up = False
        self._bytes = _Bytes()
        self._losses = LossReporter("Log queue", self._format_as_first, time.monotonic)
        _queued.add(self)
        reset_after_fork(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand ``record`` to the thread."""
        if getattr(_writing, "is_on", False):
            self._losses.count("is fed by one of its own handlers")
            return
        if self._thread is None:
            self._start()
        for handler in self.listener.handlers:
            try:
                if record.levelno >= handler.level and (kept := handler.filter(record)):
                    self._hand_over(handler, kept if isinstance(kept, logging.LogRecord) else record)
            except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
                self.handleError(record)

    def _hand_over(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        made = _stripped(record, handler.format(record))
        if self._thread is None:
            _write(handler, made)
            return
        size = _size(made)
        if not self._bytes.take(size):
            self._losses.count("is full")
            return
        try:
            self.queue.put_nowait((handler, made))
        except Full:
            self._bytes.give_back(size)
            self._losses.count("is full")
        else:
            self._losses.end("takes records again")

    def flush(self) -> None:
        """Wait, for 5 s at most, until every waiting record is written."""
        if self._thread is None or self._gave_up:
            return
        with self.queue.all_tasks_done:
            self.queue.all_tasks_done.wait_for(lambda: not self.queue.unfinished_tasks, _FLUSHED_WITHIN)
            left = self.queue.unfinished_tasks
        if left:
            self._gave_up = True
            self._losses.report(f"still holds {left} records after {_FLUSHED_WITHIN:g} s")

    def close(self) -> None:
        """Write the waiting records, and end the thread."""
        self.flush()
        if self._gave_up:
            for handler in self.listener.handlers:
                handler.createLock()  # the thread keeps the old one, and the process would wait for it to exit
        with contextlib.suppress(Full):
            if self._thread is not None:
                self.queue.put_nowait(None)
        self._thread, self._gave_up = None, False
        self._losses.end("is closed", for_good=True)
        super().close()

    def _start(self) -> None:
        for handler in self.listener.handlers:
            if not isinstance(handler.formatter, _Preformatted):
                handler.setFormatter(_Preformatted(handler.formatter))
        thread = threading.Thread(target=_write_all, args=(self.queue, self._bytes), name="log queue", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many threads, or the interpreter ends
            self._losses.warn(f"has no thread ({error}): callers write themselves")
        else:
            self._thread = thread

    def _format_as_first(self, record: logging.LogRecord) -> str:
        return self.listener.handlers[0].format(record)

    def reset_after_fork(self) -> None:
        """Start anew: the thread is the parent's, and so is what waits for it."""
        self.queue, self._thread, self._gave_up = Queue(self.queue.maxsize), None, False
        self._bytes = _Bytes()


class _Bytes:
    """How much waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0

    def take(self, size: int) -> bool:
        """Count ``size`` bytes, if there is room; what is larger than all room is taken where nothing waits."""
        with self._lock:
            if self._waiting and self._waiting + size > _WAITING_BYTES:
                return False
            self._waiting += size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._waiting -= size


def _size(record: logging.LogRecord) -> int:
    return _RECORD_BYTES + sys.getsizeof(vars(record)[_TEXT])


def _stripped(record: logging.LogRecord, text: str) -> logging.LogRecord:
    """Return a copy of ``record`` with its text, for handlers that ask for its level, logger or time."""
    made = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, None, None)
    for name in _KEPT:
        if name in vars(record):
            vars(made)[name] = vars(record)[name]
    vars(made)[_TEXT] = text
    return made


def _write_all(waiting: Queue[tuple[logging.Handler, logging.LogRecord] | None], count: _Bytes) -> None:
    while (item := waiting.get()) is not None:
        handler, record = item
        try:
            _write(handler, record)
        except BaseException:  # noqa: BLE001  # SystemExit, too: the thread goes on
            with contextlib.suppress(Exception):
                handler.handleError(record)
        count.give_back(_size(record))
        waiting.task_done()


def _write(handler: logging.Handler, record: logging.LogRecord) -> None:
    _writing.is_on = True
    try:
        with handler.lock or contextlib.nullcontext():
            handler.emit(record)
    except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
        handler.handleError(record)
    finally:
        _writing.is_on = False


class _Preformatted(logging.Formatter):
    """Returns the text that a record brings along; formats those that bring none."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        text: str | None = vars(record).get(_TEXT)
        return self._formatter.format(record) if text is None else text


def flush_queues() -> None:
    """Wait until all queues of this process are written. For processes that end without the interpreter's exit."""
    for handler in list(_queued):
        handler.flush()
