"""The scripted server that the clients' tests have."""

from tests.clients.fixtures import make, other, recorder, secure, server, time

__all__ = ["make", "other", "recorder", "secure", "server", "time"]
