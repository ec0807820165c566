from tests.checks.projects.correct import *  # noqa: F403

NINJA_JWT = {"USER_ID_FIELD": "uuid"}
