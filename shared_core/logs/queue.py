"""A queue and a thread for slow destinations, so that no request waits for them."""

import contextlib
import copy
import logging.handlers
import os
import threading
import time
import weakref
from queue import Full, Queue
from typing import Any

from shared_core.logs.handlers import LossReporter

_WAITING = 10_000  # records
_FLUSHED_WITHIN = 5.0  # seconds
_TEXT = "_shared_core_text"

_queued: weakref.WeakSet["QueuedHandler"] = weakref.WeakSet()


class QueuedHandler(logging.handlers.QueueHandler):
    """Hands records to a thread of its own, which writes them to slow destinations.

        LOGGING["handlers"]["queue"] = {"class": "shared_core.logs.QueuedHandler", "handlers": ["syslog"]}
        LOGGING["root"]["handlers"] = ["console", "queue"]

    A record is formatted where it is logged, with what is bound there. Each process starts a thread of its own with its
    first record: a forked child goes on logging, and writes nothing twice. Waiting records are written before the
    process exits, within 5 s. At most 10,000 records wait, or ``maxsize`` of the ``queue`` in LOGGING; further ones are
    lost, with a warning a minute on the console.
    """

    queue: Queue[Any]  # Any: as the standard library has it
    listener: logging.handlers.QueueListener

    def __init__(self, queue: Queue[Any]) -> None:  # Any: likewise
        """Wait for the first record; ``queue`` bounds how many may wait."""
        super().__init__(queue)
        queue.maxsize = queue.maxsize or _WAITING
        self._thread: threading.Thread | None = None
        self._gave_up = False
        self._losses = LossReporter("Log queue", self._format_as_first, time.monotonic)
        _queued.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand ``record`` to the thread."""
        if self._thread is None:
            self._start()
        for handler in self.listener.handlers:
            if record.levelno >= handler.level and (kept := handler.filter(record)):
                made = copy.copy(kept if isinstance(kept, logging.LogRecord) else record)
                try:
                    vars(made)[_TEXT] = handler.format(made)
                    self.queue.put_nowait((handler, made))
                except Full:
                    self._losses.count("is full")
                except Exception:  # noqa: BLE001  # as logging's own handlers do: a record must not break its caller
                    self.handleError(record)
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
        self._thread = threading.Thread(target=_write_all, args=(self.queue,), name="log queue", daemon=True)
        self._thread.start()

    def _format_as_first(self, record: logging.LogRecord) -> str:
        return self.listener.handlers[0].format(record)

    def _forget_parent(self) -> None:
        """Start again in a forked child: the thread and its waiting records are the parent's."""
        self.queue, self._thread = Queue(self.queue.maxsize), None


def _write_all(waiting: Queue[tuple[logging.Handler, logging.LogRecord] | None]) -> None:
    while (item := waiting.get()) is not None:
        handler, record = item
        with handler.lock or contextlib.nullcontext():
            try:
                handler.emit(record)
            except Exception:  # noqa: BLE001  # the thread goes on
                handler.handleError(record)
        waiting.task_done()


class _Preformatted(logging.Formatter):
    """Returns the text that `QueuedHandler` put on a record; formats a record that has none."""

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


def _forget_parents() -> None:
    for handler in list(_queued):
        handler._forget_parent()


os.register_at_fork(after_in_child=_forget_parents)
