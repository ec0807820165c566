"""What a service's tests get from the shared core; pytest loads `shared_core.testing.plugin` by itself."""

from typing import TYPE_CHECKING, Any

from shared_core.testing.databases import PoolerTestRunner
from shared_core.testing.queries import Query, assert_max_num_queries, assert_num_queries
from shared_core.testing.records import capture_logs
from shared_core.testing.services import FakeCall, FakeService, Route

if TYPE_CHECKING:
    from shared_core.testing.factories import BaseModelFactory as BaseModelFactory

__all__ = [
    "BaseModelFactory",
    "FakeCall",
    "FakeService",
    "PoolerTestRunner",
    "Query",
    "Route",
    "assert_max_num_queries",
    "assert_num_queries",
    "capture_logs",
]


def __getattr__(name: str) -> Any:  # Any: the class below
    # It needs the app registry and factory_boy; pytest loads its plugin before the one, and without the other.
    if name == "BaseModelFactory":
        from shared_core.testing.factories import BaseModelFactory  # noqa: PLC0415

        return BaseModelFactory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
