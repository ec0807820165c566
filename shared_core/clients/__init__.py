"""Calls to other services: a client, when it tries again, where its token comes from, and what can go wrong."""

from shared_core.clients.circuits import CircuitBreaker, OriginStats, RetryBudget
from shared_core.clients.client import HTTPClient
from shared_core.clients.credentials import ClientCredentials, ServiceToken, forward_user
from shared_core.clients.exceptions import (
    Attempt,
    CallInsideTransaction,
    CircuitOpen,
    ClientError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidResponse,
    NotFound,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    ServiceConnectionError,
    ServiceConnectTimeout,
    ServiceError,
    ServiceHTTPError,
    ServiceTimeout,
    TokenError,
    TooManyRedirects,
    Unauthorized,
    UnsafeURL,
)
from shared_core.clients.report import CallEvent
from shared_core.clients.retry import RetryPolicy
from shared_core.clients.service import ServiceClient

__all__ = [
    "Attempt",
    "CallEvent",
    "CallInsideTransaction",
    "CircuitBreaker",
    "CircuitOpen",
    "ClientCredentials",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "HTTPClient",
    "InvalidResponse",
    "NotFound",
    "OriginStats",
    "RateLimited",
    "ResponseTooLarge",
    "RetryBudget",
    "RetryPolicy",
    "ServerError",
    "ServiceClient",
    "ServiceConnectTimeout",
    "ServiceConnectionError",
    "ServiceError",
    "ServiceHTTPError",
    "ServiceTimeout",
    "ServiceToken",
    "TokenError",
    "TooManyRedirects",
    "Unauthorized",
    "UnsafeURL",
    "forward_user",
]
