"""Settings of the library's own suite: its database is the one DB_HOST names, else a stack started for this run."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured

from shared_core.databases import get_database_config
from shared_core.logging_config import get_logging_config
from tests.stack import StackError, ensure_database

try:
    os.environ.update(ensure_database())
    DATABASES = get_database_config()
except (StackError, ImproperlyConfigured) as error:
    # One line, and not a traceback through pytest's start.
    sys.exit(f"The suite has no database: {error}")

# A second database beside it, for what `using` says.
DATABASES["archive"] = {**DATABASES["default"], "TEST": {"NAME": "test_archive"}}

SECRET_KEY = "of the suite alone, and in no other place"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "shared_core",
    "shared_core.idempotency",
    "tests.library",
]
# The suite's models have no migrations and refer to content types: all tables are made in one go.
MIGRATION_MODULES = {"admin": None, "auth": None, "contenttypes": None, "shared_core_idempotency": None}
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
# Sessions, users and messages are in the MIDDLEWARE of tests/admin only.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]
MIDDLEWARE = ["shared_core.middleware.RequestContextMiddleware"]
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["testserver", "localhost"]
USE_TZ = True
LOGGING = get_logging_config(service="tests", environment="test")
