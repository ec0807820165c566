from tests.checks.projects.correct import *  # noqa: F403

ROOT_URLCONF = "tests.checks.apps.lonely.urls"
