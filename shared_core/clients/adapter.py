"""The connections of a client, and which of them a request uses.

There are at most ``pool_maxsize`` to each origin and set of TLS options, kept alive between calls. A forked child does
not use its parent's: two processes that write to one socket would read each other's responses.
"""

import contextlib
import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_encoding_from_headers, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from shared_core.clients import wire
from shared_core.clients.arguments import proxy_url
from shared_core.clients.limits import Limit
from shared_core.clients.response import LazyResponse
from shared_core.origins import origin_of
from shared_core.timing import reset_after_fork

# Origins, each with its TLS options, whose connections are kept at once.
_MAX_POOLS = 64

# What requests calls a client's certificate: a file, or a file and that of its key.
type Certificate = str | tuple[str, str] | None


class TLSFilesError(OSError):
    """A file of certificates is not there, or holds none."""


class PooledAdapter(HTTPAdapter):
    """Sends requests over connections that it keeps; safe to share between threads, and across fork."""

    def __init__(self, pool_maxsize: int) -> None:
        self._pool_maxsize = pool_maxsize
        super().__init__(pool_connections=_MAX_POOLS, pool_maxsize=pool_maxsize, pool_block=True, max_retries=0)
        self.reset_after_fork()
        reset_after_fork(self)

    def reset_after_fork(self) -> None:
        """Start anew, without connections. The slots of the old pools, which are closed now, were reset before."""
        self._lock = threading.Lock()
        self._pools: dict[tuple[object, ...], urllib3.HTTPConnectionPool] = {}
        self._contexts: dict[tuple[bool | str, Certificate], ssl.SSLContext] = {}
        self.proxy_manager: dict[str, Any] = {}
        self.init_poolmanager(_MAX_POOLS, self._pool_maxsize, block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # Any: requests' own signature
        """Make the manager, with pools of connections that end in time."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = wire.POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # Any: requests' own signature
        """Make or find a proxy's manager, with such pools."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = wire.POOLS
        return manager

    def close(self) -> None:
        """Close what is kept alive; what is in use is closed after that."""
        with self._lock:
            self._pools.clear()
        super().close()

    def send(  # type: ignore[override]  # requests has a pair of seconds where this has a limit
        self,
        request: requests.PreparedRequest,
        *,
        timeout: Limit,
        stream: bool = True,  # noqa: ARG002  # the body is always left to the caller
        verify: bool | str = True,
        cert: Certificate = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the response to ``request``, its body unread.

        Raises:
            shared_core.clients.wire.NotConnectedError: Nothing was sent.
            OSError, http.client.HTTPException, urllib3.exceptions.HTTPError: What stopped the exchange.
        """
        url = str(request.url)
        proxy = select_proxy(url, dict(proxies)) if proxies else None
        headers: Mapping[str, str] = request.headers
        if proxy is None:
            pool, target = self._pool(url, verify, cert), request.path_url
        else:
            manager = self.proxy_manager_for(proxy_url(proxy))
            pool, target = self._pool_of(manager, url, verify, cert), self.request_url(request, dict(proxies or {}))
            if not url.startswith("https:"):
                headers = CaseInsensitiveDict({**headers, **pool.proxy_headers})
        raw = wire.exchange(pool, str(request.method), target, body=request.body, headers=headers, limit=timeout)
        return self._response(request, raw)

    def _pool(self, url: str, verify: bool | str, cert: Certificate) -> urllib3.HTTPConnectionPool:
        # Scheme and authority, "https:" "" "host:port", as they are spelled: to parse them takes longer than to look.
        key = (*url.split("/", 3)[:3], verify, cert)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pool_of(self.poolmanager, url, verify, cert)
            with self._lock:
                if len(self._pools) >= _MAX_POOLS:
                    self._pools.clear()
                self._pools[key] = pool
        return pool

    def _pool_of(
        self, manager: urllib3.PoolManager, url: str, verify: bool | str, cert: Certificate
    ) -> urllib3.HTTPConnectionPool:
        origin = origin_of(url)
        options = self._tls_options(verify, cert) if origin.scheme == "https" else {}
        return manager.connection_from_host(origin.host, origin.port, origin.scheme, options)

    def _tls_options(self, verify: bool | str, cert: Certificate) -> dict[str, Any]:
        # One context for all connections: to read the certificates takes longer than to connect.
        with self._lock:
            if (verify, cert) not in self._contexts:
                self._contexts[verify, cert] = _tls_context(verify, cert)
            return {"ssl_context": self._contexts[verify, cert]}

    def _response(self, request: requests.PreparedRequest, raw: urllib3.HTTPResponse) -> requests.Response:
        """Return the response as requests' own adapter does, but for its cookies."""
        response = LazyResponse()
        response.status_code = raw.status
        response.headers = CaseInsensitiveDict(raw.headers.itermerged())
        with contextlib.suppress(AttributeError):  # requests before 2.33.1, where a charset has no value
            response.encoding = get_encoding_from_headers(response.headers)
        response.raw = raw
        response.reason = str(raw.reason)
        response.url = str(request.url)
        response.request = request
        response.connection = self
        return response


def trust_store(verify: bool | str) -> bool | str:
    """Return what to verify certificates against: where ``verify`` is just True, the environment may name a bundle."""
    if verify is not True:
        return verify
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True


def _tls_context(verify: bool | str, cert: Certificate) -> ssl.SSLContext:
    """Return how to do TLS, with ``verify`` and ``cert`` as requests takes them.

    Raises:
        TLSFilesError: There is no such file, or it holds no certificate.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)
    try:
        if verify:
            bundle = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
            folder = Path(bundle).is_dir()
            context.load_verify_locations(cafile=None if folder else bundle, capath=bundle if folder else None)
        if cert is not None:
            context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    except OSError as exc:  # ssl's own errors are, too
        # From None: the text of the original does not say which file.
        raise TLSFilesError(f"verify={verify!r}, cert={cert!r}: no file of certificates ({exc})") from None
    return context
