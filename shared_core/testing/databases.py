"""Test databases through PgBouncer: a suite may run twice in a row.

A pooler keeps connections to the test database after the tests have left it, and PostgreSQL drops no database that
somebody is connected to. ``DROP DATABASE … WITH (FORCE)`` (PostgreSQL 13) ends them in the same step.
"""

from typing import Any

from django.db import connections
from django.test.runner import DiscoverRunner

from shared_core import conf


class _DropsWithForce:
    """Mixed into a connection's `DatabaseCreation`."""

    connection: Any
    _nodb_cursor: Any

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> Any:  # Django's signature
        if autoclobber and not keepdb:
            self._destroy_test_db(self._get_test_db_name(), verbosity)  # type: ignore[attr-defined]  # mixed in
        return super()._create_test_db(verbosity, autoclobber, keepdb)  # type: ignore[misc]  # as above

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:  # noqa: ARG002  # as above
        name = self.connection.ops.quote_name(test_database_name)
        with self._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _clone_test_db(self, suffix: str, verbosity: int, keepdb: bool = False) -> None:  # as above
        # PostgreSQL copies no database that somebody is connected to either: --parallel copies the one just migrated.
        source = self.connection.settings_dict["NAME"]
        self.connection.close()
        with self._nodb_cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                [source],
            )
        super()._clone_test_db(suffix, verbosity, keepdb)  # type: ignore[misc]  # as above


def drop_test_databases_with_force() -> None:
    """Make every PostgreSQL connection of this thread drop its test database whoever is connected to it."""
    for connection in connections.all():
        if connection.vendor == "postgresql" and not isinstance(connection.creation, _DropsWithForce):
            creation = type("DatabaseCreation", (_DropsWithForce, type(connection.creation)), {})
            connection.creation = creation(connection)


class PoolerTestRunner(DiscoverRunner):
    """Django's runner, for a database behind PgBouncer: ``TEST_RUNNER = "shared_core.testing.PoolerTestRunner"``."""

    def setup_test_environment(self, **kwargs: Any) -> None:  # Any: Django's own
        """Prepare for tests: keys and tokens may be as plain as those of tests are."""
        conf.mark_test_run()
        super().setup_test_environment(**kwargs)

    def setup_databases(self, **kwargs: Any) -> Any:  # Any: Django's own
        """Create the test databases."""
        drop_test_databases_with_force()
        return super().setup_databases(**kwargs)
