"""What a service's tests get from the shared core; pytest loads `shared_core.testing.plugin` by itself."""

from shared_core.testing.databases import PoolerTestRunner
from shared_core.testing.records import capture_logs
from shared_core.testing.services import FakeCall, FakeService, Route

__all__ = ["FakeCall", "FakeService", "PoolerTestRunner", "Route", "capture_logs"]
