"""Settings that every service of a fleet has, read from the environment.

    globals().update(get_service_settings("ticket", apps=["apps.tickets"], calls=["user", "file"]))

or its parts, each by itself: `secret`, `allowed_hosts`, `service_urls`, `accepted_tokens`, `cache_config`,
`behind_gateway`.
"""

import re
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from shared_core.databases import get_database_config
from shared_core.environment import environment_name, names_beginning_with, read
from shared_core.logging_config import get_logging_config
from shared_core.origins import SETTING_SUFFIX, fault_of_base, setting_of

SHORTEST_KEY = 32  # characters, of a key that signs
SHORTEST_TOKEN = 16  # characters
EACH_SERVICE = "*"  # in SERVICE_ACCEPTED_TOKENS: those that a folder has files for
_FEWEST_UNIQUE = 5  # different characters, as Django's security.W009
_FEWEST_OWN = 8  # characters that are left without what everybody knows
_DJANGOS = "django-insecure-"  # how startproject's keys begin
_KNOWN = re.compile(
    r"change|replace|please|this|me|my|your|here|default|example|sample|dummy|insecure|unsafe|secret|token"
    r"|passw(?:or)?d|admin|root|user|service|auth|key|test|dev(?:elopment)?|prod(?:uction)?|local|foo|bar|qwerty|abc"
    r"|0?123456789|12345?|gateway|ticket|communication|notification|billing|payment|order|mail(?:er)?|file|worker|cron"
    r"|celery|redis|postgres|django|welcome|letmein|iloveyou|monkey|dragon"
    r"|[^a-z0-9]"
)
# What this package publishes, for developers and tests: letters and digits of its templates, compose files and pages.
_PUBLISHED = re.compile(
    "onthismachineonly|foradevelopersmachineandcionly|fordevelopmentandtestsonly|32bytesormore|ofthisjobalone"
    "|ofthesuite|ofthetests|morethan32bytes|thatnobodyguesses"
)
# The same over and over.
_REPEATED = re.compile(r"(.)\1{2,}|(.{2,16}?)\2+", re.DOTALL)
_TYPED = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789012",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "deadbeefdeadbeef",
)
_SHORTEST_ROW = 5  # characters
# Each part of a row that is so long, in both directions.
_STEPS = frozenset(
    row[at : at + _SHORTEST_ROW]
    for text in _TYPED
    for row in (text, text[::-1])
    for at in range(len(row) - _SHORTEST_ROW + 1)
)
_UNSAFE = frozenset({"development", "test"})

SERVICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
# RFC 6750 §2.1: what a header can hold as a token.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
# What Django's `validate_host` compares with: a name, ".name" with all below it, an IPv6 address in brackets, or "*".
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]", re.ASCII)


def get_service_settings(
    name: str, *, apps: Sequence[str] = (), calls: Collection[str] = (), middleware: Sequence[str] = ()
) -> dict[str, Any]:  # Any: Django's settings
    """Return the settings that services have in common; what a service has beside, or otherwise, it writes below.

    These are DEBUG, SECRET_KEY, ALLOWED_HOSTS, INSTALLED_APPS, MIDDLEWARE, ROOT_URLCONF, USE_TZ, TIME_ZONE, DATABASES,
    CACHES, TEST_RUNNER, LOGGING, SERVICE_ACCEPTED_TOKENS, and the security headers of `behind_gateway`; where other
    services are called, their ``…_SERVICE_URL`` and SERVICE_AUTH_TOKEN. DEBUG is on where ENVIRONMENT is
    ``development``.

    The service is closed: `ServiceAuthMiddleware` lets in who has a token of SERVICE_ACCEPTED_TOKENS, and the paths of
    SERVICE_AUTH_EXEMPT_PATHS are open. ``MIDDLEWARE.remove("shared_core.auth.ServiceAuthMiddleware")`` opens it.

    Args:
        name: The service's: ``ticket``. Its log lines bear it, and its keys in the cache begin with it.
        apps: Its INSTALLED_APPS; shared_core comes before them.
        calls: The names of the services that it calls.
        middleware: Its MIDDLEWARE, after the shared ones.

    Raises:
        ImproperlyConfigured: Something is missing in the environment, or wrong; the message names it.
        ValueError: The name is none, or a text was given for a list.
    """
    if not isinstance(name, str) or not SERVICE_NAME.fullmatch(name):
        raise ValueError(f'{name!r} is no name of a service: write get_service_settings("ticket", …)')
    for given in (apps, calls, middleware):
        if isinstance(given, str):
            raise ValueError(f'{given!r} must be a list: write ["{given}"]')  # noqa: TRY004  # a text is a sequence
    return {
        "DEBUG": environment_name() == "development",
        "SECRET_KEY": secret("SECRET_KEY", unsafe=f"unsafe key of {name}, for development and tests only"),
        "ALLOWED_HOSTS": allowed_hosts(),
        "INSTALLED_APPS": ["shared_core", *apps],
        "MIDDLEWARE": [
            "shared_core.middleware.RequestContextMiddleware",
            "django.middleware.security.SecurityMiddleware",
            "shared_core.auth.ServiceAuthMiddleware",
            *middleware,
        ],
        "ROOT_URLCONF": "core.urls",
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "DATABASES": get_database_config(),
        "CACHES": cache_config(name),
        "TEST_RUNNER": "shared_core.testing.PoolerTestRunner",
        "LOGGING": get_logging_config(name),
        "SERVICE_ACCEPTED_TOKENS": accepted_tokens(),
        **behind_gateway(),
        **(_of_calls(calls) if calls else {}),
    }


