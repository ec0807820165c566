"""How does a service call another one?

    class UserClient(ServiceClient):
        service = "user"                       # settings.USER_SERVICE_URL

        def find(self, user_id: str) -> dict | None:
            return self.get_json(f"/api/v1/users/{user_id}", missing_ok=True)

An answer below 400 is returned, everything else is raised as a `ServiceError`; what may be repeated is repeated.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, Unpack

import requests
from django.core.exceptions import ImproperlyConfigured
from requests.adapters import BaseAdapter

from shared_core import conf, context
from shared_core.clients.arguments import Timeout, check_count, check_headers, check_method, check_seconds
from shared_core.clients.call import Call, Plan, log_call
from shared_core.clients.exceptions import UnsafeURL
from shared_core.clients.request import IDEMPOTENCY_KEY, CallOptions, Headers, prepare
from shared_core.clients.response import read_json, read_json_or_missing, whole
from shared_core.clients.retry import IDEMPOTENT_METHODS, Clock, RetryPolicy
from shared_core.clients.tokens import Provider, check_token, choose_token
from shared_core.clients.transport import PooledAdapter, trust_store
from shared_core.clients.urls import check_base, origin_of


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

    _clock: Clock = Clock()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        service: str | None = None,
        token: str | bool | Provider | None = None,
        timeout: float | tuple[float, float] | None = None,
        retry: RetryPolicy | None = None,
        deadline: float | None = None,
        headers: Headers | None = None,
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

    def get(self, url: str, **options: Unpack[CallOptions]) -> requests.Response:
        """GET ``url``; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[CallOptions]) -> requests.Response:
        """HEAD ``url``; see `request`."""
        return self.request("HEAD", url, **options)

    # Any from here on: bodies are as requests takes them, and JSON is what the service sent.
    def delete(
        self, url: str, *, data: Any = None, json: Any = None, **options: Unpack[CallOptions]
    ) -> requests.Response:
        """DELETE ``url``; see `request`."""
        return self.request("DELETE", url, data=data, json=json, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """POST to ``url``; see `request`."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """PUT to ``url``; see `request`."""
        return self.request("PUT", url, data=data, json=json, **options)

    def patch(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """PATCH ``url``; see `request`."""
        return self.request("PATCH", url, data=data, json=json, **options)

    def get_json(self, url: str, *, missing_ok: bool = False, **options: Unpack[CallOptions]) -> Any:
        """GET ``url`` and return the JSON of the answer, or None where it has no body.

        With ``missing_ok``, None means 404 and nothing else: an answer without a body is an error then.

        Raises:
            InvalidResponse: The answer is not JSON.
        """
        if missing_ok:
            return self._json("GET", url, read=read_json_or_missing, expected={404}, **options)
        return self._json("GET", url, **options)

    def post_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """POST ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("POST", url, json=json, **options)

    def put_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """PUT ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("PUT", url, json=json, **options)

    def patch_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """PATCH with ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("PATCH", url, json=json, **options)

    def _base(self) -> str | None:
        return self._base_url

    def _call(
        self,
        method: str,
        url: str,
        *,
        token: str | bool | Provider | None = None,
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
        try:
            request = prepare(method, url, base=base, client_headers=self._headers, **content)
        except UnsafeURL as error:
            error.method, error.service, error.request_id = method, self.service or "", context.request_id()
            log_call(error.service, method, error.url, error=error)
            raise
        origin = origin_of(str(request.url))
        plan = Plan(
            adapter=self._adapter,
            request=request,
            service=self.service or origin.netloc,
            policy=policy,
            timeout=limits,
            deadline=seconds,
            max_response_bytes=self._max_response_bytes,
            stream=stream,
            follow_redirects=allow_redirects,
            options={
                "verify": trust_store(self._verify if verify is None else verify),
                "cert": cert,
                "proxies": self._proxies if proxies is None else dict(proxies),
            },
            # What the caller set stays: a header, or requests' own way to authenticate.
            token=None
            if "Authorization" in request.headers or content.get("auth") is not None
            else choose_token(token, self._token, origin=origin, named=base is not None),
            ask=self._ask_token_service,
            repeatable=repeatable or method in IDEMPOTENT_METHODS or IDEMPOTENCY_KEY in request.headers,
            expected=expected,
            clock=self._clock,
        )
        return Call(plan)

    def _json(
        self, method: str, url: str, *, read: Callable[[requests.Response], Any] = read_json, **arguments: Any
    ) -> Any:
        return self._call(method, url, accept="application/json", stream=False, **arguments).run(read)

    def _ask_token_service(
        self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float
    ) -> requests.Response:
        """Ask over the same connections, with nothing else of this client's: no base, headers or token."""
        client = HTTPClient(
            token=False, retry=self._policy, verify=self._verify, proxies=self._proxies, transport=self._adapter
        )
        client._clock = self._clock
        # Asking twice for a token does no harm.
        return client._call("POST", url, data=form, auth=auth, deadline=deadline, repeatable=True).run(whole)


class ServiceClient(HTTPClient):
    """An HTTPClient of the service that ``service`` names: its base URL is the setting of that name.

    ``service = "user-api"`` is at ``settings.USER_API_SERVICE_URL``, which is read when it is needed, never at import.
    """

    def _base(self) -> str:
        if self._base_url is not None:
            return self._base_url
        if not self.service:
            raise ImproperlyConfigured(f'{type(self).__name__} needs a name for its service, such as service = "user"')
        setting = self.service.upper().replace("-", "_") + "_SERVICE_URL"
        hint = f'{setting} = "http://{self.service}-service:8000"'
        url = conf.get(setting)
        if not url:
            raise ImproperlyConfigured(f"{type(self).__name__} needs the setting {setting}, for example: {hint}")
        try:
            return check_base(url)
        except (TypeError, UnsafeURL) as exc:
            raise ImproperlyConfigured(f"{setting} is no base URL: {exc.args[0]}; for example: {hint}") from exc
