from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.checks.apps.inlined"]
