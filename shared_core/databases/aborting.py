"""Aborts statements that hang. A pooler may keep a client waiting for minutes, past every timeout of PostgreSQL."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shared_core.timing import repeating

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

_RETRY_INTERVAL = 0.1  # seconds; the client may connect only now


@contextmanager
def abort_after(seconds: float, client: "BaseDatabaseWrapper") -> Iterator[None]:
    """Shut down the connection of ``client`` if the block takes longer, so that its statement raises an error."""

    def abort() -> None:
        if client.connection is not None:
            with suppress(Exception), socket.socket(fileno=os.dup(client.connection.fileno())) as handle:
                handle.shutdown(socket.SHUT_RDWR)

    with repeating(abort, after=seconds, every=_RETRY_INTERVAL):
        yield
