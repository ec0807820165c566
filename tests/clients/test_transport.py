"""A table: what an exception of the transport means for the call."""

import http.client
import ssl

import pytest
import requests
import urllib3.exceptions as errors

from shared_core.clients import (
    DeadlineExceeded,
    InvalidResponse,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceTimeout,
)
from shared_core.clients.adapter import TLSFilesError
from shared_core.clients.arguments import Timeout
from shared_core.clients.circuits import ServiceHealth
from shared_core.clients.limits import Limit
from shared_core.clients.transport import failure_of
from shared_core.clients.wire import BodyError, HeadError, NotConnectedError

UP, DOWN, UNKNOWN = ServiceHealth.UP, ServiceHealth.DOWN, ServiceHealth.UNKNOWN
URL = "http://user:8000/api?token=secret"


def caused(error, cause):
    error.__cause__ = cause
    return error


def not_connected(cause):
    return caused(NotConnectedError(), cause)


REFUSED = ConnectionRefusedError(111, "Connection refused")
EXPIRED = ssl.SSLCertVerificationError("certificate verify failed: certificate has expired")

# the exception: the error, retriable, nothing sent, what it shows about the service
MEANING = {
    "refused": (not_connected(REFUSED), ServiceConnectionError, True, True, DOWN),
    "refused, by urllib3": (errors.NewConnectionError(None, "refused"), ServiceConnectionError, True, True, DOWN),
    "refused, by requests": (
        requests.ConnectionError(errors.MaxRetryError(None, URL, errors.NewConnectionError(None, "refused"))),
        ServiceConnectionError,
        True,
        True,
        DOWN,
    ),
    "no connection in time": (not_connected(TimeoutError("timed out")), ServiceConnectTimeout, True, True, DOWN),
    "no connection in time, by requests": (requests.ConnectTimeout(), ServiceConnectTimeout, True, True, DOWN),
    "no answer in time": (TimeoutError("timed out"), ServiceTimeout, True, False, DOWN),
    "no answer in time, by requests": (requests.ReadTimeout(), ServiceTimeout, True, False, DOWN),
    "the pool is empty": (
        errors.EmptyPoolError(None, "Pool is full"),
        ServiceConnectTimeout,
        True,
        True,
        UNKNOWN,
    ),
    "a certificate that expired": (not_connected(EXPIRED), ServiceConnectionError, False, True, UNKNOWN),
    "a certificate that expired, by urllib3": (errors.SSLError(EXPIRED), ServiceConnectionError, False, False, UNKNOWN),
    "no CA bundle": (not_connected(TLSFilesError("no CA bundle")), ServiceConnectionError, False, True, UNKNOWN),
    "no CA bundle, by requests": (
        OSError("Could not find a suitable TLS CA bundle"),
        ServiceConnectionError,
        False,
        False,
        UNKNOWN,
    ),
    "the caller's body": (
        caused(BodyError(), ValueError("closed file")),
        ServiceConnectionError,
        False,
        False,
        UNKNOWN,
    ),
    "reset": (ConnectionResetError(104, "reset by peer"), ServiceConnectionError, True, False, DOWN),
    "hung up": (http.client.RemoteDisconnected("without response"), ServiceConnectionError, True, False, DOWN),
    "no HTTP": (http.client.BadStatusLine("SSH-2.0"), ServiceConnectionError, True, False, DOWN),
    "a line too long": (http.client.LineTooLong("header line"), ServiceConnectionError, True, False, UP),
    "broken off in the body": (errors.IncompleteRead(1, 2), ServiceConnectionError, True, False, UP),
    "a head that is refused": (HeadError("two lengths"), InvalidResponse, False, False, UP),
    "a broken coding": (errors.DecodeError("incorrect header check"), InvalidResponse, False, False, UP),
}


def failure(exception, *, seconds=15.0):
    return failure_of(exception, Limit(Timeout(5, 5, 5), seconds, lambda: 100.0))


@pytest.mark.parametrize("case", MEANING.values(), ids=MEANING)
def test_each_transport_exception_maps_to_its_error_and_retriability(case):
    exception, *expected = case
    found = failure(exception)

    assert (found.error, found.is_retriable, found.nothing_sent, found.health) == tuple(expected)
    assert "secret" not in found.reason
    assert found.reason.isprintable()


@pytest.mark.parametrize(
    "exception", [TimeoutError("timed out"), not_connected(TimeoutError()), requests.ReadTimeout()]
)
def test_a_timeout_by_the_deadline_says_nothing_about_the_service(exception):
    found = failure(exception, seconds=1.0)

    assert (found.error, found.is_retriable, found.health) == (DeadlineExceeded, False, UNKNOWN)
    assert found.nothing_sent is isinstance(exception, NotConnectedError)


def test_an_error_reason_is_printable_and_at_most_200_characters():
    found = failure(ConnectionResetError("\x1b[31m" + "x" * 500))

    assert found.reason == "?[31m" + "x" * 195
