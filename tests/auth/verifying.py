"""A Verifier whose files of keys are looked at, as ``manage.py check`` does."""

from django.core.exceptions import ImproperlyConfigured

from shared_core.auth.jwts import JWTSettings, Verifier


def checked(*settings):
    """Return the Verifier of JWTSettings; what is wrong with a file is an error too."""
    verifier = Verifier(JWTSettings(*settings))
    for fault in verifier.faults():
        raise ImproperlyConfigured(fault)
    return verifier
