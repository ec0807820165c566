"""What must never be written down, in a log line or an error's text.

A key is secret by its name, whatever its spelling: ``password``, ``X-Api-Key``, ``accessToken``, ``DB_PASSWORD``. In a
text, what follows such a key is, and what looks like a secret by itself: a JWT, a bearer token, a URL's userinfo.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

MASK = "***"

# Matched in a key with its separators taken out and lower-cased.
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|secret|token|apikey|authorization|credential|privatekey|signingkey|sessionid|cookie"
    r"|jwt|signature|pwd|^dsn$|^auth$"
)

# What a text must hold for anything in it to be masked: to look for this takes a fraction of looking for all below.
_HINT = re.compile(
    r"eyJ|://|bearer|basic|passw|passphrase|secret|token|key|auth|credential|session|cookie|jwt|signature|pwd|dsn",
    re.IGNORECASE,
)
_IN_TEXT = [
    # RFC 7519: three parts in base64url, the first of which is a JSON object.
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    # RFC 3986 §3.2.1, of a DSN as well: what stands before the last @ of the authority.
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/?#]*@"), rf"\1{MASK}@"),
    # RFC 9110 §11.6.2: a scheme and credentials; a word of prose has no digit.
    (re.compile(r"\b(Bearer|Basic)\s+(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # A header, whose value is quoted, or the rest of the line up to the quote in which it all stands.
    (
        re.compile(
            r"""\b((?:Proxy-)?Authorization|(?:Set-)?Cookie|X-Api-Key)([^\S\r\n]*:[^\S\r\n]*+)"""
            r"""(?:\\*"[^"\r\n]*"?|\\*'[^'\r\n]*'?|(?:[^\r\n"']|(?<==)"[^"\r\n]*"?)+)""",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
]
# A name to which something is assigned: name=, name =>, name:, "name":, and \"name\": as it stands in JSON in JSON.
_ASSIGNED = re.compile(r"""(?<![\w.-])([\w.-]++)(\\*["'])?\s*(=[=>]?|:)\s*""")
# A further one where its value would stand, as in `token="api_key": "…"`.
_ASSIGNED_NEXT = re.compile(r"""(?:\\*["'])?([\w.-]++)(?:\\*["'])?[^\S\r\n]*(?:=[=>]?|:)[^\S\r\n]*""")
_SCHEME = re.compile(r"(?:(?:Bearer|Basic)\s+)?", re.IGNORECASE)
_VALUE = re.compile(
    # A flat list or object of one line; of another, the rest of the line.
    r"""[\[{](?:"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'|[^\[\]{}"'\r\n])*+[\]}]|[\[{][^\r\n]*"""
    # Quoted in a text that is quoted itself: up to a quote with as many backslashes.
    r"""|(\\{1,16})(["'])(?:(?!(?<!\\)\1\2)[^\r\n])*+(?:\1\2)?"""
    # Quoted; where the quote does not end, the rest of the line.
    r"""|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|["'][^\r\n]*"""
    r"""|[^\s&,;)\]}"']+"""
)
_PASSWORD_AT_END = re.compile(r"(?:passw(?:or)?d|passphrase|pwd)\Z", re.IGNORECASE)
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

    That is a JWT; what follows ``Bearer`` or ``Basic`` and has a digit; the userinfo of a URL or DSN; the value of a
    header that authenticates; and what is assigned to a name that `is_secret_key` knows: ``password=…``,
    ``"api_key": "…"``, also with its quotes escaped. After a colon without quotes it is masked where the name ends in
    ``password`` or has an underscore or a hyphen (``API_TOKEN: …``, ``X-Auth-Token: …``): prose has ``token:`` too.

    A value is what is quoted, a flat list or object, or one word; where a quote does not end, or a list holds another,
    the rest of the line.
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
    return _without_assigned(text)


def _without_assigned(text: str) -> str:
    kept: list[str] = []
    begin = at = 0
    while (found := _ASSIGNED.search(text, at)) is not None:
        at = found.end()
        if not _takes_a_secret(*found.groups()):
            continue
        end = at
        at = _SCHEME.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        is_long = False
        while (further := _ASSIGNED_NEXT.match(text, at)) is not None and is_secret_key(further[1]):
            at = _SCHEME.match(text, further.end()).end()  # type: ignore[union-attr]  # likewise
            is_long = True
        if (value := _VALUE.match(text, at)) is not None:
            at = value.end()
        elif not is_long:  # nothing is assigned; what looked like a further name may be the secret
            continue
        kept += text[begin:end], MASK
        begin = at
    return "".join([*kept, text[begin:]])


def _takes_a_secret(name: str, quote: str | None, sign: str) -> bool:
    if not is_secret_key(name):
        return False
    if quote or sign != ":":
        return True
    return _PASSWORD_AT_END.search(name) is not None or ("." not in name and ("_" in name or "-" in name))


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
