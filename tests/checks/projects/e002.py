from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import DATABASES

DATABASES["default"]["OPTIONS"]["options"] = "-c statement_timeout=1000"
