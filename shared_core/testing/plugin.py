"""The pytest plugin: loaded by itself where the shared core is installed, and idle where Django is not set up."""

import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

import django.conf
import pytest

from shared_core import conf
from shared_core.testing import records


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "through_pooler: give the test the default database by way of PgBouncer, with real transactions, each of them "
        "on another server connection than the one before. Without such a pooler it is skipped; where CI is set in "
        "the environment, it fails.",
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """Say that a suite runs, and let its databases be dropped through a pooler."""
    if django.conf.settings.configured:
        conf.mark_test_run()
        from shared_core.testing.databases import drop_test_databases_with_force  # noqa: PLC0415  # needs Django set up

        drop_test_databases_with_force()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give what is marked ``through_pooler`` real transactions, in the databases that it has asked for."""
    if item.get_closest_marker("through_pooler"):
        asked = item.get_closest_marker("django_db")
        own = pytest.mark.django_db(**{**(asked.kwargs if asked else {}), "transaction": True})
        item.add_marker(own, append=False)  # the closest one counts


@pytest.fixture(autouse=True)
def _shared_core_resets_origins() -> None:
    """Start each test with closed circuits and whole budgets: the servers of another test do not count."""
    if (circuits := sys.modules.get("shared_core.clients.circuits")) is not None:
        circuits.registry.reset()


@pytest.fixture(autouse=True)
def _shared_core_through_pooler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test that is marked ``through_pooler`` as one."""
    if not request.node.get_closest_marker("through_pooler"):
        yield
        return
    request.getfixturevalue("transactional_db")
    from django.db import connection  # noqa: PLC0415  # needs Django set up

    from shared_core.testing.pooler import switch_server_connections  # noqa: PLC0415  # as above

    if connection.in_atomic_block:
        pytest.fail("through_pooler needs real transactions: derive the test from TransactionTestCase, not TestCase.")
    if reason := _pooler_error():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not through a pooler: {reason}")
    with switch_server_connections(connection):
        yield


@functools.cache
def _pooler_error() -> str:
    from django.db import connection  # noqa: PLC0415  # needs Django set up

    from shared_core.testing.pooler import find_pooler_error  # noqa: PLC0415  # as above

    return find_pooler_error(connection)


@pytest.fixture
def capture_logs() -> Iterator[list[dict[str, Any]]]:  # Any: what was logged
    """Records of the test, parsed; see `shared_core.testing.capture_logs`."""
    with records.capture_logs() as found:
        yield found
