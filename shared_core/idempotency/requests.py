"""Identifies a request: its caller, its key, and a fingerprint of what was sent."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest
from django.http.request import RawPostDataException
from django.utils.crypto import salted_hmac

from shared_core.auth.callers import authorization_of_person
from shared_core.auth.guards import ServiceCaller

# draft-ietf-httpapi-idempotency-key-header: a text the client chooses. In quotes or not, it is taken as it stands.
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_LONGEST_CALLER, _LONGEST_PATH, _LONGEST_METHOD = 255, 1000, 32  # of the readable columns

# Names of headers and cookies by which people are known. What changes from one attempt to the next says nothing, nor
# does what guards against CSRF, nor what tells of the browser.
_WHO = re.compile(
    r"auth|token|jwt|session|credential|secret|passw|user|account|tenant|customer|subject|principal|person|member|cert"
    r"|e-?mail|identity|(?<![a-z])(?:api-?)?keys?(?![a-z])|apikey|(?<![a-z])(?:sid|access|dn|client[-_]?id)(?![a-z])",
    re.IGNORECASE,
)
_NOT_WHO = re.compile(
    r"csrf|xsrf|user-agent|^sec-|nonce|timestamp|signature|digest|(?<![a-z])(?:date|time|ts|expires|trace)(?![a-z])"
    r"|request[-_]?id|retry|attempt",
    re.IGNORECASE,
)
_OTHERS_HEADERS = frozenset({"authorization", "x-service-authorization", "idempotency-key", "cookie"})
# Of a form. Django itself reads 1,000 fields and 100 files (DATA_UPLOAD_MAX_NUMBER_FIELDS, …_FILES).
_MOST_PARTS = 10_000
_OF_STATISTICS = re.compile(r"_(?!_Host-|_Secure-)")
_HAD_AUTH = "_shared_core_had_auth"
# PostgreSQL stores no NUL, and UTF-8 has no half of a pair.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class BadKeyError(ValueError):
    """The Idempotency-Key is missing where it is needed, or is none."""


@dataclass(frozen=True)
class Identity:
    """Who asks for what: requests are the same where all of it is the same."""

    caller: str
    method: str
    path: str
    key: str

    @classmethod
    def of(cls, request: HttpRequest, key: str, caller: str) -> Self:
        """Return that of ``request``."""
        return cls(caller, request.method or "", request.path, key)

    @property
    def scope(self) -> str:
        """Its SHA-256, in hexadecimal digits."""
        # As JSON: no two identities have the same text.
        text = json.dumps([self.caller, self.method, self.path, self.key])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def columns(self) -> dict[str, str]:
        """What people read of it."""
        return {
            "caller": _storable(self.caller)[:_LONGEST_CALLER],
            "method": _storable(self.method)[:_LONGEST_METHOD],
            "path": _storable(self.path)[:_LONGEST_PATH],
            "key": self.key,
        }


def _storable(text: str) -> str:
    return _UNSTORABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def key_of(request: HttpRequest, *, required: bool) -> str | None:
    """Return the request's Idempotency-Key; None where it bears none, and needs none.

    Raises:
        BadKeyError: It is needed, or is not 1 to 255 visible characters of ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None and not required:
        return None
    if key is None or not _KEY.fullmatch(key):
        raise BadKeyError("An Idempotency-Key of 1 to 255 visible ASCII characters is needed.")
    return key


