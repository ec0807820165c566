"""What must never be written down, in a log line or an error's text.

A key is secret by its name, whatever its spelling: ``password``, ``X-Api-Key``, ``accessToken``, ``DB_PASSWORD``. In a
text, what follows such a key is, and what looks like a secret by itself: a JWT, a bearer token, a URL's userinfo.
"""

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

MASK = "***"

# Matched in a key with its separators taken out and lower-cased.
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|secret|token|apikey|authorization|credential|privatekey|signingkey|sessionid|cookie"
    r"|jwt|signature|^pwd$|^dsn$|^auth$"
)

# What a text must hold for anything in it to be masked: to look for this takes a fraction of looking for all below.
_HINT = re.compile(
    r"eyJ|://|bearer|basic|passw|passphrase|secret|token|key|authorization|credential|session|cookie|jwt|signature|pwd",
    re.IGNORECASE,
)
_NAMES = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|authorization|credentials?|private[_-]?key|signing[_-]?key"
    r"|session[_-]?id|cookie|jwt|signature"
)
_QUOTED = r"""(?:\"(?:[^"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"""
# What is quoted may be a key itself, as in `token= "api_key": "…"`.
_QUOTED_OR_BARE = rf"""(?:{_QUOTED}(?:\s*:\s*{_QUOTED})*|[^\s&,;)\]}}"']+)"""
# Names are bounded, so that no text takes longer than its length deserves.
_IN_TEXT: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    # RFC 7519: three parts in base64url, the first of which is a JSON object.
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    # RFC 3986 §3.2.1, of a DSN as well: what stands before the last @ of the authority.
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/?#]*@"), rf"\1{MASK}@"),
    # RFC 9110 §11.6.2: a scheme and credentials; a word of prose has no digit.
    (re.compile(r"\b(Bearer|Basic)\s+(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # A header, whose value is the rest of the line.
    (
        re.compile(
            r"""\b((?:Proxy-)?Authorization|(?:Set-)?Cookie|X-Api-Key)(\s*:\s*)(?!["'])[^\r\n"']+""", re.IGNORECASE
        ),
        rf"\1\2{MASK}",
    ),
    # password=…, "api_key": "…", DB_PASSWORD: …; a colon without quotes after what is nothing but a password only.
    (
        re.compile(
            rf"""((?:{_NAMES})[\w.-]{{0,40}}?(?:\s*=\s*|["']\s*:\s*))(?:Bearer\s+|Basic\s+)?{_QUOTED_OR_BARE}"""
            rf"""|((?:passw(?:or)?d|passphrase|pwd)\s*:\s*)(?:Bearer\s+)?{_QUOTED_OR_BARE}""",
            re.IGNORECASE,
        ),
        lambda found: f"{found[1] or found[2]}{MASK}",
    ),
]
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def is_secret_key(key: str, more: Collection[str] = ()) -> bool:
    """Say whether the value under ``key`` must be masked.

    Args:
        key: The name of a log field, header, query parameter or setting, in any spelling.
        more: Names that the service adds, compared whole in the same way (``"ssn"`` is also ``SSN``).
    """
    # What is long is not kept: keys of data come from anywhere.
    return (_is_secret if len(key) <= 128 else _is_secret.__wrapped__)(key, tuple(more))


@lru_cache(maxsize=4096)
def _is_secret(key: str, more: tuple[str, ...]) -> bool:
    plain = _plain(key)
    return _SECRET_KEY.search(plain) is not None or any(plain == _plain(name) for name in more)


def _plain(key: str) -> str:
    return _SEPARATORS.sub("", key.lower())


def mask_text(text: str) -> str:
    """Return ``text`` with what is, or may be, a secret in it replaced by ``***``.

    That is a JWT, what follows ``Bearer`` or ``Basic``, the userinfo of a URL or DSN, the value of a header that
    authenticates, and what is assigned to a name that `is_secret_key` knows: ``password=…``, ``"api_key": "…"``.
    """
    # Nearly all texts have none of these, which are found many times faster than the hint.
    if text.isalnum():
        return text
    if ":" not in text and "=" not in text and "eyJ" not in text:
        lowered = text.lower()
        if "bearer" not in lowered and "basic" not in lowered:
            return text
    if _HINT.search(text) is None:
        return text
    for pattern, mask in _IN_TEXT:
        text = pattern.sub(mask, text)
    return text


def redact_url(url: str) -> str:
    """Return ``url`` without userinfo and fragment, and with the values of its query masked.

    A query is masked whole: a signed link's parameters are secrets under names that nobody can list.
    What is no URL at all comes back as ``***``.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    query = re.sub(r"=[^&]*", f"={MASK}", parts.query)
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
