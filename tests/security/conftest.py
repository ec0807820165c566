"""The scripted server that the clients' tests have."""

from tests.clients.conftest import make, other, recorder, server, time

__all__ = ["make", "other", "recorder", "server", "time"]
