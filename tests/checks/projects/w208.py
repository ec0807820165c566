from tests.checks.projects.correct import *  # noqa: F403
from tests.checks.projects.correct import MIDDLEWARE

MIDDLEWARE = [*MIDDLEWARE[2:], *MIDDLEWARE[:2]]
