"""Settings, written by hand, of a service without a mistake; each module beside it makes the one of its name."""

import os

from shared_core.logging_config import get_logging_config

DEBUG = False
SECRET_KEY = "Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6"
ALLOWED_HOSTS = ["shop.example.com"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "shared_core",
    "tests.checks.apps.shop",
]
MIDDLEWARE = [
    "shared_core.middleware.RequestContextMiddleware",
    "shared_core.auth.ServiceAuthMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
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
ROOT_URLCONF = "tests.checks.apps.shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("DB_NAME", "shop"),
        "USER": os.environ.get("DB_USER", "shop"),
        "PASSWORD": os.environ.get("DB_PASSWORD", "unused"),
        "HOST": os.environ.get("DB_HOST", "127.0.0.1"),
        "PORT": os.environ.get("DB_PORT", "6432"),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"prepare_threshold": None},
    },
    "reports": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True},
}
TEST_RUNNER = "shared_core.testing.PoolerTestRunner"
LOGGING = get_logging_config("shop")

USER_SERVICE_URL = "http://user:8000/api"
SERVICE_AUTH_TOKEN = "fY3kQ9wLr7Tz2MxV"
SERVICE_ACCEPTED_TOKENS = {"user": ["Jb5nHs8PcD4gUe6K"], "file": []}
SIMPLE_JWT = {"USER_ID_FIELD": "username"}
NINJA_JWT = {"ALGORITHM": "HS256"}  # the field is "id"
