"""Does something stand in for a service, such as `shared_core.testing.FakeService` in a test?

A client asks before each call, so that code which makes its own clients needs no patching.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests.adapters import BaseAdapter

from shared_core import conf
from shared_core.clients.circuits import Ledger
from shared_core.clients.retry import Clock
from shared_core.clients.urls import join


@dataclass(frozen=True)
class StandIn:
    """What a call works with in place of the real things."""

    adapter: BaseAdapter
    clock: Clock
    ledger: Ledger


_standing_in: dict[str, StandIn] = {}  # by the service's name


def setting_of(service: str) -> str:
    """Return the name of the setting that says where ``service`` is: ``user-api`` is at USER_API_SERVICE_URL."""
    return service.upper().replace("-", "_") + "_SERVICE_URL"


@contextmanager
def stand_in_for(service: str, stand_in: StandIn) -> Iterator[None]:
    """Let ``stand_in`` answer the calls of this process to ``service``, for the length of the block.

    Raises:
        RuntimeError: Something else does already.
    """
    if service in _standing_in:
        raise RuntimeError(f"something stands in for {service!r} already")
    _standing_in[service] = stand_in
    try:
        yield
    finally:
        del _standing_in[service]


def find(service: str | None, url: str) -> StandIn | None:
    """Return what answers a call to ``service`` at ``url``, known by its name or by the setting of that name."""
    if not _standing_in:
        return None
    if service in _standing_in:
        return _standing_in[service]
    for name, stand_in in list(_standing_in.items()):
        base = conf.get(setting_of(name))
        if base and _is_under(base, url):
            return stand_in
    return None


def _is_under(base: object, url: str) -> bool:
    try:
        return isinstance(base, str) and join(base, url) == url
    except ValueError:
        return False
