"""The errors of calls to other services. Each is also the `requests` exception that callers of `requests` expect.

ServiceError                      requests.RequestException
├── ServiceConnectionError        requests.ConnectionError     refused, unreachable, broken off
│   ├── ServiceConnectTimeout     requests.ConnectTimeout      and a ServiceTimeout
│   └── CircuitOpen                                            not tried: the calls before it failed
├── ServiceTimeout                requests.Timeout             one attempt took too long
│   ├── ServiceConnectTimeout
│   └── DeadlineExceeded                                       the whole call took too long
├── ServiceHTTPError              requests.HTTPError           an answer, status 400 or above
│   ├── ClientError                                            4xx
│   │   ├── Unauthorized                                       401
│   │   ├── Forbidden                                          403
│   │   ├── NotFound                                           404
│   │   ├── Conflict                                           409
│   │   └── RateLimited                                        429
│   └── ServerError                                            5xx: the service failed, never "not found"
├── TooManyRedirects              requests.TooManyRedirects
├── ResponseTooLarge                                           more bytes than the client reads
├── InvalidResponse               ValueError                   not JSON, or none that this client reads
├── UnsafeURL                     requests InvalidURL, ValueError   refused before a byte was sent
├── TokenError                                                 the token service failed, not the service
└── CallInsideTransaction                                      refused: the settings forbid it
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from shared_core.logs.redaction import MASK, redact_url

# The statuses of a service that is down, or of the proxy in front of it. A service that is up answers 500 too: one
# caller's input can cause it.
OUTAGE_STATUSES = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt."""

    number: int  # from 1
    status: int | None  # None where no answer came
    error: str | None  # the error's class, where the attempt failed
    elapsed: float  # seconds
    wait: float = 0.0  # seconds before the next attempt


