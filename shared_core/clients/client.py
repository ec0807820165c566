"""How does a service call another one?

    class UserClient(ServiceClient):
        service = "user"                       # settings.USER_SERVICE_URL

        def find(self, user_id: str) -> dict | None:
            return self.get_json(f"/api/v1/users/{user_id}", missing_ok=True)

An answer below 400 is returned, everything else is raised as a `ServiceError`; what may be repeated is repeated.
"""

import json as jsonlib
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypedDict, Unpack

import requests
from django.core.exceptions import ImproperlyConfigured
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from shared_core import __version__, conf, context
from shared_core.clients.arguments import (
    Timeout,
    check_count,
    check_header_value,
    check_headers,
    check_method,
    check_seconds,
)
from shared_core.clients.call import Call, Plan, log_call
from shared_core.clients.exceptions import InvalidResponse, UnsafeURL
from shared_core.clients.retry import IDEMPOTENT_METHODS, Clock, RetryPolicy
from shared_core.clients.tokens import Provider, Token, check_token, from_settings, is_trusted, warn_untrusted
from shared_core.clients.transport import ACCEPT_ENCODING, PooledAdapter, trust_store
from shared_core.clients.urls import check_base, join, origin_of


class CallOptions(TypedDict, total=False):
    """What each verb takes by keyword; see `HTTPClient.request`."""

    token: str | bool | Provider | None
    timeout: float | tuple[float, float] | None
    retry_attempts: int | None
    deadline: float | None
    idempotency_key: str | bool | None
    # Any: these are as requests takes them.
    params: Any
    headers: Mapping[str, str | bytes | None] | None
    cookies: Any
    files: Any
    auth: Any
    allow_redirects: bool
    proxies: Mapping[str, str] | None
    hooks: Any
    stream: bool
    verify: bool | str | None
    cert: Any


class HTTPClient:
    """Calls to other services that end, on time, with an answer or an error that says what happened.

    It may be shared between threads and is meant to be kept: it keeps connections alive.

    Args:
        base_url: What calls go to paths under; None for a client of any http or https URL.
        service: The called service's name, for errors and log lines; its host where this is None.
        token: A text, a callable or `ClientCredentials`; None for the settings' token, False for none.
        timeout: Seconds for one attempt, or ``(connect, read)``; None for `default_timeout`.
        retry: When a request is sent again; None for the class's defaults.
        deadline: Seconds for a whole call, retries and waits included; None for `default_deadline`.
        headers: Sent with each call.
        verify: As requests takes it; where True, REQUESTS_CA_BUNDLE or SSL_CERT_FILE may name the certificates.
        proxies: As requests takes them; the environment's are not used.
        max_response_bytes: How large a decoded body may be, unless it is streamed; None for no limit.
        pool_maxsize: Connections to one origin; a call that finds all of them busy waits, within its timeout.
        transport: What sends, in place of real connections.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of range.
    """

    service: str | None = None
    default_timeout: ClassVar[float | tuple[float, float]] = 5
    default_retry_attempts: ClassVar[int] = 3
    default_backoff_factor: ClassVar[float] = 0.5
    default_deadline: ClassVar[float] = 15

    _clock: ClassVar[Clock] = Clock()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        service: str | None = None,
        token: str | bool | Provider | None = None,
        timeout: float | tuple[float, float] | None = None,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        max_response_bytes: int | None = 10_000_000,
        pool_maxsize: int = 32,
        transport: BaseAdapter | None = None,
    ) -> None:
        if service is not None:
            self.service = service
        check_token(token)
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {retry!r}")
        if max_response_bytes is not None:
            check_count("max_response_bytes", max_response_bytes, minimum=1)
        check_count("pool_maxsize", pool_maxsize, minimum=1)
        self._base_url = None if base_url is None else check_base(base_url)
        self._token = token
        self._timeout = Timeout.of(self.default_timeout if timeout is None else timeout)
        self._policy = retry or RetryPolicy(
            retries=self.default_retry_attempts, backoff_factor=self.default_backoff_factor
        )
        self._deadline = check_seconds("deadline", self.default_deadline if deadline is None else deadline)
        self._headers = check_headers(headers)
        self._verify = verify
        self._proxies = dict(proxies or {})
        self._max_response_bytes = max_response_bytes
        self._adapter = transport or PooledAdapter(pool_maxsize)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._adapter.close()
