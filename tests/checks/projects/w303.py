import os

from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import DATABASES

DATABASES["default"]["PORT"] = os.environ["SESSION_MODE_PORT"]
