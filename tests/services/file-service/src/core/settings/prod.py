"""In production and staging: what is secret comes from the environment, and has no default."""

from core.settings.base import *
