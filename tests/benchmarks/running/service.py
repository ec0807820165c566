"""The process that is measured: a service on the stack, or on the server that DB_HOST names."""

import logging
import os

import django
from django.conf import settings

from shared_core.databases import get_database_config
from tests.stack import ensure_database

KEY = "a shared secret of more than 32 bytes"
TOKEN = "ticket-Qe7w1oZ9hZp3vT5yN8sX"
AUDIENCE, ISSUER = "user", "ticket"


def configure() -> None:
    """Set Django up as a service does."""
    os.environ.update(ensure_database())
    settings.configure(
        DATABASES=get_database_config(),
        INSTALLED_APPS=["shared_core"],
        MIDDLEWARE=["shared_core.middleware.RequestContextMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for the benchmarks only",
        SERVICE_ACCEPTED_TOKENS={ISSUER: [TOKEN], "file": ["file-Qe7w1oZ9hZp3vT5yN8sX"]},
        SERVICE_JWT_KEY=KEY,
        SERVICE_JWT_ALGORITHMS=["HS256"],
        SERVICE_JWT_AUDIENCE=AUDIENCE,
        SERVICE_JWT_ISSUER=ISSUER,
        USE_TZ=True,
        LOGGING={"version": 1, "disable_existing_loggers": False},
    )
    django.setup()
    logging.disable(logging.INFO)


urlpatterns: list[object] = []
