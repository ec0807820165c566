from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import DATABASES

DATABASES["default"]["ATOMIC_REQUESTS"] = True
