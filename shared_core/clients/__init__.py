"""Calls to other services: a client, when it tries again, where its token comes from, and what can go wrong."""

from shared_core.clients.client import HTTPClient, ServiceClient
from shared_core.clients.exceptions import (
    Attempt,
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
from shared_core.clients.retry import RetryPolicy
from shared_core.clients.tokens import ClientCredentials

__all__ = [
    "Attempt",
    "ClientCredentials",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "HTTPClient",
    "InvalidResponse",
    "NotFound",
    "RateLimited",
    "ResponseTooLarge",
    "RetryPolicy",
    "ServerError",
    "ServiceClient",
    "ServiceConnectTimeout",
    "ServiceConnectionError",
    "ServiceError",
    "ServiceHTTPError",
    "ServiceTimeout",
    "TokenError",
    "TooManyRedirects",
    "Unauthorized",
    "UnsafeURL",
]
