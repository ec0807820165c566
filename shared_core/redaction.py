"""What must never be written down, in a log line or an error's text.

A key is secret by its name, whatever its spelling: ``password``, ``X-Api-Key``, ``accessToken``, ``DB_PASSWORD``.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit, urlunsplit

MASK = "***"

# Matched in a key with its separators taken out and lower-cased.
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|secret|token|apikey|authorization|credential|privatekey|signingkey|sessionid|cookie"
    r"|jwt|signature|^pwd$|^dsn$|^auth$"
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def _plain(key: str) -> str:
    return _SEPARATORS.sub("", key.lower())


def is_secret_key(key: str, more: Collection[str] = ()) -> bool:
    """Say whether the value under ``key`` must be masked.

    Args:
        key: The name of a log field, header, query parameter or setting, in any spelling.
        more: Names that the service adds, compared whole in the same way (``"ssn"`` is also ``SSN``).
    """
    plain = _plain(key)
    return _SECRET_KEY.search(plain) is not None or plain in {_plain(name) for name in more}


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