def _of_calls(services: Collection[str]) -> dict[str, str]:
    # In development and tests others may be stand-ins that ask for no token.
    token = secret("SERVICE_AUTH_TOKEN", unsafe="", shortest=SHORTEST_TOKEN)
    return {**service_urls(*services), **({"SERVICE_AUTH_TOKEN": token} if token else {})}


def secret(name: str, *, unsafe: str | None = None, shortest: int = SHORTEST_KEY) -> str:
    """Return the secret in the variable ``name``, or in the file that ``<name>_FILE`` names, as Docker's secrets are.

    Args:
        name: ``SECRET_KEY``, say.
        unsafe: What to use in development and tests where it is not set; nowhere else is there a default.
        shortest: Characters that it must have outside of development and tests.

    Raises:
        ImproperlyConfigured: It is missing, too short or easily guessed, the unsafe one, or its file cannot be read.
    """
    may_be_unsafe = environment_name() in _UNSAFE
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
    fault = "" if may_be_unsafe else "is known" if value == unsafe else fault_of_secret(value, shortest)
    if fault:
        raise ImproperlyConfigured(f"{name} is too weak for {environment_name()}: it {fault}. {make}")
    return value


def fault_of_secret(secret: str, shortest: int, *, words: bool = True, name: str = "") -> str:
    """Return what is weak about it, in words that hold nothing of it; empty for nothing.

    Args:
        secret: A text.
        shortest: Characters that it must have.
        name: Of the service that it belongs to, which everybody knows.
        words: Whether it is made of letters and digits, so that what is left without words and rows says something.
    """
    if secret.startswith(_DJANGOS):
        return "is one of startproject's"
    if _PUBLISHED.search(re.sub(r"[^a-z0-9]", "", secret.lower())):
        return "is published with shared_core"
    if len(secret) < shortest:
        return f"has fewer than {shortest} characters"
    if len(set(secret)) < _FEWEST_UNIQUE:
        return f"has fewer than {_FEWEST_UNIQUE} different characters"
    own = _without_rows(secret.lower().replace(name.lower(), "") if name else secret.lower())
    if words and len(_REPEATED.sub(r"\1\2", _KNOWN.sub("", own))) < _FEWEST_OWN:
        return "is made of words that everybody tries"
    return ""


def _without_rows(text: str) -> str:
    """Return ``text`` without what is typed by running along a row of the keyboard, the alphabet or the digits."""
    typed: set[int] = set()
    for at in range(len(text) - _SHORTEST_ROW + 1):
        if text[at : at + _SHORTEST_ROW] in _STEPS:
            typed.update(range(at, at + _SHORTEST_ROW))
    return "".join(character for at, character in enumerate(text) if at not in typed)


def allowed_hosts() -> list[str]:
    """Return ALLOWED_HOSTS, from the variable of that name: ``tickets.example.org,ticket``.

    In development and tests it may be unset: this machine.

    Raises:
        ImproperlyConfigured: It is not set, or one is no name of a host.
    """
    hosts = [host for entry in read("ALLOWED_HOSTS").split(",") if (host := entry.strip())]
    if not hosts and environment_name() in _UNSAFE:
        return ["localhost", "127.0.0.1", "[::1]"]
    if not hosts:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS is not set: write the names by which this service is asked, as tickets.example.org,ticket."
        )
    if wrong := [host for host in hosts if not _HOST.fullmatch(host)]:
        raise ImproperlyConfigured(
            f"ALLOWED_HOSTS: {', '.join(map(repr, wrong))} is no name of a host: without scheme, port and path."
        )
    return hosts


def cache_config(prefix: str) -> dict[str, dict[str, Any]]:
    """Return CACHES, from CACHE_URL: ``redis://cache:6379/0``, ``rediss://…``, ``unix:///run/redis.sock``.

    Services may share a Redis: each key begins with ``prefix``. Not set, the cache is Django's own default, in the
    memory of each process.

    Raises:
        ImproperlyConfigured: It is no such URL, or the package redis is not installed.
    """
    url = read("CACHE_URL")
    if not url:
        return {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": prefix}}
    try:
        parts = urlsplit(url)
        is_redis = bool(
            parts.hostname if parts.scheme in {"redis", "rediss"} else parts.scheme == "unix" and parts.path
        )
        _ = parts.port
    except ValueError:
        is_redis = False
    if not is_redis:
        # Without the value: it may hold a password.
        raise ImproperlyConfigured("CACHE_URL must be a redis://, rediss:// or unix:// URL, as redis://cache:6379/0.")
    if find_spec("redis") is None:
        raise ImproperlyConfigured("CACHE_URL needs the package redis: add redis to the service's requirements.")
    return {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": prefix,
        }
    }


