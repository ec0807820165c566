"""What is the same wherever communication-service runs: chat messages and notifications for tickets."""

from decouple import Csv, config

from shared_core.databases import get_database_config
from shared_core.logging_config import get_logging_config

INSTALLED_APPS = ["shared_core", "apps.messaging"]
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
LOGGING = get_logging_config("communication")
