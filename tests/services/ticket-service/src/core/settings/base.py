"""What is the same wherever ticket-service runs: tickets, comments, references to attachments."""

from decouple import Csv, config

from shared_core.databases import get_database_config
from shared_core.logging_config import get_logging_config

INSTALLED_APPS = ["shared_core", "apps.tickets"]
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
LOGGING = get_logging_config("ticket")

USER_SERVICE_URL = config("USER_SERVICE_URL")
FILE_SERVICE_URL = config("FILE_SERVICE_URL")
COMMUNICATION_SERVICE_URL = config("COMMUNICATION_SERVICE_URL")
SERVICE_AUTH_TOKEN = config("SERVICE_AUTH_TOKEN")
