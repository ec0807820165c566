"""Binds ids of its own to each management command, for its log lines and its calls."""

import functools
from typing import Any

from django.core.management.base import BaseCommand

from shared_core import context
from shared_core.context.propagation import new_request_id, trace_fields

# What they run has ids of its own.
_UNBOUND = {"runserver", "test", "testserver"}

_execute = BaseCommand.execute


@functools.wraps(_execute)
def _execute_with_ids(self: BaseCommand, *args: Any, **options: Any) -> str | None:  # Any: passed on as they came
    name = type(self).__module__.rpartition(".")[2]
    if name in _UNBOUND:
        return _execute(self, *args, **options)
    # One that is called for a request, or by another command, is a part of it.
    ids = {} if context.request_id() else {"request_id": new_request_id(), **trace_fields()}
    with context.bind(**ids, command=name):
        return _execute(self, *args, **options)


def bind_ids_to_commands() -> None:
    """Have every command of this process run with ``command``, and ids where none are bound.

    Django has no signal for it: every command passes ``BaseCommand.execute``.
    """
    BaseCommand.execute = _execute_with_ids  # type: ignore[method-assign]
