"""Sends what is bound along with a Celery task, so that the task logs the ids of the request that sent it.

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
from shared_core.context.propagation import is_request_id, new_request_id, trace_fields
from shared_core.logs.queue import flush_queues
from shared_core.logs.redaction import is_secret_key
from shared_core.logs.values import ValueReader

_HEADER = "shared_core_context"
_MAX_LENGTH = 8192  # characters of JSON
_IDS = {"request_id", "trace_id", "span_id"}  # what comes first

_blocks: ContextVar[tuple[AbstractContextManager[None], ...]] = ContextVar("shared_core.celery", default=())


def connect() -> None:
    """Bind to each task what was bound where it was sent, and leave the logging of workers as the service has it."""
    signals.before_task_publish.connect(_attach_bindings, weak=False, dispatch_uid="shared_core.send_along")
    signals.task_prerun.connect(_bind_task, weak=False, dispatch_uid="shared_core.begin")
    signals.task_postrun.connect(_unbind_task, weak=False, dispatch_uid="shared_core.end")
    # Its processes leave without the interpreter's exit.
    signals.worker_process_shutdown.connect(_flush_logs, weak=False, dispatch_uid="shared_core.flush")
    if logging.root.handlers:
        # A worker replaces them, and their formats, unless somebody listens here.
        signals.setup_logging.connect(_keep_logging, weak=False, dispatch_uid="shared_core.leave_logging")


def _attach_bindings(headers: dict[str, Any], **_: object) -> None:
    bound, bindings, length = context.current(), {}, 0
    for key in sorted(bound, key=lambda key: key not in _IDS):
        value = ValueReader((), _MAX_LENGTH).field(bound[key])
        its_length = len(json.dumps({key: value}))
        if length + its_length <= _MAX_LENGTH and not is_secret_key(key, ()):
            bindings[key] = value
            length += its_length
    if bindings:
        headers[_HEADER] = json.dumps(bindings)


def _bind_task(task: Any, task_id: str, **_: object) -> None:  # Any: Celery has no types
    bindings = _bindings_in(task.request.get(_HEADER))
    # A task that is run on the spot, `task_always_eager`, is a part of the request that calls it.
    ids = {} if task.request.is_eager and context.request_id() else _ids_of_task(bindings)
    block = context.bind(**{**bindings, **ids, "task": task.name, "task_id": task_id})
    block.__enter__()  # left by `_unbind_task`
    _blocks.set((*_blocks.get(), block))


def _unbind_task(**_: object) -> None:
    *outer, block = _blocks.get()
    _blocks.set(tuple(outer))
    block.__exit__(None, None, None)


def _bindings_in(header: object) -> dict[str, object]:
    """Return what came with a task; nothing where that is not ours."""
    try:
        bindings = json.loads(header) if isinstance(header, str) else None
    except ValueError:
        bindings = None
    return bindings if isinstance(bindings, dict) else {}


def _ids_of_task(bindings: dict[str, object]) -> dict[str, object]:
    """Return the ids of a task that continues what sent it, or of one that nobody's request asked for."""
    given = str(bindings.get("request_id"))
    request_id = given if "request_id" in bindings and is_request_id(given) else new_request_id()
    traceparent = f"00-{bindings.get('trace_id')}-{bindings.get('span_id')}-01"
    return {"request_id": request_id, **trace_fields(traceparent)}


def _flush_logs(**_: object) -> None:
    flush_queues()


def _keep_logging(**_: object) -> None:
    """Nothing: the service's LOGGING is in force."""
