"""Finds secrets that can be guessed, where this is not a developer's machine."""

from collections.abc import Iterator, Mapping

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from shared_core import conf
from shared_core.checks import catalogue
from shared_core.service_settings import SHORTEST_KEY, SHORTEST_TOKEN, entry_name, fault_of_secret

_TOKENS = ("SERVICE_AUTH_TOKEN", "AUTH_TOKEN")


def check_secrets(**_: object) -> Iterator[CheckMessage]:
    """Yield keys, tokens and hosts that are good on a developer's machine only."""
    if not conf.is_exposed():
        return
    for fault in _faults_of_keys():
        yield catalogue.SECRET_KEY.found(fault)
    for setting in _TOKENS:
        token = conf.get(setting)
        if token and isinstance(token, str) and (fault := fault_of_secret(token, SHORTEST_TOKEN)):
            yield catalogue.TOKEN.found(f"{setting} {fault}", setting=setting)
    for service, fault in _weak_accepted_tokens():
        yield catalogue.ACCEPTED_TOKEN.found(f"a token of {service} {fault}", service=service)
    if "*" in settings.ALLOWED_HOSTS:
        yield catalogue.ALLOWED_HOSTS.found('ALLOWED_HOSTS has "*"')


def _weak_accepted_tokens() -> Iterator[tuple[str, str]]:
    """Yield what a service is called, and what is weak about a token of its own that the settings hold."""
    tokens = conf.get("SERVICE_ACCEPTED_TOKENS")
    for number, (service, own) in enumerate(tokens.items() if isinstance(tokens, Mapping) else (), start=1):
        name = entry_name(service, number)
        for token in own if isinstance(own, list | tuple | set | frozenset) else ():
            # What is too short is E207's.
            is_token = isinstance(token, str) and len(token) >= SHORTEST_TOKEN
            if is_token and (fault := fault_of_secret(token, SHORTEST_TOKEN, name=str(service))):
                yield name, fault


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
