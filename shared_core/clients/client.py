"""Clients of other services, in the manner of `requests`.

A response below 400 is returned and everything else is raised as a `ServiceError`. What may be repeated is repeated.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, Unpack

import requests
from requests.adapters import BaseAdapter

from shared_core import conf, context
from shared_core.clients import circuits, overrides, transactions
from shared_core.clients.adapter import PooledAdapter
from shared_core.clients.arguments import Timeout, check_count, check_method
from shared_core.clients.call import Call
from shared_core.clients.circuits import CircuitBreaker, OriginStats, RetryBudget
from shared_core.clients.config import OPTIONS, ClientConfig, Headers, RequestOptions, TokenSource
from shared_core.clients.driver import Driver
from shared_core.clients.exceptions import ServiceError, TokenError, UnsafeURL
from shared_core.clients.report import OnEvent, Report
from shared_core.clients.request import IDEMPOTENCY_KEY, prepare
from shared_core.clients.response import read_json, read_json_or_missing
from shared_core.clients.retry import IDEMPOTENT_METHODS, Clock, RetryPolicy, rewinder
from shared_core.clients.tokens import token_for
from shared_core.context.inbound import current_inbound
from shared_core.origins import InvalidURLError, base_origin, check_base, origin_of

_BREAKER = CircuitBreaker()
_BUDGET = RetryBudget()


class HTTPClient:
    """Calls to other services that end in time, with an answer or an error that says what happened.

    It may be shared between threads and is meant to be kept: it keeps connections alive.

    Args:
        base_url: What calls go to paths under; None for a client of any http or https URL.
        service: The called service's name, for errors and log lines; by default its host.
        token: A text, a callable, `ClientCredentials`, `ServiceToken` or `forward_user`; None for the settings' token,
            False for none.
        timeout: Seconds for one attempt, from connecting to the last byte, or ``(connect, read)``: for connecting and
            for all that follows; of a stream for the headers, then for each read. None for `default_timeout`.
        retry: When a request is sent again; None for the class's defaults.
        deadline: Seconds for a whole call, retries, waits and streaming included; None for `default_deadline`. The
            X-Request-Deadline of the request being served shortens it; what is left is sent on.
        headers: Sent with each call.
        verify: As requests takes it. If it is True, REQUESTS_CA_BUNDLE or SSL_CERT_FILE may name the certificates.
        proxies: As requests takes them; the environment's are not used.
        max_response_bytes: How large a decoded body may be, unless it is streamed; None for no limit.
        pool_maxsize: Connections to one origin; a call that finds all of them busy waits, within its timeout.
        breaker: When calls to an origin that fails are no longer tried; None for always trying.
        budget: How many retries an origin is sent in addition to its calls; None for as many as ``retry`` allows.
        on_event: Called with a `CallEvent` for each attempt and retry and at the end of each call, in the caller's
            thread; what it raises is logged.
        transport: What sends, in place of real connections.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of range.
    """

    service: str | None = None
    default_timeout: ClassVar[float | tuple[float, float]] = 5
    default_retries: ClassVar[int] = 3
    default_retry_attempts: ClassVar[int] = 3  # deprecated: default_retries
    default_backoff_factor: ClassVar[float] = 0.5
    default_deadline: ClassVar[float] = 15

    _clock: Clock = Clock()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        service: str | None = None,
        token: TokenSource = None,
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
        check_count("pool_maxsize", pool_maxsize, minimum=1)
        self._base_url = None if base_url is None else _checked_base(base_url)
        self._config = ClientConfig(
            token=token,
            timeout=Timeout.of(self.default_timeout if timeout is None else timeout),
            policy=self._default_policy() if retry is None else retry,
            deadline=self.default_deadline if deadline is None else deadline,
            headers=headers,
            verify=verify,
            proxies=proxies,
            max_response_bytes=max_response_bytes,
            breaker=breaker,
            budget=budget,
            on_event=on_event,
        )
        self._adapter = transport or PooledAdapter(pool_maxsize)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._adapter.close()

    # Any from here on: bodies are as requests takes them, and JSON is what the service sent.
    def request(
        self, method: str, url: str, *, data: Any = None, json: Any = None, **options: Unpack[RequestOptions]
    ) -> requests.Response:
        """Return the response to a request, its body read unless ``stream=True``.

        Args:
            method: The HTTP method.
            url: A path under the base URL, or an absolute URL.
            data: The body, as requests takes it.
            json: The body as an object, in place of ``data``.
            options: As `requests.request` takes them, and:
                ``token``, ``timeout`` and ``deadline`` (as the client takes them) for this call;
                ``retries``, how often it may be sent again, 0 for one attempt;
                ``idempotency_key``, a text, or True for a new one: the service does not act twice on the same,
                so that POST and PATCH may be sent again.

        Raises:
            ServiceError: There is no response, or its status is 400 or above.
            TypeError: An argument is of the wrong type; nothing was sent.
            ValueError: An argument is out of range; nothing was sent.
        """
        return self._run(method, url, lambda response: response, data=data, json=json, **options)

    def get(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """GET ``url``; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """HEAD ``url``; see `request`."""
        return self.request("HEAD", url, **options)

    def delete(
        self, url: str, *, data: Any = None, json: Any = None, **options: Unpack[RequestOptions]
    ) -> requests.Response:
        """DELETE ``url``; see `request`."""
        return self.request("DELETE", url, data=data, json=json, **options)

    def post(
        self, url: str, data: Any = None, json: Any = None, **options: Unpack[RequestOptions]
    ) -> requests.Response:
        """POST to ``url``; see `request`."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, json: Any = None, **options: Unpack[RequestOptions]) -> requests.Response:
        """PUT to ``url``; see `request`."""
        return self.request("PUT", url, data=data, json=json, **options)

    def patch(
        self, url: str, data: Any = None, json: Any = None, **options: Unpack[RequestOptions]
    ) -> requests.Response:
        """PATCH ``url``; see `request`."""
        return self.request("PATCH", url, data=data, json=json, **options)

    def get_json(self, url: str, *, missing_ok: bool = False, **options: Unpack[RequestOptions]) -> Any:
        """GET ``url`` and return the JSON of the response, or None if it has no body.

        With ``missing_ok``, None means 404 and nothing else: a response without a body is an error then.

        Raises:
            InvalidResponse: The response is not JSON.
        """
        if missing_ok:
            return self._json("GET", url, read_json_or_missing, expected={404}, **options)
        return self._json("GET", url, **options)

    def post_json(self, url: str, json: Any = None, **options: Unpack[RequestOptions]) -> Any:
        """POST ``json`` and return the JSON of the response, or None if it has no body; see `get_json`."""
        return self._json("POST", url, json=json, **options)

    def put_json(self, url: str, json: Any = None, **options: Unpack[RequestOptions]) -> Any:
        """PUT ``json`` and return the JSON of the response, or None if it has no body; see `get_json`."""
        return self._json("PUT", url, json=json, **options)

    def patch_json(self, url: str, json: Any = None, **options: Unpack[RequestOptions]) -> Any:
        """PATCH with ``json`` and return the JSON of the response, or None if it has no body; see `get_json`."""
        return self._json("PATCH", url, json=json, **options)

    def stats(self) -> Mapping[str, OriginStats]:
        """Return what this process knows of the origins it calls, by origin; with a base URL, of that one only."""
        base = self._base()
        override = overrides.find(self.service, base or "")
        now = (override.clock if override else self._clock).monotonic()
        found = (override.registry if override else circuits.registry).stats(now)
        return found if base is None else {name: of for name, of in found.items() if name == str(base_origin(base))}

    def _base(self) -> str | None:
        return self._base_url

    def _default_policy(self) -> RetryPolicy:
        retries = self.default_retries
        if self.default_retry_attempts != HTTPClient.default_retry_attempts:
            warnings.warn(
                f"{type(self).__name__}.default_retry_attempts is deprecated: write default_retries.",
                DeprecationWarning,
                stacklevel=3,
            )
            retries = self.default_retry_attempts
        return RetryPolicy(retries=retries, backoff_factor=self.default_backoff_factor)

    def _json(
        self, method: str, url: str, read: Callable[[requests.Response], Any] = read_json, **arguments: Any
    ) -> Any:
        return self._run(method, url, read, accept="application/json", **{**arguments, "stream": False})

    def _run[T](self, method: str, url: str, read: Callable[[requests.Response], T], **arguments: Any) -> T:
        """Make a call, and return what ``read`` makes of the response; a status in ``expected`` is not raised."""
        if (retries := arguments.pop("retry_attempts", None)) is not None:
            warnings.warn("retry_attempts= is deprecated: write retries=.", DeprecationWarning, stacklevel=4)
            arguments.setdefault("retries", retries)
        return self._call(self._config, method, url, self._base(), read, **arguments)

    def _call[T](
        self,
        config: ClientConfig,
        method: str,
        url: str,
        base: str | None,
        read: Callable[[requests.Response], T],
        *,
        service: str | None = None,
        **arguments: Any,
    ) -> T:
        """Check the arguments, and make the call."""
        options = config.options(**{name: arguments.pop(name) for name in OPTIONS & arguments.keys()})
        method, service = check_method(method), service or self.service
        try:
            request = prepare(method, url, base=base, usual=config.headers or {}, **arguments)
            # With a base, it has been made sure that this is the same.
            origin = origin_of(str(request.url)) if base is None else base_origin(base)
            token, token_header = token_for(request, options.token, origin=origin, named=base is not None)
        except (UnsafeURL, TokenError) as error:
            _report_unsent(error, method, service or "", config.on_event)
            raise
        override = overrides.find(service, str(request.url))
        clock, registry = (override.clock, override.registry) if override else (self._clock, circuits.registry)
        now = clock.monotonic()
        inbound = current_inbound()
        left = None if inbound is None else inbound.seconds_left(now)
        if token_header in request.headers or arguments.get("auth") is not None:
            token = None  # what the caller set stays
        service = service or origin.netloc
        has_breaker = config.breaker is not None and conf.is_on("SHARED_CORE_CIRCUIT_BREAKER")
        has_budget = config.budget is not None and conf.is_on("SHARED_CORE_RETRY_BUDGET")
        # The URL of a token service comes from the service, too.
        is_named = base is not None or options.is_nested
        call = Call(
            config=config,
            options=options,
            request=request,
            origin=origin,
            service=service,
            seconds=options.deadline if left is None else min(left, options.deadline),
            is_imposed=left is not None and left < options.deadline,
            is_repeatable=options.is_repeatable or method in IDEMPOTENT_METHODS or IDEMPOTENCY_KEY in request.headers,
            rewind=rewinder(request.body),
            token=token,
            token_header=token_header,
            circuit=(
                registry.circuit(origin, config.breaker, now, is_named=is_named)
                if config.breaker and has_breaker
                else None
            ),
            budget=(
                registry.budget(origin, config.budget, now, is_named=is_named) if config.budget and has_budget else None
            ),
            open_transaction=None if options.is_nested else transactions.find_forbidden(service),
        )
        adapter = override.adapter if override else self._adapter
        return Driver(call, adapter, clock, self._ask_token_service).run(read)

    def _ask_token_service(
        self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float
    ) -> requests.Response:
        """Ask over the same connections, with nothing else of this client's: no base, headers or token."""
        return self._call(
            self._config.for_token_service(),
            "POST",
            url,
            None,
            lambda response: response,
            service=origin_of(url).netloc,
            data=form,
            auth=auth,
            deadline=deadline,
            is_repeatable=True,  # asking twice for a token does no harm
            is_nested=True,
        )


def _checked_base(url: str) -> str:
    try:
        return check_base(url)
    except InvalidURLError as exc:
        raise UnsafeURL(exc.reason, url=exc.url) from None


def _report_unsent(error: ServiceError, method: str, service: str, on_event: OnEvent | None) -> None:
    """Put the facts of a call that is not made on ``error``, and report it."""
    error.method, error.service, error.request_id = method, service, context.request_id()
    refused = requests.PreparedRequest()
    refused.method, refused.url = method, error.url
    Report(service, refused, on_event=on_event).failure(error, 0.0)