def caller_of(request: HttpRequest) -> str:
    """Return the caller: the service that `shared_core.auth` found, and the person that it calls for.

    The person is ``request.user`` by its primary key, and by its class where that is not AUTH_USER_MODEL. Where nobody
    is logged in, or the user has no primary key, a keyed digest of what the person sends stands for the person:
    Authorization, the session cookie, and headers and cookies whose names say who sends them (``X-Api-Key``,
    ``access_token``, ``X-User-Id``). ``request.auth`` of API frameworks is a part of it. The token of the service
    itself is not: it may be another at each attempt. Empty where nobody is known.

    Raises:
        ImproperlyConfigured: Somebody is logged in, and nothing tells who: the user has no primary key, for example.
    """
    service = str(getattr(request, "service", ""))
    user = getattr(request, "user", None)
    if user is not None and not user.is_authenticated:
        user = None
    is_person = user is not None and not isinstance(user, ServiceCaller)
    user_id = _pk_of(user)
    person = "" if user_id and is_person else _digest_of_person(request, user if is_person else None)
    if user_id and is_person and ((kind := _kind_of(user)) or user_id == service):
        return json.dumps([service, user_id, person, kind])
    # The texts of rows that are stored already, where they can be read in one way only: a JWT's `sub` may be any text.
    if not person and not {"/", "["} & set(service):
        return f"{service}/{user_id}" if user_id else service
    return json.dumps([service, user_id, person])


def _pk_of(somebody: object) -> str:
    """Return a primary key as a text; empty where it says nothing: None is the key of all who are not stored."""
    pk = getattr(somebody, "pk", None)
    return "" if pk is None else str(pk)


def _kind_of(somebody: Any) -> str:  # Any: whatever an application takes for a user
    """Return what a primary key is unique in, a model or a class; empty for the model of users."""
    kind = somebody.__class__  # of a SimpleLazyObject, what is in it
    if not issubclass(kind, Model):
        return f"{kind.__module__}.{kind.__qualname__}"
    model = kind._meta.concrete_model or kind
    is_usual = model._meta.label_lower == settings.AUTH_USER_MODEL.lower()
    return "" if is_usual else str(model._meta.label)


def _digest_of_person(request: HttpRequest, user: Any) -> str:  # Any: as above; None: nobody
    """Return a text that is the same for what a person sends again, and from which nothing can be guessed."""
    brought = [authorization_of_person(request), request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")]
    more = _other_credentials(request)
    if name := _name_of(user):
        more |= {"user": _kind_of(user), "name": name}
    # A framework that authenticates within the view sets it too late for a repeat, which the view does not see. It
    # counts where it is there in time, or where nothing else is.
    auth = getattr(request, "auth", None)
    had_auth = vars(request).setdefault(_HAD_AUTH, auth is not None)
    is_somebody = auth is not None and auth is not False and not isinstance(auth, ServiceCaller)
    if is_somebody and (had_auth or not (any(brought) or more)) and (text := _text_of(auth)):
        more["auth"] = text
    if not any(brought) and not more:
        if is_somebody or user is not None:
            raise ImproperlyConfigured(
                "@idempotent cannot tell who calls: neither request.user nor request.auth has a primary key or a name. "
                "Give caller=…"
            )
        return ""
    return salted_hmac(
        __name__, json.dumps([*brought, *([more] if more else [])], sort_keys=True), algorithm="sha256"
    ).hexdigest()


def _other_credentials(request: HttpRequest) -> dict[str, object]:
    """Return the headers and cookies, apart from Authorization and the session's, that say by their names who calls."""
    headers = {
        name.lower(): value
        for name, value in request.headers.items()
        if value and _says_who(name) and name.lower() not in _OTHERS_HEADERS
    }
    known = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}
    cookies = {
        name: value
        for name, value in request.COOKIES.items()
        # Those of statistics begin so, and change from one request to the next.
        if value and name not in known and not _OF_STATISTICS.match(name) and _says_who(name)
    }
    remote_user = request.META.get("REMOTE_USER")
    return {
        **({"headers": headers} if headers else {}),
        **({"cookies": cookies} if cookies else {}),
        **({"remote": remote_user} if remote_user else {}),
    }


def _says_who(name: str) -> bool:
    return bool(_WHO.search(name)) and not _NOT_WHO.search(name)


def _name_of(user: Any) -> str:  # Any: as above
    """Return what somebody is called who has no primary key."""
    if callable(get_username := getattr(user, "get_username", None)):
        return str(get_username() or "")
    return str(getattr(user, "username", "") or "")


