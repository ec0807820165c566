"""What is bound to the work at hand: fields that each of its log lines carries.

A binding lives in a `contextvars.ContextVar`, so threads of a server and tasks of an event loop never see each other's.
A thread pool starts its threads with an empty context; `ContextExecutor` hands over the caller's.
"""

import contextvars
import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any


class Bindings:
    """What is bound in one block, outer blocks' included; it never changes.

    ``written`` is for the one who writes it into each log line to keep what he makes of it.
    """

    __slots__ = ("fields", "written")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = MappingProxyType(fields)
        self.written: Any = None  # Any: known to its writer


_bound: contextvars.ContextVar[Bindings] = contextvars.ContextVar("shared_core.context", default=Bindings({}))  # noqa: B039  # what is kept in it never changes

# What is bound here, as one object for as long as nothing else is. Not a function: each log line asks.
current_bindings = _bound.get


@contextmanager
def set_bindings(bindings: Bindings) -> Iterator[None]:
    """Have ``bindings`` bound, and nothing else, for the length of the block."""
    token = _bound.set(bindings)
    try:
        yield
    finally:
        _bound.reset(token)


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add ``fields`` to what is bound, for the length of the block; an inner block's value wins over an outer one's."""
    with set_bindings(extended(fields)):
        yield


def extended(fields: Mapping[str, object]) -> Bindings:
    """Return what is bound here and ``fields``, bound by nobody yet."""
    return Bindings({**current_bindings().fields, **fields})


def current() -> dict[str, object]:
    """Return a copy of what is bound here, outermost first; empty outside of any binding."""
    return dict(current_bindings().fields)


class ContextExecutor(ThreadPoolExecutor):
    """A ThreadPoolExecutor whose tasks run with what was bound where they were submitted."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule ``fn`` in a copy of the caller's context; see `concurrent.futures.Executor.submit`."""
        return super().submit(functools.partial(contextvars.copy_context().run, fn, *args, **kwargs))
