"""What the worker is asked to do."""

import logging
import os

import celery

from shared_core import context

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.tiny_service.settings")
app = celery.Celery("worker")
app.config_from_object("django.conf:settings", namespace="CELERY")
logger = logging.getLogger("apps.tiny")


@app.task
def tell(what):
    """Log, and return what is bound."""
    logger.info("Told", extra={"what": what})
    return context.current()


@app.task
def fail():
    """Raise."""
    raise ValueError("no")


@app.task(bind=True, max_retries=1)
def tell_at_second_try(self):
    """Raise once, then do as `tell` does."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    return tell("second")
