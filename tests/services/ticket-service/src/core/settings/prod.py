"""In production and staging: what is secret comes from the environment, and has no default."""

from decouple import config

from core.settings.base import *

DEBUG = False
SECRET_KEY = config("SECRET_KEY")
