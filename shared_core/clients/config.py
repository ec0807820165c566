"""What a client and a call were asked for: frozen values, checked when they are built."""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from requests.structures import CaseInsensitiveDict

from shared_core import __version__
from shared_core.clients.adapter import trust_store
from shared_core.clients.arguments import (
    Timeout,
    check_cert,
    check_count,
    check_headers,
    check_proxies,
    check_seconds,
    check_verify,
)
from shared_core.clients.circuits import CircuitBreaker, RetryBudget
from shared_core.clients.credentials import ForwardUser
from shared_core.clients.report import OnEvent
from shared_core.clients.retry import RetryPolicy
from shared_core.clients.tokens import Provider, check_token
from shared_core.clients.transport import ACCEPT_ENCODING

type Headers = Mapping[str, str | bytes | None]
type TokenSource = str | bool | Provider | ForwardUser | None


class RequestOptions(TypedDict, total=False):
    """What each verb of a client takes by keyword; see `shared_core.clients.HTTPClient.request`."""

    token: TokenSource
    timeout: float | tuple[float, float] | None
    retries: int | None
    retry_attempts: int | None  # deprecated: retries
    deadline: float | None
    idempotency_key: str | bool | None
    # Any: these are as requests takes them.
    params: Any
    headers: Headers | None
    cookies: Any
    files: Any
    auth: Any
    allow_redirects: bool
    proxies: Mapping[str, str] | None
    hooks: Any
    stream: bool
    verify: bool | str | None
    cert: Any


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """How one call is made."""

    token: TokenSource
    timeout: Timeout
    policy: RetryPolicy
    deadline: float  # seconds
    stream: bool = False
    follow_redirects: bool = True
    sending: Mapping[str, Any] = field(default_factory=dict)  # verify, cert and proxies, as requests takes them
    expected: Collection[int] = ()  # statuses from 400 that are returned
    is_repeatable: bool = False  # sending it twice has the effect of sending it once, whatever its method
    is_nested: bool = False  # made for another call, which has looked for an open transaction


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """What all calls of a client have in common; see `shared_core.clients.HTTPClient`.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A value is out of range.
    """

    token: TokenSource = None
    timeout: Timeout
    policy: RetryPolicy
    deadline: float
    headers: Headers | None = None
    verify: bool | str = True
    proxies: Mapping[str, str] | None = None
    max_response_bytes: int | None = 10_000_000
    breaker: CircuitBreaker | None = None
    budget: RetryBudget | None = None
    on_event: OnEvent | None = None

    def __post_init__(self) -> None:
        check_token(self.token)
        _check_type("retry", self.policy, RetryPolicy, "a RetryPolicy")
        check_seconds("deadline", self.deadline)
        if self.max_response_bytes is not None:
            check_count("max_response_bytes", self.max_response_bytes, minimum=1)
        _check_type("breaker", self.breaker, CircuitBreaker | None, "a CircuitBreaker or None")
        _check_type("budget", self.budget, RetryBudget | None, "a RetryBudget or None")
        if self.on_event is not None and not callable(self.on_event):
            raise TypeError(f"on_event must be callable, not {self.on_event!r}")
        for name, checked in (
            ("headers", _usual_headers(check_headers(self.headers))),
            ("verify", check_verify(self.verify)),
            ("proxies", check_proxies(self.proxies)),
        ):
            object.__setattr__(self, name, checked)

    def options(
        self,
        *,
        token: TokenSource = None,
        timeout: float | tuple[float, float] | None = None,
        retries: int | None = None,
        deadline: float | None = None,
        allow_redirects: bool = True,
        proxies: Mapping[str, str] | None = None,
        stream: bool = False,
        verify: bool | str | None = None,
        cert: Any = None,  # Any: as requests takes it
        expected: Collection[int] = (),
        is_repeatable: bool = False,
        is_nested: bool = False,
    ) -> CallOptions:
        """Return the options of one call: those given, over those of the client.

        Raises:
            TypeError: A value is of the wrong type.
            ValueError: A value is out of range.
        """
        check_token(token)
        policy = self.policy
        if retries is not None:
            policy = replace(policy, retries=check_count("retries", retries))
        return CallOptions(
            token=self.token if token is None else token,
            timeout=self.timeout if timeout is None else Timeout.of(timeout),
            policy=policy,
            deadline=self.deadline if deadline is None else check_seconds("deadline", deadline),
            stream=stream,
            follow_redirects=allow_redirects,
            sending={
                "verify": trust_store(self.verify if verify is None else check_verify(verify)),
                "cert": check_cert(cert),
                "proxies": self.proxies if proxies is None else check_proxies(proxies),
            },
            expected=expected,
            is_repeatable=is_repeatable,
            is_nested=is_nested,
        )

    def for_token_service(self) -> "ClientConfig":
        """Return the configuration of a call to a token service: no token, and no headers of the client."""
        return replace(self, token=False, headers=None, max_response_bytes=10_000_000)


# What `ClientConfig.options` takes; everything else that a call is given says what is sent.
OPTIONS = frozenset(inspect.signature(ClientConfig.options).parameters) - {"self"}


def _check_type(name: str, value: object, kind: Any, wanted: str) -> None:  # Any: a class or a union of these
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {wanted}, not {value!r}")


def _usual_headers(headers: Headers) -> CaseInsensitiveDict[str | bytes | None]:
    usual: CaseInsensitiveDict[str | bytes | None] = CaseInsensitiveDict(
        {"User-Agent": f"shared-core/{__version__}", "Accept": "*/*", "Accept-Encoding": ACCEPT_ENCODING}
    )
    usual.update(headers)
    if "Content-Length" in usual:
        raise ValueError("headers: Content-Length cannot be set for all calls, it follows from the body")
    return usual
