"""Can what must be secret be guessed, where this is not a developer's machine?"""

import sys
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.checks import catalogue
from shared_core.environment import environment_name
from shared_core.service_settings import SHORTEST_KEY, SHORTEST_TOKEN, fault_of_secret

_TOKENS = ("SERVICE_AUTH_TOKEN", "AUTH_TOKEN")


def check_secrets(**_: object) -> Iterator[CheckMessage]:
    """Yield keys, tokens and hosts that are good on a developer's machine only."""
    if not _is_exposed():
        return
    for fault in _faults_of_keys():
        yield catalogue.SECRET_KEY.found(fault)
    for setting in _TOKENS:
        token = conf.get(setting)
        if token and isinstance(token, str) and (fault := fault_of_secret(token, SHORTEST_TOKEN)):
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


def _faults_of_keys() -> Iterator[str]:
    try:
        keys: dict[str, object] = {"it": settings.SECRET_KEY}
    except ImproperlyConfigured:
        yield "it is not set"
        return
    # What they have signed is believed too.
    fallbacks = settings.SECRET_KEY_FALLBACKS
    keys |= {f"SECRET_KEY_FALLBACKS[{place}]": key for place, key in enumerate(fallbacks)}
    for name, key in keys.items():
        text = key.decode("latin-1") if isinstance(key, bytes) else key
        fault = fault_of_secret(text, SHORTEST_KEY) if isinstance(text, str) else "is no text"
        if fault:
            yield f"{name} {fault}"
