"""PostgreSQL behind PgBouncer: DATABASES for it, and what a session may not keep there."""

from shared_core.databases.configuration import get_database_config
from shared_core.databases.sessions import AdvisoryLockTimeout, advisory_lock, local_settings

__all__ = ["AdvisoryLockTimeout", "advisory_lock", "get_database_config", "local_settings"]
