"""Forks while every lock of the client is held, as other threads may hold them: ``locked.py URL``."""

import os
import signal
import sys

from shared_core.clients import HTTPClient, tokens
from shared_core.clients.circuits import registry


def main() -> None:
    client = HTTPClient(token=lambda: "abc")
    client.get(f"{sys.argv[1]}/parent")
    (pool,) = client._adapter._pools.values()
    (circuit,), (budget,) = registry._circuits.others.values(), registry._budgets.others.values()
    (cache,) = tokens._token_caches._caches.values()
    locks = [
        pool.pool.mutex,
        client._adapter._lock,
        registry._circuits.others._lock,
        registry._budgets.others._lock,
        circuit._lock,
        budget._lock,
        tokens._token_caches._lock,
        cache._lock,
    ]
    del pool  # in the child nothing else keeps it, and to be rid of it takes its mutex
    for lock in locks:
        lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        client.get(f"{sys.argv[1].replace('127.0.0.1', 'localhost')}/child")  # another origin has another pool
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)  # its own way out would wait for the locks


if __name__ == "__main__":
    main()
