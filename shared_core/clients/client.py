"""How does an HTTP client call?

An answer below 400 is returned, everything else is raised as a `ServiceError`; what may be repeated is repeated.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, Unpack

import requests
from requests.adapters import BaseAdapter

from shared_core import conf, context
from shared_core.clients import standins
from shared_core.clients.adapter import PooledAdapter, trust_store
from shared_core.clients.arguments import (
    Timeout,
    check_cert,
    check_count,
    check_headers,
    check_method,
    check_proxies,
    check_seconds,
    check_verify,
)
from shared_core.clients.call import Call
from shared_core.clients.circuits import CircuitBreaker, OriginStats, RetryBudget, ledger
from shared_core.clients.credentials import ForwardUser
from shared_core.clients.exceptions import ServiceError, TokenError, UnsafeURL
from shared_core.clients.plan import Plan
from shared_core.clients.report import OnEvent, Report
from shared_core.clients.request import IDEMPOTENCY_KEY, CallOptions, Headers, prepare, usual_headers
from shared_core.clients.response import read_json, whole
from shared_core.clients.retry import IDEMPOTENT_METHODS, Clock, RetryPolicy
from shared_core.clients.tokens import Provider, check_token, token_for
from shared_core.clients.urls import base_origin, check_base, origin_of
from shared_core.clients.verbs import Verbs

_BREAKER = CircuitBreaker()
_BUDGET = RetryBudget()


class HTTPClient(Verbs):
    """Calls to other services that end, on time, with an answer or an error that says what happened.

    It may be shared between threads and is meant to be kept: it keeps connections alive.

    Args:
        base_url: What calls go to paths under; None for a client of any http or https URL.
        service: The called service's name, for errors and log lines; its host where this is None.
        token: A text, a callable, `ClientCredentials`, `ServiceToken` or `forward_user`; None for the settings' token,
            False for none.
        timeout: Seconds for one attempt, from connecting to the last byte, or ``(connect, read)``: for connecting and
            for all that follows; of a stream for the headers, then for each read. None for `default_timeout`.
        retry: When a request is sent again; None for the class's defaults.
        deadline: Seconds for a whole call, retries, waits and streaming included; None for `default_deadline`. The
            X-Request-Deadline of the request being served shortens it; what is left is sent on.
        headers: Sent with each call.
        verify: As requests takes it; where True, REQUESTS_CA_BUNDLE or SSL_CERT_FILE may name the certificates.
        proxies: As requests takes them; the environment's are not used.
        max_response_bytes: How large a decoded body may be, unless it is streamed; None for no limit.
        pool_maxsize: Connections to one origin; a call that finds all of them busy waits, within its timeout.
        breaker: When calls to an origin that fails are no longer tried; None for always trying.
        budget: How many retries an origin is sent beside its calls; None for as many as ``retry`` allows.
        on_event: Called with a `CallEvent` for each attempt and retry and at the end of each call, in the caller's
            thread; what it raises is logged.
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

    _clock: Clock = Clock()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        service: str | None = None,
        token: str | bool | Provider | ForwardUser | None = None,
        timeout: float | tuple[float, float] | None = None,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
        headers: Headers | None = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        max_response_bytes: int | None = 10_000_000,
        pool_maxsize: int = 32,
        breaker: CircuitBreaker | None = _BREAKER,
        budget: RetryBudget | None = _BUDGET,
        on_event: OnEvent | None = None,
        transport: BaseAdapter | None = None,
    ) -> None:
        if service is not None:
            if not isinstance(service, str):
                raise TypeError(f"service must be a text, not {service!r}")
            self.service = service
        if transport is not None and not isinstance(transport, BaseAdapter):
            raise TypeError(f"transport must be a requests.adapters.BaseAdapter, not {transport!r}")
        check_token(token)
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {retry!r}")
        if max_response_bytes is not None:
            check_count("max_response_bytes", max_response_bytes, minimum=1)
        check_count("pool_maxsize", pool_maxsize, minimum=1)
        if breaker is not None and not isinstance(breaker, CircuitBreaker):
            raise TypeError(f"breaker must be a CircuitBreaker or None, not {breaker!r}")
        if budget is not None and not isinstance(budget, RetryBudget):
            raise TypeError(f"budget must be a RetryBudget or None, not {budget!r}")
        if on_event is not None and not callable(on_event):
            raise TypeError(f"on_event must be callable, not {on_event!r}")
        self._base_url = None if base_url is None else check_base(base_url)
        self._token = token
        self._timeout = Timeout.of(self.default_timeout if timeout is None else timeout)
        self._policy = retry or RetryPolicy(
            retries=self.default_retry_attempts, backoff_factor=self.default_backoff_factor
        )
        self._deadline = check_seconds("deadline", self.default_deadline if deadline is None else deadline)
        self._headers = usual_headers(check_headers(headers))
        self._verify = check_verify(verify)
        self._proxies = check_proxies(proxies)
        self._breaker = breaker
        self._budget = budget
        self._on_event = on_event
        self._max_response_bytes = max_response_bytes
        self._adapter = transport or PooledAdapter(pool_maxsize)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._adapter.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        data: Any = None,  # Any: as requests takes them
        json: Any = None,
        **options: Unpack[CallOptions],
    ) -> requests.Response:
        """Return the answer to a request, its body read unless ``stream=True``.

        Args:
            method: The HTTP method.
            url: A path under the base URL, or an absolute URL.
            data: The body, as requests takes it.
            json: The body as an object, in place of ``data``.
            options: As `requests.request` takes them, and:
                ``token``, ``timeout`` and ``deadline`` (as the client takes them) for this call;
                ``retry_attempts``, how often it may be sent again, 0 for one attempt;
                ``idempotency_key``, a text, or True for a new one: the service does not act twice on the same,
                so that POST and PATCH may be sent again.

        Raises:
            ServiceError: There is no answer, or its status is 400 or above.
            TypeError: An argument is of the wrong type; nothing was sent.
            ValueError: An argument is out of range; nothing was sent.
        """
        return self._call(method, url, data=data, json=json, **options).run(whole)

    def stats(self) -> Mapping[str, OriginStats]:
        """Return what this process knows of the origins it calls, by origin; with a base URL, of that one only."""
        base = self._base()
        stand_in = standins.find(self.service, base or "")
        now = (stand_in.clock if stand_in else self._clock).monotonic()
        found = (stand_in.ledger if stand_in else ledger).stats(now)
        return found if base is None else {name: of for name, of in found.items() if name == str(base_origin(base))}

    def _base(self) -> str | None:
        return self._base_url

    def _call(
        self,
        method: str,
        url: str,
        *,
        token: str | bool | Provider | ForwardUser | None = None,
        timeout: float | tuple[float, float] | None = None,
        retry_attempts: int | None = None,
        deadline: float | None = None,
        allow_redirects: bool = True,
        proxies: Mapping[str, str] | None = None,
        stream: bool = False,
        verify: bool | str | None = None,
        cert: Any = None,
        expected: Collection[int] = (),
        repeatable: bool = False,
        nested: bool = False,
        **content: Any,
    ) -> Call:
        """Check the arguments and return the call, ready to run; a status in ``expected`` is not raised."""
        method, base = check_method(method), self._base()
        check_token(token)
        policy = self._policy
        if retry_attempts is not None:
            policy = replace(policy, retries=check_count("retry_attempts", retry_attempts))
        limits = Timeout.of(timeout) if timeout is not None else self._timeout
        seconds = check_seconds("deadline", deadline) if deadline is not None else self._deadline
        request = self._prepare(method, url, base, content)
        target = str(request.url)
        # With a base, it has been made sure that this is the same.
        origin = origin_of(target) if base is None else base_origin(base)
        inbound = context.inbound()
        left = None if inbound is None else inbound.seconds_left
        try:
            chosen, token_header = token_for(
                request, self._token if token is None else token, origin=origin, named=base is not None
            )
        except TokenError as error:
            self._report_unsent(error, method)
            raise
        stand_in = standins.find(self.service, target)
        clock, book = (stand_in.clock, stand_in.ledger) if stand_in else (self._clock, ledger)
        started = clock.monotonic()
        plan = Plan(
            adapter=stand_in.adapter if stand_in else self._adapter,
            request=request,
            origin=origin,
            service=self.service or origin.netloc,
            policy=policy,
            timeout=limits,
            deadline=seconds if left is None else min(left, seconds),
            is_imposed=left is not None and left < seconds,
            max_response_bytes=self._max_response_bytes,
            stream=stream,
            follow_redirects=allow_redirects,
            options={
                "verify": trust_store(self._verify if verify is None else check_verify(verify)),
                "cert": check_cert(cert),
                "proxies": self._proxies if proxies is None else check_proxies(proxies),
            },
            # What the caller set stays: a header, or requests' own way to authenticate.
            token=None if token_header in request.headers or content.get("auth") is not None else chosen,
            token_header=token_header,
            ask=self._ask_token_service,
            repeatable=repeatable or method in IDEMPOTENT_METHODS or IDEMPOTENCY_KEY in request.headers,
            expected=expected,
            clock=clock,
            circuit=book.circuit(origin, self._breaker, started)
            if self._breaker is not None and conf.is_on("SHARED_CORE_CIRCUIT_BREAKER")
            else None,
            purse=book.purse(origin, self._budget, started)
            if self._budget is not None and conf.is_on("SHARED_CORE_RETRY_BUDGET")
            else None,
            on_event=self._on_event,
            nested=nested,
        )
        return Call(plan)

    def _prepare(self, method: str, url: str, base: str | None, content: Mapping[str, Any]) -> requests.PreparedRequest:
        try:
            return prepare(method, url, base=base, usual=self._headers, **content)
        except UnsafeURL as error:
            self._report_unsent(error, method)
            raise

    def _report_unsent(self, error: ServiceError, method: str) -> None:
        """Put the facts of a call that is not made on ``error``, and report it."""
        error.method, error.service, error.request_id = method, self.service or "", context.request_id()
        refused = requests.PreparedRequest()
        refused.method, refused.url = method, error.url
        Report(error.service, refused, self._clock, on_event=self._on_event).failure(error)

    def _json(
        self, method: str, url: str, *, read: Callable[[requests.Response], Any] = read_json, **arguments: Any
    ) -> Any:
        return self._call(method, url, accept="application/json", stream=False, **arguments).run(read)

    def _ask_token_service(
        self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float
    ) -> requests.Response:
        """Ask over the same connections, with nothing else of this client's: no base, headers or token."""
        client = HTTPClient(
            token=False,
            retry=self._policy,
            verify=self._verify,
            proxies=self._proxies,
            breaker=self._breaker,
            budget=self._budget,
            on_event=self._on_event,
            transport=self._adapter,
        )
        client._clock = self._clock
        # Asking twice for a token does no harm.
        call = client._call("POST", url, data=form, auth=auth, deadline=deadline, repeatable=True, nested=True)
        return call.run(whole)
