"""How long is a pooler waited for? It keeps clients waiting for minutes, and no timeout of PostgreSQL's ends that."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def cut_off_after(seconds: float, client: "BaseDatabaseWrapper") -> Iterator[None]:
    """Have what takes longer in the block fail: a pooler may keep a client waiting for minutes."""
    done = threading.Event()

    def watch() -> None:
        patience = seconds
        while not done.wait(patience):
            patience = 0.1  # it may connect only now
            if client.connection is not None:
                with suppress(Exception), socket.socket(fileno=os.dup(client.connection.fileno())) as handle:
                    handle.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
