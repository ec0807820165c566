"""The pytest plugin: loaded by itself where the shared core is installed, and idle where Django is not set up."""

import sys
from collections.abc import Iterator
from typing import Any

import django.conf
import pytest

from shared_core.testing import records


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """Let the test databases be dropped through a pooler."""
    if django.conf.settings.configured:
        from shared_core.testing.databases import drop_test_databases_with_force  # noqa: PLC0415  # needs Django set up

        drop_test_databases_with_force()


@pytest.fixture(autouse=True)
def _shared_core_forgets_origins() -> None:
    """Begin each test with closed circuits and full budgets: the last one's servers say nothing of this one's."""
    if (circuits := sys.modules.get("shared_core.clients.circuits")) is not None:
        circuits.ledger.forget()


@pytest.fixture
def capture_logs() -> Iterator[list[dict[str, Any]]]:  # Any: what was logged
    """Records of the test, parsed; see `shared_core.testing.capture_logs`."""
    with records.capture_logs() as found:
        yield found