def service_urls(*services: str) -> dict[str, str]:
    """Return ``{"USER_SERVICE_URL": "http://user:8000"}`` for the services that are called; without names, all set.

    Raises:
        ImproperlyConfigured: One is missing, or no base URL that clients take; the message names each.
    """
    names = [setting_of(service) for service in services]
    names = names or [
        name for name in names_beginning_with("") if name.endswith(SETTING_SUFFIX) and name != SETTING_SUFFIX
    ]
    values = {name: read(name) for name in names}
    if missing := [name for name, value in values.items() if not value]:
        raise ImproperlyConfigured(f"{', '.join(missing)} must be set, as http://user:8000.")
    # Without the values: they may hold a password.
    if wrong := [f"{name}: {fault}" for name, value in values.items() if (fault := fault_of_base(value))]:
        raise ImproperlyConfigured(f"{'; '.join(wrong)}. Write it as http://user:8000.")
    return values


def accepted_tokens() -> dict[str, list[str | Path]]:
    """Return SERVICE_ACCEPTED_TOKENS, from the variable of that name or from the files of a folder.

    ``SERVICE_ACCEPTED_TOKENS="ticket=token,ticket=older token,file=token"``, or
    ``SERVICE_ACCEPTED_TOKENS_DIR=/run/tokens`` with a file for each service, named after it, with a token a line. The
    folder is returned as ``{"*": [Path("/run/tokens")]}``, and is watched while the service runs. Nothing set: nobody
    is accepted.

    Raises:
        ImproperlyConfigured: It is not of that form, a token is short or two services' own, or weak outside of
            development and tests; both are set, or the folder cannot be read.
    """
    text, folder = read("SERVICE_ACCEPTED_TOKENS"), read("SERVICE_ACCEPTED_TOKENS_DIR")
    if text and folder:
        raise ImproperlyConfigured("SERVICE_ACCEPTED_TOKENS and SERVICE_ACCEPTED_TOKENS_DIR are both set: keep one.")
    if folder:
        try:
            next(Path(folder).iterdir(), None)
        except OSError as error:
            raise ImproperlyConfigured(f"SERVICE_ACCEPTED_TOKENS_DIR={folder}: {error.strerror}.") from None
        return {EACH_SERVICE: [Path(folder)]}
    found: dict[str, list[str | Path]] = {}
    entries = filter(None, map(str.strip, text.split(",")))
    for number, entry in enumerate(entries, start=1):
        service, equals, token = (part.strip() for part in entry.partition("="))
        if not (service and equals and token) or service == EACH_SERVICE:
            raise ImproperlyConfigured("SERVICE_ACCEPTED_TOKENS: write service=token, separated by commas.")
        fault = _fault_of_token(token, service)
        if any(token in tokens for name, tokens in found.items() if name != service):
            fault = "is another service's too"
        if fault:
            # Without the token.
            raise ImproperlyConfigured(
                f"SERVICE_ACCEPTED_TOKENS: a token of {entry_name(service, number)} {fault}. "
                'Make one: python -c "import secrets; print(secrets.token_urlsafe(32))".'
            )
        found.setdefault(service, []).append(token)
    return found


def entry_name(service: object, number: int) -> str:
    """Return how messages call an entry of SERVICE_ACCEPTED_TOKENS: ``ticket``, or ``entry 2``.

    Written the wrong way round, ``token=service``, the name is the token: what may be one is not shown.
    """
    is_name = isinstance(service, str) and SERVICE_NAME.fullmatch(service)
    may_be_token = is_name and len(str(service)) >= SHORTEST_TOKEN and re.search("[0-9]", str(service))
    return str(service) if is_name and not may_be_token else f"entry {number}"


def form_of_token(token: str) -> str:
    """Return why no caller can send ``token``, in words that hold nothing of it; empty if callers can."""
    if len(token) < SHORTEST_TOKEN:
        return f"has fewer than {SHORTEST_TOKEN} characters"
    return "" if _TOKEN.fullmatch(token) else "holds a space or another character that no token has (RFC 6750 §2.1)"


def _fault_of_token(token: str, service: str) -> str:
    if environment_name() in _UNSAFE:
        return form_of_token(token)
    return form_of_token(token) or fault_of_secret(token, SHORTEST_TOKEN, name=service)


def behind_gateway() -> dict[str, object]:
    """Return Django's security settings for a service behind a gateway that ends TLS; none in development and tests.

    The gateway says by ``X-Forwarded-Proto`` how it was asked, and must not pass on a client's own. Cookies are sent by
    HTTPS only; browsers are told to stay with it for a year. The rest are Django's defaults. See "Security in Django".
    """
    if environment_name() in _UNSAFE:
        return {}
    return {
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
    }
