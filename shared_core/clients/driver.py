"""Does what the core decides, with sockets, sleep and the caller's thread."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import requests
from requests.adapters import BaseAdapter

from shared_core.clients.call import Call
from shared_core.clients.core import Action, CallCore, Event, FetchToken, Send, Wait
from shared_core.clients.failures import Failure
from shared_core.clients.limits import Limit
from shared_core.clients.response import StreamedResponse
from shared_core.clients.retry import Clock, retry_after
from shared_core.clients.tokens import cache_of, fetch
from shared_core.clients.transport import exchange, failure_of


class AskTokenService(Protocol):
    """How the token service of a provider is asked within a call."""

    def __call__(self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float) -> requests.Response:
        """Return the answer to ``form`` within ``deadline`` seconds."""


class Driver:
    """Runs one call in the caller's thread.

    Args:
        call: The call.
        adapter: What connects, sends and receives.
        clock: Time and waiting.
        ask: Asks the token service of a provider.
    """

    def __init__(self, call: Call, adapter: BaseAdapter, clock: Clock, ask: AskTokenService) -> None:
        self._call, self._adapter, self._clock, self._ask = call, adapter, clock, ask
        self._core = CallCore(call, now=clock.monotonic(), chance=clock.random)

    def run[T](self, read: Callable[[requests.Response], T]) -> T:
        """Return what ``read`` makes of the response; a ValueError of it is raised as InvalidResponse.

        Raises:
            ServiceError: There is no response, its status is 400 or above, or it cannot be read.
        """
        steps = self._core.run(read)
        try:
            action = next(steps)
            while True:
                try:
                    event = self._do(action)
                except BaseException as error:  # noqa: BLE001  # the core ends the call, and raises it again
                    action = steps.throw(error)
                else:
                    action = steps.send(event)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, action: Action) -> Event:
        match action:
            case Send():
                outcome = self._send(action)
                response = outcome.response if isinstance(outcome, Failure) else outcome
                asked = None if response is None else response.headers.get("Retry-After")
                wait = None if asked is None else retry_after(asked, self._clock.now())
                return Event(self._clock.monotonic(), outcome, wait)
            case FetchToken():
                token = cache_of(action.provider).get(
                    partial(fetch, action.provider, partial(self._ask, deadline=action.seconds)),
                    monotonic=self._clock.monotonic,
                    patience=action.seconds,
                    refused=action.refused,
                )
                return Event(self._clock.monotonic(), token)
            case Wait():
                self._clock.sleep(action.seconds)
                return Event(self._clock.monotonic())

    def _send(self, action: Send) -> requests.Response | Failure:
        options = self._call.options
        if self._call.rewind is not None:
            self._call.rewind()
        limit = Limit(action.timeout, action.seconds)
        outcome = exchange(
            self._adapter,
            action.request,
            limit=limit,
            max_bytes=self._call.config.max_response_bytes,
            stream=options.stream,
            options=options.sending if action.with_certificate else {**options.sending, "cert": None},
        )
        if isinstance(outcome, Failure) or outcome._content_consumed:  # type: ignore[attr-defined]  # requests'
            return outcome
        return StreamedResponse.of(
            outcome, lambda exc: self._core.stream_error(failure_of(exc, limit), self._clock.monotonic())
        )