class ServiceError(requests.RequestException):
    """A call to another service failed.

    Attributes:
        url: Where the call went, without userinfo and with its query masked.
        method: The HTTP method.
        service: Name of the service, or its host where it has none.
        attempts: How many attempts were made; 0 where nothing was sent.
        elapsed: Seconds that the whole call took.
        response: The last answer, or None where none came.
        history: One `Attempt` an attempt, oldest first.
        retry_after: Seconds that the last answer asked to wait, at most 86,400, or None.
        request_id: Id of the request being served when the call was made, or None.
        is_outage: Whether the service may work again soon.

    It pickles; the copy has no ``request``, and its response has none.
    """

    def __init__(
        self,
        reason: str,
        *,
        url: str = "",
        method: str = "",
        service: str = "",
        elapsed: float = 0.0,
        response: requests.Response | None = None,
        request: requests.PreparedRequest | None = None,
        history: Sequence[Attempt] = (),
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(reason, response=response, request=request)
        self.url = redact_url(url)
        self.method = method
        self.service = service
        self.elapsed = elapsed
        self.history = tuple(history)
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return len(self.history)

    @property
    def is_outage(self) -> bool:
        """Whether the service was not reached in time, or answered 502, 503 or 504: it may work again soon.

        False for every other answer, 500 among them, which one request can cause: to pass that on as 503 would make
        your service look down to its callers.
        """
        if isinstance(self, ServiceHTTPError):
            return self.response.status_code in OUTAGE_STATUSES
        return isinstance(self, ServiceConnectionError | ServiceTimeout)

    def __str__(self) -> str:
        """Compose ``user: GET /api/v1/users/42: 503 Service Unavailable (4 attempts, 3.51 s)``."""
        where = f"{self.method} {urlsplit(self.url).path}".strip()
        facts = [f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}", f"{self.elapsed:.2f} s"]
        statuses = [attempt.status for attempt in self.history if attempt.status is not None]
        if statuses and not isinstance(self, ServiceHTTPError):
            facts.append(f"last status {statuses[-1]}")
        return ": ".join(part for part in (self.service, where, str(self.args[0])) if part) + f" ({', '.join(facts)})"

    def __reduce__(self) -> tuple[Any, ...]:  # Any: what pickle asks for
        state = {**self.__dict__, "request": None, "response": _without_request(self.response)}
        return _restore, (type(self), self.args, state)


class ServiceConnectionError(ServiceError, requests.ConnectionError):
    """The service could not be reached, or the connection broke before its answer was complete."""


class CircuitOpen(ServiceConnectionError):  # noqa: N818  the field's word
    """The last calls to the service failed in a row, so this one was not tried; ``retry_after`` says for how long."""


class ServiceTimeout(ServiceError, requests.Timeout):  # noqa: N818  requests says Timeout
    """An attempt took longer than its timeout, however slowly its bytes dripped in."""


class ServiceConnectTimeout(ServiceConnectionError, ServiceTimeout, requests.ConnectTimeout):  # noqa: N818  requests says ConnectTimeout
    """No connection came about within the timeout; nothing was sent."""


class DeadlineExceeded(ServiceTimeout):
    """The call took longer than its deadline, retries and waits included."""


class ServiceHTTPError(ServiceError, requests.HTTPError):
    """The service answered with a status of 400 or above; ``response`` is that answer."""

    response: requests.Response


class ClientError(ServiceHTTPError):
    """The service refused the request (4xx): sending it again unchanged will not help."""


class Unauthorized(ClientError):  # noqa: N818  RFC 9110's word
    """Status 401: the service does not know who is calling."""


class Forbidden(ClientError):  # noqa: N818  RFC 9110's word
    """Status 403: the service knows who is calling, and refuses."""


class NotFound(ClientError):  # noqa: N818  RFC 9110's word
    """Status 404: the service is up, and there is no such thing."""


class Conflict(ClientError):  # noqa: N818  RFC 9110's word
    """Status 409: the request contradicts the state of what it addresses."""


class RateLimited(ClientError):  # noqa: N818  not an error of either side
    """Status 429: too many requests; ``retry_after`` says how long to wait, where the service said so."""


class ServerError(ServiceHTTPError):
    """The service failed (5xx), which says nothing about what was asked for."""


class TooManyRedirects(ServiceError, requests.TooManyRedirects):  # noqa: N818  requests' word
    """The answer was one redirect more than the client follows."""


class ResponseTooLarge(ServiceError):  # noqa: N818  after RFC 9110's Content Too Large
    """The decoded body passed the client's limit of ``limit`` bytes and was not read on."""

    limit: int | None = None


class InvalidResponse(ServiceError, ValueError):  # noqa: N818  after requests' InvalidURL
    """The answer is not the JSON that was asked for, or one that this client does not read.

    Its content coding was not asked for or cannot be undone, its headers are too large, or it stays an interim one.
    """


class UnsafeURL(ServiceError, requests.exceptions.InvalidURL):  # noqa: N818  after requests' InvalidURL
    """The URL is none that this client may call; nothing was sent to it."""

    def __init__(self, reason: str, *, url: str = "", **facts: Any) -> None:  # Any: the facts of a ServiceError
        super().__init__(reason, url=url, **facts)
        # What is malformed may hold its userinfo where no parser finds it.
        if "@" in self.url:
            self.url = MASK


class TokenError(ServiceError):
    """No token could be had: ``service`` and ``url`` name the token service, not the one that was to be called.

    Or the Authorization of the request being served is none that `forward_user` can send on, or that request has ended.
    Then they name the called service, and nothing was sent.
    """

    def __init__(self, reason: str, *, is_outage: bool = False, **facts: Any) -> None:  # Any: those of a ServiceError
        super().__init__(reason, **facts)
        self._is_outage = is_outage

    @property
    def is_outage(self) -> bool:
        """Whether the token service was not reached in time, or answered 502, 503 or 504."""
        return self._is_outage


class CallInsideTransaction(ServiceError):  # noqa: N818  says what was done
    """Inside ``transaction.atomic``, where it would keep a database connection from everybody else; nothing was sent.

    Call before the block or after it, or from ``transaction.on_commit``.
    """


_BY_STATUS: Mapping[int, type[ServiceHTTPError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_for_status(status: int) -> type[ServiceHTTPError]:
    """Return the class of the error that an answer with ``status``, 400 or above, is raised as."""
    return _BY_STATUS.get(status, ClientError if status < 500 else ServerError)


def describe_status(status: int) -> str:
    """Return ``404 Not Found``, in the standard's words: the server's own may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _restore(kind: type[ServiceError], args: tuple[Any, ...], state: dict[str, Any]) -> ServiceError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _without_request(response: requests.Response | None) -> requests.Response | None:
    """Copy ``response`` as pickle would, less what was sent to get it."""
    if response is None:
        return None
    copied = copy(response)
    copied.__dict__.update(request=None, history=[], url=redact_url(response.url or ""))
    return copied
