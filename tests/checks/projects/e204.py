from tests.checks.projects.correct import *  # noqa: F403

USER_SERVICE_URL = "user:8000"
