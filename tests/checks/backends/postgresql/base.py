"""PostgreSQL 13, as far as it says itself."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_database_version(self):
        return 13, 4
