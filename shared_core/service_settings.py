"""Settings that every service of a fleet has, read from the environment: whom it calls, who may call it, its keys.

SECRET_KEY = secret("SECRET_KEY", unsafe="for development only")
globals().update(service_urls("user", "file"))      # USER_SERVICE_URL, FILE_SERVICE_URL
SERVICE_ACCEPTED_TOKENS = accepted_tokens()
globals().update(behind_gateway())
"""

from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from shared_core.environment import environment_name, names_beginning_with, read

_SHORTEST = 32  # characters, of a key that signs
_SUFFIX = "_SERVICE_URL"


def secret(name: str, *, unsafe: str | None = None, shortest: int = _SHORTEST) -> str:
    """Return the secret in the variable ``name``, or in the file that ``<name>_FILE`` names, as Docker's secrets are.

    Args:
        name: ``SECRET_KEY``, say.
        unsafe: What to use in development and tests where it is not set; nowhere else is there a default.
        shortest: Characters that it must have outside of development and tests.

    Raises:
        ImproperlyConfigured: It is missing, too short, the unsafe one, or its file cannot be read.
    """
    may_be_unsafe = environment_name() in {"development", "test"}
    value, file = read(name), read(f"{name}_FILE")
    if value and file:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one.")
    if file:
        try:
            value = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE={file} cannot be read: {type(error).__name__}.") from None
    if not value and may_be_unsafe and unsafe is not None:
        return unsafe
    make = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(50))".'
    if not value:
        raise ImproperlyConfigured(f"{name} is not set, nor {name}_FILE. {make}")
    if not may_be_unsafe and (len(value) < shortest or value == unsafe):
        raise ImproperlyConfigured(f"{name} is too weak for {environment_name()}: it is short, or known. {make}")
    return value


def service_urls(*services: str) -> dict[str, str]:
    """Return ``{"USER_SERVICE_URL": "http://user:8000"}`` for the services that are called; without names, all set.

    Raises:
        ImproperlyConfigured: One is missing, or no http(s) URL; the message names each.
    """
    names = [f"{service.upper().replace('-', '_')}{_SUFFIX}" for service in services]
    names = names or [name for name in names_beginning_with("") if name.endswith(_SUFFIX) and name != _SUFFIX]
    values = {name: read(name) for name in names}
    if missing := [name for name, value in values.items() if not value]:
        raise ImproperlyConfigured(f"{', '.join(missing)} must be set, as http://user:8000.")
    if wrong := [name for name, value in values.items() if not _is_base(value)]:
        # Without the value: it may hold a password.
        raise ImproperlyConfigured(f"{', '.join(wrong)} must be an http:// or https:// URL, as http://user:8000.")
    return values


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)


def accepted_tokens() -> dict[str, list[str | Path]]:
    """Return SERVICE_ACCEPTED_TOKENS, from the variable of that name or from the files of a folder.

    ``SERVICE_ACCEPTED_TOKENS="ticket=token,ticket=older token,file=token"``, or
    ``SERVICE_ACCEPTED_TOKENS_DIR=/run/tokens`` with a file for each service, named after it, with a token a line.
    Nothing set: nobody is accepted.

    Raises:
        ImproperlyConfigured: It is not of that form, both are set, or the folder cannot be read.
    """
    text, folder = read("SERVICE_ACCEPTED_TOKENS"), read("SERVICE_ACCEPTED_TOKENS_DIR")
    if text and folder:
        raise ImproperlyConfigured("SERVICE_ACCEPTED_TOKENS and SERVICE_ACCEPTED_TOKENS_DIR are both set: keep one.")
    found: dict[str, list[str | Path]] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        service, equals, token = (part.strip() for part in entry.partition("="))
        if not (service and equals and token):
            raise ImproperlyConfigured("SERVICE_ACCEPTED_TOKENS: write service=token, separated by commas.")
        found.setdefault(service, []).append(token)
    if folder:
        try:
            files = sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
        except OSError as error:
            raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS_DIR={folder}: {error.strerror}.") from None
        found = {path.name: [path] for path in files}
    return found


def behind_gateway() -> dict[str, object]:
    """Return Django's security settings for a service behind a gateway that ends TLS; none in development and tests.

    The gateway says by ``X-Forwarded-Proto`` how it was asked, and must not pass on a client's own. Cookies are sent by
    HTTPS only; browsers are told to stay with it for a year. The rest are Django's defaults. See "Security in Django".
    """
    if environment_name() in {"development", "test"}:
        return {}
    return {
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
    }
