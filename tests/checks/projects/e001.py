from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import DATABASES

DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = False
