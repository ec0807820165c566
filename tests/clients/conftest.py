from tests.clients.fixtures import client, deaf, make, other, recorder, refusing, secure, server, time, tunnel

__all__ = ["client", "deaf", "make", "other", "recorder", "refusing", "secure", "server", "time", "tunnel"]
