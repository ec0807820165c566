"""What is the same wherever user-service runs: users, departments."""

from shared_core.service_settings import get_service_settings

APPS = ["django.contrib.contenttypes", "django.contrib.auth", "apps.users"]
globals().update(get_service_settings("user", apps=APPS))

AUTH_USER_MODEL = "users.User"
# An e-mail address is unique among users that are not deleted, and a login looks at no others.
SILENCED_SYSTEM_CHECKS = ["auth.E003"]
