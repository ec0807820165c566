"""Its broker is a folder, BROKER; Celery's settings are those of its documentation for Django."""

import os
from pathlib import Path

from shared_core.logging_config import get_logging_config

DEBUG = "runserver" in os.environ.get("RUN_BY", "")
SECRET_KEY = "for the test suite only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["shared_core"]
MIDDLEWARE = ["shared_core.middleware.RequestContextMiddleware"]
ROOT_URLCONF = "tests.tiny_service.urls"
USE_TZ = True
LOGGING = get_logging_config("tiny", environment="test")
LOGGING["handlers"]["queue"] = {"class": "shared_core.logs.QueuedHandler", "handlers": ["file"]}
LOGGING["root"]["handlers"] = ["console", "queue"]

BROKER = Path(os.environ.get("BROKER", "unused"))
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT = "tests.tiny_service.broker:Transport"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": str(BROKER),
    "data_folder_out": str(BROKER),
    "control_folder": str(BROKER / "control"),
    "polling_interval": 0.05,
}
CELERY_RESULT_BACKEND = f"file://{BROKER / 'results'}"
