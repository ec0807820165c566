from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import DATABASES

# Without models: of each, Django 5.0 itself asks the database, and ends in that error.
INSTALLED_APPS = ["shared_core"]
ROOT_URLCONF = "shared_core.urls"
DATABASES["default"] |= {"HOST": "127.0.0.1", "PORT": "1"}