def _text_of(auth: Any) -> str:  # Any: whatever a framework's authentication returned
    """Return who that is, as a text; empty where all look alike."""
    if auth is True:
        return ""
    if pk := _pk_of(auth):
        return json.dumps([_kind_of(auth), pk])
    if isinstance(auth, Mapping | list | tuple):
        return json.dumps(auth, default=str, sort_keys=True)
    # Python's own text of an object is its address, which is another each time.
    kind: Any = type(auth)  # Any: mypy takes the comparisons below for ones of a type with itself
    is_address = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    return "" if is_address else str(auth)


def has_unknown_length(request: HttpRequest) -> bool:
    """Say whether Django does not read the body: without Content-Length it takes it for empty under WSGI."""
    given = request.META.get
    return "wsgi.input" in request.META and bool(given("HTTP_TRANSFER_ENCODING")) and not given("CONTENT_LENGTH")


def fingerprint_of(request: HttpRequest) -> str:
    """Return the SHA-256 of what was sent: query, content type with its parameters, encoding, and body.

    Raises:
        ImproperlyConfigured: Something has read the body, and has not kept it.
    """
    request = getattr(request, "_request", request)  # of Django REST framework's own request
    content_type = request.content_type or ""
    parameters = dict(request.content_params or {})
    if parameters.get("charset", "").lower() == "utf-8":  # as without it
        del parameters["charset"]
    try:
        body = request.body
    except RawPostDataException:
        pieces = [json.dumps(_form_of(request)).encode()]
        parameters.pop("boundary", None)
    else:
        is_multipart = _is_multipart(content_type, parameters)
        pieces = _between_delimiters(body, parameters["boundary"]) if is_multipart else [body]
        if len(pieces) > 1:
            del parameters["boundary"]
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "")
    parts = [
        request.META.get("QUERY_STRING", ""),
        content_type,
        *([sorted(parameters.items())] if parameters else []),
        *([{"encoding": encoding}] if encoding else []),
        *(hashlib.sha256(piece).hexdigest() for piece in pieces),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _form_of(request: HttpRequest) -> list[object]:
    """Return the fields and files of a form that was parsed already, for example by CsrfViewMiddleware."""
    if request.content_type != "multipart/form-data" or not hasattr(request, "_files"):
        raise ImproperlyConfigured(
            "@idempotent needs the body of the request, which something has read as a stream before, for example a "
            "middleware that reads request.read(). Have it read request.body, or put it below @idempotent."
        )
    files = []
    for name, several in request.FILES.lists():
        for file in several:
            digest = hashlib.sha256()
            for chunk in file.chunks():
                digest.update(chunk)
            file.seek(0)
            files.append([name, file.name, file.content_type, sorted((file.content_type_extra or {}).items())])
            files[-1].append(digest.hexdigest())
    return [list(request.POST.lists()), files]


def _is_multipart(content_type: str, parameters: Mapping[str, str]) -> bool:
    return content_type.startswith("multipart/") and bool(parameters.get("boundary"))


def _between_delimiters(body: bytes, boundary: str) -> list[bytes]:
    """Return what is between the delimiters of a form (RFC 2046 §5.1.1), which is sent with another boundary each time.

    Only where each ``--boundary`` in it begins a line and is all of it, so that no parser sees another form, and where
    there are not more of them than a form has parts. Else the whole body.
    """
    delimiter = b"--" + boundary.encode(errors="surrogatepass")
    if body.count(delimiter) > _MOST_PARTS:
        return [body]
    first, *rest = pieces = body.split(delimiter)
    begin_lines = first in {b"", b"\r\n"} and all(piece.endswith(b"\r\n") for piece in rest[:-1])
    are_lines = all(piece.startswith(b"\r\n") for piece in rest[:-1]) and rest[-1:] in ([b"--"], [b"--\r\n"])
    return pieces if begin_lines and are_lines else [body]
