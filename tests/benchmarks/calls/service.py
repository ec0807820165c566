"""What does a service have around its calls? Settings, a database, and a request that it is serving."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.conf import settings

from shared_core.context.bindings import extended
from shared_core.context.inbound import Inbound, serving_request

TOKEN = "s3cret-0123456789"
REQUEST_ID, TRACE, SPAN = "0f8fad5bd9cb469fa16570867728950e", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

# What every client sends; ours takes the second and the third from what is bound.
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "X-Request-ID": REQUEST_ID,
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "Accept": "application/json",
}


def configure() -> None:
    """Set Django up as in a service, with the client's log lines at INFO off."""
    for name in list(os.environ):  # requests and httpx would ask a proxy for 127.0.0.1
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, LOGGING_CONFIG=None
    )
    django.setup()
    logger = logging.getLogger("shared_core.http")
    logger.setLevel(logging.WARNING)
    logger.addHandler(logging.NullHandler())  # an outage is told of at WARNING, a thousand times
    logger.propagate = False


@contextmanager
def serving_a_request() -> Iterator[None]:
    """Bind what the middleware binds for a request."""
    bindings = extended({"request_id": REQUEST_ID, "trace_id": TRACE, "span_id": SPAN})
    with serving_request(Inbound(), bindings):
        yield
