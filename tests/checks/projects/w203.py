from tests.checks.projects.correct import *  # noqa: F403

ALLOWED_HOSTS = ["*"]
