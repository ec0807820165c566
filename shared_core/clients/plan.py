"""What does one call need to know? All of it is checked before the call starts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from requests.adapters import BaseAdapter

from shared_core.clients.arguments import Timeout
from shared_core.clients.circuits import Circuit, Purse
from shared_core.clients.report import OnEvent
from shared_core.clients.retry import Clock, RetryPolicy
from shared_core.clients.tokens import Token
from shared_core.clients.urls import Origin


class AskTokenService(Protocol):
    """How a provider's token service is asked within a call."""

    def __call__(self, url: str, form: dict[str, str], auth: tuple[str, str], *, deadline: float) -> requests.Response:
        """Return the answer to ``form`` within ``deadline`` seconds."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one call needs to know, checked before it starts."""

    adapter: BaseAdapter
    request: requests.PreparedRequest  # without the token
    origin: Origin
    service: str
    policy: RetryPolicy
    timeout: Timeout
    deadline: float  # seconds, from the start
    is_imposed: bool  # the deadline is that of the request being served
    max_response_bytes: int | None
    stream: bool
    follow_redirects: bool
    options: Mapping[str, Any]  # verify, cert and proxies, as requests takes them
    token: Token | None
    token_header: str
    ask: AskTokenService
    repeatable: bool  # sending it twice has the effect of sending it once
    expected: Collection[int]  # statuses from 400 that are returned
    clock: Clock
    circuit: Circuit | None
    purse: Purse | None
    on_event: OnEvent | None
    nested: bool  # made for another call, which has looked for an open transaction
