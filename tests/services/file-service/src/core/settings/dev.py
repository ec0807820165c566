"""On a developer's machine."""

import os

os.environ.setdefault("ENVIRONMENT", "development")

from core.settings.base import *
