"""One call, ready to run: what is sent, where, with which token, for how long."""

from collections.abc import Callable
from dataclasses import dataclass

import requests

from shared_core.clients.circuits import Circuit, RetryBudgetState
from shared_core.clients.config import CallOptions, ClientConfig
from shared_core.clients.tokens import Token
from shared_core.origins import Origin


@dataclass(frozen=True, kw_only=True)
class Call:
    """All that the core needs to know of a call."""

    config: ClientConfig
    options: CallOptions
    request: requests.PreparedRequest  # without the token
    origin: Origin
    service: str
    seconds: float  # for all of it, from its start
    is_imposed: bool  # that is the deadline of the request being served
    is_repeatable: bool  # sending it twice has the effect of sending it once
    rewind: Callable[[], object] | None  # makes the body ready to be sent again; None if it cannot be
    token: Token | None
    token_header: str
    circuit: Circuit | None
    budget: RetryBudgetState | None
    open_transaction: str | None = None  # the alias of a database, if the settings forbid calls inside of one
