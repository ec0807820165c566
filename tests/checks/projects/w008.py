from tests.checks.projects.correct import *  # noqa: F403

TEST_RUNNER = "django.test.runner.DiscoverRunner"
