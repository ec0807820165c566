"""What is the same wherever file-service runs: attachments: metadata in the database, content on disk."""

from pathlib import Path

from decouple import Csv, config

from shared_core.databases import get_database_config
from shared_core.logging_config import get_logging_config

INSTALLED_APPS = ["shared_core", "apps.attachments"]
MIDDLEWARE = [
    "shared_core.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
]
ROOT_URLCONF = "core.urls"
ALLOWED_HOSTS = config("ALLOWED_HOSTS", default="localhost,127.0.0.1", cast=Csv())
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"

DATABASES = get_database_config()
TEST_RUNNER = "shared_core.testing.PoolerTestRunner"
LOGGING = get_logging_config("file")

FILE_STORAGE = Path(config("FILE_STORAGE"))
MAX_UPLOAD_BYTES = config("MAX_UPLOAD_BYTES", default=100_000_000, cast=int)
