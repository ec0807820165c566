"""Which redirects are followed, and what the next origin may see.

method      301, 302, 303        307, 308              other origin
GET, HEAD   followed             followed              followed, with `_HEADERS_FOR_OTHERS` only
others      returned as it is    followed, with body   returned as it is
"""

from urllib.parse import urljoin

import requests
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from shared_core.origins import InvalidURLError, check_text, origin_of

MAX_REDIRECTS = 10

# Neither a token nor any header of the caller's own, whatever its name; nor a body, hooks or a certificate.
_HEADERS_FOR_OTHERS = ("Accept", "User-Agent", "X-Request-ID", "traceparent")


def next_request(
    request: requests.PreparedRequest, response: requests.Response, *, is_replayable: bool
) -> requests.PreparedRequest | None:
    """Return the request that ``response`` redirects ``request`` to, or None if the response is not followed.

    Args:
        request: What was sent; it stays as it is.
        response: What came back.
        is_replayable: Whether the body of ``request`` can be sent again.

    Raises:
        InvalidURLError: The redirect leads to a URL that clients do not call.
    """
    if not response.is_redirect:
        return None
    reading = request.method in {"GET", "HEAD"}
    keeps_body = response.status_code in {307, 308} or (reading and response.status_code != 303)
    if not (reading or keeps_body) or (keeps_body and not is_replayable):
        return None
    here = str(request.url)
    target = _target(here, response.headers["Location"])
    same_origin = origin_of(target) == origin_of(here)
    if not (reading or same_origin):
        return None
    following = request.copy()
    try:
        following.prepare_url(target, None)
    except requests.exceptions.InvalidURL:
        raise InvalidURLError("the redirect's URL cannot be read", target) from None
    origin_of(str(following.url))
    if not same_origin:
        kept = {name: request.headers[name] for name in _HEADERS_FOR_OTHERS if name in request.headers}
        following.headers = CaseInsensitiveDict(kept)
        following.hooks = default_hooks()
    if not (same_origin and keeps_body):
        following.body = None
        for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
            following.headers.pop(name, None)
    return following


def _target(here: str, location: str) -> str:
    """Return the URL that a Location header of a response to ``here`` means, not yet checked."""
    try:
        # Header bytes arrive decoded as latin-1, and are UTF-8 where they are not ASCII.
        location = location.encode("latin-1").decode("utf-8", "replace")
        target = urljoin(here, location)
    except ValueError:  # a bracket without its other half, for example
        raise InvalidURLError("the redirect's URL cannot be read", location) from None
    check_text(location)
    return target
