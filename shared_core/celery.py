"""A task is sent, and run elsewhere: what is bound goes along with it, and its lines can be found beside the request's.

    with context.bind(ticket_id=ticket.id):
        notify.delay(ticket.id)     # the task's lines: … ticket_id=0198… request_id=0f8fad5b… task=… task_id=…

Nothing to write for it: `shared_core` in INSTALLED_APPS connects to Celery's signals, where Celery is installed.
"""

import json
import logging
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from celery import signals

from shared_core import context
from shared_core.logs.queue import flush_queues
from shared_core.logs.redaction import is_secret_key
from shared_core.logs.values import ValueReader

_HEADER = "shared_core_context"
_LONGEST = 8192  # characters of JSON
_IDS = {"request_id", "trace_id", "span_id"}  # what comes first

_running: ContextVar[tuple[AbstractContextManager[None], ...]] = ContextVar("shared_core.celery", default=())


def connect() -> None:
    """Bind to each task what was bound where it was sent, and leave the logging of workers as the service has it."""
    signals.before_task_publish.connect(_send_along, weak=False, dispatch_uid="shared_core.send_along")
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid="shared_core.begin")
    signals.task_postrun.connect(_end, weak=False, dispatch_uid="shared_core.end")
    # Its processes leave without the interpreter's exit.
    signals.worker_process_shutdown.connect(_flush, weak=False, dispatch_uid="shared_core.flush")
    if logging.root.handlers:
        # A worker replaces them, and their formats, unless somebody listens here.
        signals.setup_logging.connect(_leave_logging, weak=False, dispatch_uid="shared_core.leave_logging")


def _send_along(headers: dict[str, Any], **_: object) -> None:
    bound, carried, length = context.current(), {}, 0
    for key in sorted(bound, key=lambda key: key not in _IDS):
        value = ValueReader((), _LONGEST).field(bound[key])
        its_length = len(json.dumps({key: value}))
        if length + its_length <= _LONGEST and not is_secret_key(key, ()):
            carried[key] = value
            length += its_length
    if carried:
        headers[_HEADER] = json.dumps(carried)


def _begin(task: Any, task_id: str, **_: object) -> None:  # Any: Celery has no types
    carried = _received(task.request.get(_HEADER))
    # A task that is run on the spot, `task_always_eager`, is a part of the request that calls it.
    ids = {} if task.request.is_eager and context.request_id() else _ids(carried)
    block = context.bind(**{**carried, **ids, "task": task.name, "task_id": task_id})
    block.__enter__()  # left by `_end`
    _running.set((*_running.get(), block))


def _end(**_: object) -> None:
    *outer, block = _running.get()
    _running.set(tuple(outer))
    block.__exit__(None, None, None)


def _received(header: object) -> dict[str, object]:
    """Return what came with a task; nothing where that is not ours."""
    try:
        carried = json.loads(header) if isinstance(header, str) else None
    except ValueError:
        carried = None
    return carried if isinstance(carried, dict) else {}


def _ids(carried: dict[str, object]) -> dict[str, object]:
    """Return the ids of a task that continues what sent it, or of one that nobody's request asked for."""
    given = str(carried.get("request_id"))
    request_id = given if "request_id" in carried and context.is_request_id(given) else context.new_request_id()
    traceparent = f"00-{carried.get('trace_id')}-{carried.get('span_id')}-01"
    return {"request_id": request_id, **context.trace_fields(traceparent)}


def _flush(**_: object) -> None:
    flush_queues()


def _leave_logging(**_: object) -> None:
    """Nothing: the service's LOGGING is in force."""
