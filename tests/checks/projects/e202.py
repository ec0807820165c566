from tests.checks.projects.correct import *  # noqa: F403

SERVICE_AUTH_TOKEN = "changeme-changeme"
