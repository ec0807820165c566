"""What must never be written down, in a log line or an error's text.

A key is secret by its name, whatever its spelling: ``password``, ``X-Api-Key``, ``accessToken``, ``DB_PASSWORD``. In a
text, what follows such a key is, and what looks like a secret by itself: a JWT, a bearer token, a URL's userinfo.
"""

import base64
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

# Words that begin like a secret's, and what counts secrets or tells when they change. Matched in the words of a key,
# lower-cased and joined by "_".
_HARMLESS_WORD = re.compile(
    r"(?<![a-z0-9])(?:tokeni[sz](?:e|er|ers|ed|ing|ation)|secretar(?:y|ies|ial|iat)|passwordless)(?![a-z0-9])"
)
_COUNT = re.compile(
    r"(?<![a-z0-9])(?:(?:max|min|num|n|prompt|completion|total|input|output|cached|reasoning)_(?:[a-z]+_)?tokens"
    r"|tokens_(?:used|total|left|remaining)"
    r"|[a-z0-9]+_(?:count|counts|counter|limit|length|size|changed|changed_at|expires_in|expires_at))\Z"
)
_NEXT_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")

# What a text must hold for anything in it to be masked: to look for this takes a fraction of looking for all below.
_HINT = re.compile(
    r"eyJ|://|bearer|basic|passw|passphrase|secret|token|key|auth|credential|session|cookie|jwt|signature|pwd|dsn",
    re.IGNORECASE,
)
_SCHEME_OF_URL = r"\b([A-Za-z][A-Za-z0-9+.-]{0,20}://)"
_SCHEME_OF_DSN = r"\b((?!https?:)[A-Za-z][A-Za-z0-9+.-]{0,20}://)"
# user:password up to the last @, whatever is between; what follows the colon may be a port, too.
_LOOSE_USERINFO = r"""[^\s/?#@:"'\[]*:(?!\d*+(?:[\s/?#"',;)]|\Z))(?:(?:(?!://)[^\s"'<>@])*+@)+"""
# RFC 9110 §11.6.2: a scheme and credentials, or a word of prose.
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+([A-Za-z0-9._~+/=-]{4,})", re.IGNORECASE)
_DIGIT = re.compile(r"[0-9]")
# Capitals within a long word, of which tokens are made.
_MIXED = re.compile(r"[a-z][A-Z][A-Za-z._~+/=-]{14}")
_IN_TEXT = [
    # RFC 7519: three parts in base64url, the first of which is a JSON object.
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    # RFC 7468 §10, RFC 9580: up to its end; of one that was cut, what is base64. Nothing but base64 goes past a further
    # "-----", so that no text is read once for each BEGIN.
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[^-]*+(?:-(?!----)[^-]*+)*+-----END [A-Z0-9 ]{0,60}-----"
            r"|(?:\s|\\[nrt])*+(?:[A-Za-z0-9-]{1,20}:(?:(?!-----)[^\r\n\\])*+(?:\s|\\[nrt])++)*+"
            r"[A-Za-z0-9+/=]{16}[A-Za-z0-9+/=\s\\]*+)"
        ),
        MASK,
    ),
    # A DSN, whose password may have an @ and a slash that are not quoted, as they must be.
    (re.compile(rf"{_SCHEME_OF_DSN}{_LOOSE_USERINFO}"), rf"\1{MASK}@"),
    # RFC 3986 §3.2.1: what stands before the last @ of the authority.
    (re.compile(rf"{_SCHEME_OF_URL}[^\s/?#]*@"), rf"\1{MASK}@"),
    (re.compile(rf"{_SCHEME_OF_URL}{_LOOSE_USERINFO}"), rf"\1{MASK}@"),
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
# A name to which something is assigned: name=, name :=, name =>, name:, "name":, \"name\": as it stands in JSON in
# JSON, and the first of two in a pair, ("name", …).
_ASSIGNED = re.compile(r"""(?<![\w.-])([\w.-]++)(?:(\\*["'])?\s*(=[=>]?|:=?)\s*|\\*["'](,)\s*)""")
# What stands before the name in a pair. A list of two is none unless it is in another: ["password", "email"].
_PAIR = re.compile(r"""(?:\(|[\[,]\s?\[)\s?[A-Za-z]{0,2}\\*["']\Z""")
_PAIR_ENDS = re.compile(r"""\s*[)\]]|\Z|\r|\n""")
# A further one where its value would stand, as in `token="api_key": "…"`.
_ASSIGNED_NEXT = re.compile(r"""(?:[A-Za-z]{0,2}\\*["'])?([\w.-]++)(?:\\*["'])?[^\S\r\n]*(?:=[=>]?|:=?)[^\S\r\n]*""")
_SCHEME = re.compile(r"(?:(?:Bearer|Basic)\s+)?", re.IGNORECASE)
_VALUE = re.compile(
    # A literal of Python: b'…'; or a call: SecretStr('…').
    r"""(?:[bBrRuUfF]{1,2}(?=\\{0,16}["'])|[A-Za-z_][\w.]{0,60}(?=\())?"""
    # A flat list, object or tuple of one line; of another, the rest of the line.
    r"""(?:[\[{](?:"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'|[^\[\]{}"'\r\n])*+[\]}]"""
    r"""|\((?:"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'|[^()"'\r\n])*+\)|[\[{(][^\r\n]*"""
    # Quoted in a text that is quoted itself: up to a quote with as many backslashes.
    r"""|(\\{1,16})(["'])(?:(?!(?<!\\)\1\2)[^\r\n])*+(?:\1\2)?"""
    # Quoted; where the quote does not end, the rest of the line.
    r"""|"{3}(?:[^"\\]|\\.|"(?!""))*+(?:"{3})?|'{3}(?:[^'\\]|\\.|'(?!''))*+(?:'{3})?"""
    r"""|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|["'][^\r\n]*)"""
    # What stands at the end of it, without a space, was within a quote that began in another line.
    r"""(?:(?<=["'])\w[^\r\n]*+)?"""
    # A word; a quote within it is a part of it.
    r"""|[^\s&,;)\]}"']+(?:["']+(?=\w)[^\s&,;)\]}"']+)*+"""
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
    if any(plain == _plain(name) for name in more):
        return True
    if _SECRET_KEY.search(plain) is None:
        return False
    words = _NEXT_WORD.sub("_", key).lower()
    return _COUNT.search(words) is None and _SECRET_KEY.search(_plain(_HARMLESS_WORD.sub("", words))) is not None


def _plain(key: str) -> str:
    return _SEPARATORS.sub("", key.lower())


def mask_text(text: str) -> str:
    """Return ``text`` with what is, or may be, a secret in it replaced by ``***``.

    That is:

    - a JWT, and a private key in PEM,
    - credentials after ``Bearer`` or ``Basic``: with a digit, long with capitals within, or ``user:password``
      in base64,
    - the userinfo of a URL or DSN,
    - the value of a header that authenticates,
    - what is assigned to a name that `is_secret_key` knows: ``password=…``, ``"api_key": "…"``, also with its quotes
      escaped, and as a pair, ``("api_key", "…")``. After a colon without quotes it is masked if the name ends in
      ``password`` or has an underscore or a hyphen (``API_TOKEN: …``, ``X-Auth-Token: …``): prose has ``token:`` too.

    A value is a literal (``"…"``, ``b'…'``), a call (``SecretStr('…')``), a flat list, object or tuple, or one word. If
    a quote does not end, or a list holds another, it is the rest of the line.
    """
    # Nearly all texts have none of these, which are found many times faster than the hint.
    if text.isalnum():
        return text
    if (
        ":" not in text
        and "=" not in text
        and "eyJ" not in text
        and "-----" not in text
        and ("," not in text or ("'," not in text and '",' not in text))
    ):
        lowered = text.lower()
        if "bearer" not in lowered and "basic" not in lowered:
            return text
    if _HINT.search(text) is None:
        return text
    text = _CREDENTIALS.sub(_without_credentials, text)
    for pattern, mask in _IN_TEXT:
        text = pattern.sub(mask, text)
    return _without_assigned(text)


def _without_assigned(text: str) -> str:
    kept: list[str] = []
    begin = at = 0
    while (found := _ASSIGNED.search(text, at)) is not None:
        at = found.end()
        name, quote, sign, comma = found.groups()
        before = text[max(found.start() - 32, 0) : found.start()] if comma else ""
        if not (_takes_a_secret(name, quote, sign) and (not comma or _PAIR.search(before))):
            continue
        end = at
        at = _SCHEME.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        is_long = False
        while (further := _ASSIGNED_NEXT.match(text, at)) is not None and is_secret_key(further[1]):
            at = _SCHEME.match(text, further.end()).end()  # type: ignore[union-attr]  # likewise
            is_long = True
        value = _VALUE.match(text, at)
        if comma and not (value and _PAIR_ENDS.match(text, value.end())):  # three are no pair
            at = end
            continue
        if value is not None:
            at = value.end()
        elif not is_long:  # nothing is assigned; what looked like a further name may be the secret
            continue
        kept += text[begin:end], MASK
        begin = at
    return "".join([*kept, text[begin:]])


def _without_credentials(found: re.Match[str]) -> str:
    scheme, text = found.groups()
    is_secret = (
        (len(text) >= 6 and _DIGIT.search(text) is not None)
        or _MIXED.search(text) is not None
        or (scheme.lower() == "basic" and _is_userinfo(text))
    )
    return f"{scheme} {MASK}" if is_secret else found[0]


def _is_userinfo(text: str) -> bool:
    """Say whether ``text`` is ``user:password`` in base64, RFC 7617 §2."""
    try:
        return ":" in base64.b64decode(text, validate=True).decode()
    except ValueError:
        return False


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
        _ = parts.port  # raises where that is a password with a slash in it
    except ValueError:
        return MASK
    query = re.sub(r"=[^&]*", f"={MASK}", parts.query)
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
