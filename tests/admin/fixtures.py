import pytest
from django.contrib.auth.models import Permission, User

MIDDLEWARE = [
    "shared_core.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


@pytest.fixture(autouse=True)
def _of_a_site(settings):
    settings.ROOT_URLCONF = "tests.admin.site"
    settings.MIDDLEWARE = MIDDLEWARE


@pytest.fixture
def admin_of(client, db):
    """Return a client of a user who has these permissions, or all of them."""

    def log_in(*codenames, everything=False):
        user = User.objects.create_user("ann", password="of the tests", is_staff=True, is_superuser=everything)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        client.user = user
        return client

    return log_in
