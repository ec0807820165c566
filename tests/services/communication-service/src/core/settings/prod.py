"""In production and staging: what is secret comes from the environment, and has no default."""

import os

# The environment wins over a .env file: one that was left beside the code must not turn DEBUG on.
os.environ.setdefault("ENVIRONMENT", "production")

from core.settings.base import *
