"""The suite's settings on SQLite, as a service's own unit tests may choose them: see tests/models/test_sqlite.py."""

SECRET_KEY = "of the suite alone, and in no other place"
DATABASES = {
    name: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "TEST": {"NAME": f"file:{name}?mode=memory"}}
    for name in ("default", "archive")
}
INSTALLED_APPS = ["django.contrib.contenttypes", "shared_core", "tests.library"]
MIGRATION_MODULES = {"contenttypes": None}
USE_TZ = True
