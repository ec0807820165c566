"""On a developer's machine."""

from core.settings.base import *

DEBUG = True
SECRET_KEY = "for a developer's machine only"
