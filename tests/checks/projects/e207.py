from tests.checks.projects.correct import *  # noqa: F403

SERVICE_ACCEPTED_TOKENS = {"user": ["too short"]}
