"""What answers calls in place of the network, such as `shared_core.testing.FakeService` in a test.

A client looks here before each call, so that code which makes its own clients needs no patching.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests.adapters import BaseAdapter

from shared_core import conf
from shared_core.clients.circuits import OriginRegistry
from shared_core.clients.retry import Clock
from shared_core.origins import join, setting_of


@dataclass(frozen=True)
class TransportOverride:
    """What a call works with in place of the real things."""

    adapter: BaseAdapter
    clock: Clock
    registry: OriginRegistry


_overrides: dict[str, TransportOverride] = {}  # by the service's name


@contextmanager
def override_transport(service: str, override: TransportOverride) -> Iterator[None]:
    """Let ``override`` answer the calls of this process to ``service``, for the length of the block.

    Raises:
        RuntimeError: Something else does already.
    """
    if service in _overrides:
        raise RuntimeError(f"something stands in for {service!r} already")
    _overrides[service] = override
    try:
        yield
    finally:
        del _overrides[service]


def find(service: str | None, url: str) -> TransportOverride | None:
    """Return what answers a call to ``service`` at ``url``, known by its name or by the setting of that name."""
    if not _overrides:
        return None
    if service in _overrides:
        return _overrides[service]
    for name, override in list(_overrides.items()):
        base = conf.get(setting_of(name))
        if base and _is_under(base, url):
            return override
    return None


def _is_under(base: object, url: str) -> bool:
    try:
        return isinstance(base, str) and join(base, url) == url
    except ValueError:
        return False
