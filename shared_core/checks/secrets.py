"""Can what must be secret be guessed, where this is not a developer's machine?"""

import re
import sys
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.checks import catalogue
from shared_core.environment import environment_name

_TOKENS = ("SERVICE_AUTH_TOKEN", "AUTH_TOKEN")
# As `shared_core.service_settings.secret` and SERVICE_ACCEPTED_TOKENS ask for, in characters.
_SHORTEST_KEY = 32
_SHORTEST_TOKEN = 16
_FEWEST_UNIQUE = 5  # different characters, as Django's security.W009
_FEWEST_OWN = 8  # characters that are left without what everybody knows

_DJANGOS = "django-insecure-"  # how startproject's keys begin
_KNOWN = re.compile(
    r"change|replace|please|this|me|my|your|here|default|example|sample|dummy|insecure|unsafe|secret|token"
    r"|passw(?:or)?d|admin|root|user|service|auth|key|test|dev(?:elopment)?|prod(?:uction)?|local|foo|bar|qwerty|abc"
    r"|0?123456789|12345?|[^a-z0-9]"
)


def check_secrets(**_: object) -> Iterator[CheckMessage]:
    """Yield keys, tokens and hosts that are good on a developer's machine only."""
    if not _is_exposed():
        return
    if fault := _fault_of_key():
        yield catalogue.SECRET_KEY.found(fault)
    for setting in _TOKENS:
        token = conf.get(setting)
        if token and isinstance(token, str) and (fault := _fault_of(token, _SHORTEST_TOKEN)):
            yield catalogue.TOKEN.found(f"{setting} {fault}", setting=setting)
    if "*" in settings.ALLOWED_HOSTS:
        yield catalogue.ALLOWED_HOSTS.found('ALLOWED_HOSTS has "*"')


def _is_exposed() -> bool:
    """Say whether strangers may reach the service: not with DEBUG, nor where ENVIRONMENT is development or test."""
    # Django's test runner turns DEBUG off, and leaves a mailbox.
    if settings.DEBUG or hasattr(sys.modules.get("django.core.mail"), "outbox"):
        return False
    try:
        return environment_name() not in {"development", "test"}
    except ImproperlyConfigured:
        return True


def _fault_of_key() -> str:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:
        return "it is not set"
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if key.startswith(_DJANGOS):
        return "it is one of startproject's"
    fault = _fault_of(key, _SHORTEST_KEY)
    return fault and f"it {fault}"


def _fault_of(secret: str, shortest: int) -> str:
    """Return what is weak about it, in words that hold nothing of it; empty for nothing."""
    if len(secret) < shortest:
        return f"has fewer than {shortest} characters"
    if len(set(secret)) < _FEWEST_UNIQUE:
        return f"has fewer than {_FEWEST_UNIQUE} different characters"
    return "is made of words that everybody tries" if len(_KNOWN.sub("", secret.lower())) < _FEWEST_OWN else ""
