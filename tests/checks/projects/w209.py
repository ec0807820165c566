from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import MIDDLEWARE

MIDDLEWARE = [MIDDLEWARE[1], MIDDLEWARE[0], *MIDDLEWARE[2:]]
