"""Callers that share an Idempotency-Key: people behind one gateway, and bodies that are made to look the same."""

import gzip
import hashlib
import tracemalloc
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client, RequestFactory
from django.urls import path
from django.utils.functional import SimpleLazyObject
from ninja import NinjaAPI
from ninja.decorators import decorate_view
from ninja.security import APIKeyCookie, APIKeyHeader, HttpBearer
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shared_core.auth import ServiceAuth, service_auth_required
from shared_core.auth.guards import ServiceCaller
from shared_core.clients import ServiceToken
from shared_core.databases import AdvisoryLockTimeout
from shared_core.idempotency import idempotent
from shared_core.idempotency.models import StoredResponse
from shared_core.idempotency.requests import Identity, caller_of, fingerprint_of
from tests.library.models import Author

pytestmark = pytest.mark.django_db

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
GATEWAY, NEW_GATEWAY = "Bearer gateway-token-0123456789", "Bearer gateway-newer-0123456789"
ANN, EVE = "Bearer ann.of.accounts", "Bearer eve.of.nowhere"
SECRET = "a shared secret of more than 32 bytes"


@pytest.fixture(autouse=True)
def accepted(settings):
    tokens = [header.removeprefix("Bearer ") for header in (GATEWAY, NEW_GATEWAY)]
    settings.SERVICE_ACCEPTED_TOKENS = {"gateway": tokens}
    settings.SERVICE_JWT_KEY, settings.SERVICE_JWT_ALGORITHMS = SECRET, ["HS256"]
    settings.SERVICE_JWT_AUDIENCE, settings.SERVICE_JWT_ISSUER = "user", "ticket"


def post(body="{}", *, user=None, cookie=None, **headers):
    names = {"service": "X-Service-Authorization", "person": "Authorization"}
    headers = {names[name]: value for name, value in headers.items() if value is not None}
    request = RequestFactory().post(
        "/accounts", body, content_type="application/json", headers={"Idempotency-Key": KEY, **headers}
    )
    if cookie:
        request.COOKIES["sessionid"] = cookie
    if user is not None:
        request.user = user
    return request


@service_auth_required()
@idempotent(required=True)
def open_account(request):
    """Answers with what only the person of the request may read."""
    if request.headers.get("Authorization") == EVE:
        return HttpResponse(status=403)
    Author.objects.create(name="Ada")
    return JsonResponse({"for": request.headers.get("Authorization")}, status=201)


class Person:
    is_authenticated = True

    def __init__(self, pk):
        self.pk = pk


class TestBehindAGateway:
    def test_a_person_gets_no_other_persons_answer(self):
        assert open_account(post(service=GATEWAY, person=ANN)).status_code == 201
        assert open_account(post(service=GATEWAY, person=EVE)).status_code == 403
        again = open_account(post(service=GATEWAY, person=ANN))

        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert Author.objects.count() == 1

    def test_a_key_of_one_person_is_free_for_another(self):
        first = open_account(post('{"amount": 1}', service=GATEWAY, person=ANN))
        other = open_account(post('{"amount": 2}', service=GATEWAY, person="Bearer bob"))

        assert [first.status_code, other.status_code] == [201, 201]
        assert open_account(post('{"amount": 2}', service=GATEWAY, person=ANN)).status_code == 422

    @pytest.mark.parametrize(
        "user", [None, AnonymousUser(), ServiceCaller("gateway")], ids=["none", "nobody", "service"]
    )
    def test_the_person_counts_where_the_user_is_none(self, user):
        callers = {caller_of(known(post(user=user, service=GATEWAY, person=person))) for person in (ANN, EVE, None)}

        assert len(callers) == 3

    def test_a_user_that_django_knows_is_the_person(self):
        def caller(pk, token):
            return caller_of(known(post(user=User(pk=pk), service=GATEWAY, person=token)))

        assert caller(1, ANN) == caller(1, "Bearer renewed") == "gateway/1"
        assert caller(1, ANN) != caller(2, ANN)

    def test_the_gateways_own_token_may_be_another(self):
        one, other = (caller_of(known(post(service=token, person=ANN))) for token in (GATEWAY, NEW_GATEWAY))

        assert one == other

    def test_people_are_told_apart_by_their_sessions_too(self):
        callers = {caller_of(known(post(service=GATEWAY, cookie=cookie))) for cookie in ("ann", "eve", None)}

        assert len(callers) == 3


def known(request):
    ServiceAuth()(request)
    return request


def test_people_without_a_gateway_are_told_apart():
    callers = [caller_of(post(person=person)) for person in (ANN, EVE, None)]

    assert len(set(callers)) == 3
    assert callers[2] == ""


def test_a_service_that_something_else_has_found_does_not_make_the_authorization_its_own():
    callers = set()
    for person in (ANN, EVE):
        request = post(person=person)
        request.service = "gateway"  # as a certificate's name would say
        callers.add(caller_of(request))

    assert len(callers) == 2


@pytest.mark.parametrize("empty", [None, ""])
def test_a_services_own_token_may_be_another_at_each_attempt(empty):
    jwts = [f"Bearer {ServiceToken('ticket', 'user', SECRET, lifetime=life).mint().token}" for life in (60, 90)]

    assert len(set(jwts)) == 2
    assert {caller_of(known(post(service=empty, person=token))) for token in jwts} == {"ticket"}
    assert {caller_of(known(post(service=empty, person=token))) for token in (GATEWAY, NEW_GATEWAY)} == {"gateway"}


def test_nobody_is_mistaken_for_another_by_how_names_are_joined():
    def caller(service, user=None, person=None):
        request = post(user=user and Person(user), person=person)
        request.service = service
        return caller_of(request)

    one = caller("a", person=ANN)
    callers = [
        caller("a", "b"),
        caller("a/b"),
        caller("a", "b/c"),
        caller("a/b", "c"),
        caller("", "a/b"),
        caller("/a", "b"),
        caller("/a/b"),
        caller("", "/a/b"),
        one,
        caller(one),
        caller("", one),
        caller("a", one),
        caller(""),
    ]

    assert len(set(callers)) == len(callers)


def test_answers_that_an_earlier_version_has_stored_are_found():
    def caller(service, user=None):
        request = post(user=user and SimpleLazyObject(lambda: User(pk=user)))
        request.service = service
        return caller_of(request)

    assert [caller("ticket"), caller("", "1"), caller("gateway", "1"), caller("")] == ["ticket", "/1", "gateway/1", ""]
    scope = hashlib.sha256(b'["ticket", "POST", "/accounts", "a"]').hexdigest()
    assert Identity("ticket", "POST", "/accounts", "a").scope == scope
    empty = hashlib.sha256(b"{}").hexdigest()
    for content_type in ("application/json", "application/json; charset=UTF-8"):
        request = RequestFactory().post("/accounts?a=1", "{}", content_type=content_type)
        text = f'["a=1", "application/json", "{empty}"]'
        assert fingerprint_of(request) == hashlib.sha256(text.encode()).hexdigest()


def test_what_is_stored_names_the_service_and_holds_no_token(settings):
    open_account(post(service=GATEWAY, person=ANN))
    open_account(post(service=GATEWAY, person="Basic YW5uOmh1bnRlcjI="))
    rows = list(StoredResponse.objects.all())

    assert {row.caller.split(",")[0] for row in rows} == {'["gateway"'}
    assert not any(text in row.caller for row in rows for text in ("ann.of.accounts", "YW5u", "hunter2"))
    # A password can be guessed from its digest, but for a key.
    before = caller_of(known(post(service=GATEWAY, person=ANN)))
    settings.SECRET_KEY = "another" * 10
    assert caller_of(known(post(service=GATEWAY, person=ANN))) != before


def test_a_service_that_is_found_only_by_the_view_is_a_mistake():
    view = idempotent(service_auth_required()(lambda request: HttpResponse()))

    for headers in ({"person": GATEWAY}, {"person": ANN, "service": GATEWAY}):
        with pytest.raises(ImproperlyConfigured, match="put it below @service_auth_required"):
            view(post(**headers))


class Stateless:
    """A user that a token names, and no row of the database."""

    is_authenticated, pk = True, None

    def __init__(self, username=""):
        self.username = username


class Staff(Person):
    pass


class Customer(AbstractBaseUser):
    class Meta:
        app_label = "shops"


class TestWhoIsLoggedIn:
    @pytest.mark.parametrize("pk", [None, ""])
    def test_users_without_a_primary_key_are_told_apart_by_what_they_bring(self, pk):
        callers = {
            caller_of(known(post(user=Person(pk), service=GATEWAY, person=person, cookie=cookie)))
            for person, cookie in ((ANN, None), (EVE, None), (None, "ann"), (None, "eve"))
        }

        assert len(callers) == 4

    @pytest.mark.parametrize("kind", [Stateless, lambda name: User(username=name)])
    def test_and_by_their_names(self, kind):
        callers = {caller_of(known(post(user=kind(name), service=GATEWAY))) for name in ("ann", "eve")}

        assert len(callers) == 2
        assert caller_of(known(post(service=GATEWAY))) not in callers

    def test_one_who_brings_nothing_is_a_mistake_and_nobody_elses_caller(self):
        view = idempotent(lambda request: HttpResponse())
        for user in (Stateless(), User(), SimpleNamespace(is_authenticated=True)):
            with pytest.raises(ImproperlyConfigured, match="cannot tell who calls"):
                view(post(user=user))

        assert StoredResponse.objects.count() == 0

    def test_a_primary_key_is_one_kinds(self):
        one, other = Person("1"), Staff("1")
        callers = {caller_of(post(user=user)) for user in (one, other, User(pk=1), Customer(pk=1))}

        assert len(callers) == 4
        assert caller_of(post(user=one)) == caller_of(post(user=SimpleLazyObject(lambda: one)))

    def test_a_user_whose_key_is_a_services_name_is_not_that_service(self):
        users = (User(pk="gateway"), ServiceCaller("gateway"), None)

        assert len({caller_of(known(post(user=user, service=GATEWAY))) for user in users}) == 3

    def test_a_proxy_of_the_users_is_a_user(self):
        class Boss(User):
            class Meta:
                proxy = True
                app_label = "shops"

        assert caller_of(post(user=Boss(pk=1))) == caller_of(post(user=User(pk=1))) == "/1"


def by_header(name, value):
    return {"headers": {name: value}}


def by_cookie(name, value):
    return {"headers": {"Cookie": f"{name}={value}; csrftoken={value[::-1]}"}}


def ask(caller, *, key=KEY, body="{}", at="/", client=None):
    headers = {"Idempotency-Key": key, **caller["headers"]}
    return (client or Client()).post(at, body, content_type="application/json", headers=headers)


WHO = [
    (by_header, "X-API-Key"),
    (by_header, "X-Auth-Token"),
    (by_header, "X-User-Id"),
    (by_header, "X-Forwarded-User"),
    (by_header, "X-Session-Id"),
    (by_header, "Proxy-Authorization"),
    (by_header, "X-Tenant"),
    (by_header, "apikey"),
    (by_header, "X-Client-Cert"),
    (by_header, "X-Forwarded-Email"),
    (by_header, "Ocp-Apim-Subscription-Key"),
    (by_cookie, "access_token"),
    (by_cookie, "accessToken"),
    (by_cookie, "jwt"),
    (by_cookie, "connect.sid"),
    (by_cookie, "__Host-session"),
]
NOT_WHO = [
    (by_header, "User-Agent"),
    (by_header, "X-CSRFToken"),
    (by_header, "X-XSRF-Token"),
    (by_header, "X-Request-Id"),
    (by_header, "X-Auth-Timestamp"),
    (by_header, "X-Auth-Nonce"),
    (by_header, "X-Signature"),
    (by_header, "Sec-WebSocket-Key"),
    (by_header, "Accept-Language"),
    (by_header, "X-Service-Authorization"),
    (by_cookie, "csrftoken"),
    (by_cookie, "_ga_session"),
    (by_cookie, "theme"),
]


def names(pairs):
    return [name for _, name in pairs]


class TestKnownBySomethingElse:
    def caller(self, how, name, value):
        return caller_of(RequestFactory().post("/", **how(name, value)))

    @pytest.mark.parametrize(("how", "name"), WHO, ids=names(WHO))
    def test_people_are_told_apart_by_what_says_who_they_are(self, how, name):
        callers = {self.caller(how, name, value) for value in ("ann", "eve")}

        assert len(callers) == 2
        assert "" not in callers
        assert self.caller(how, name, "ann") == self.caller(how, name, "ann")
        assert not any(text in caller for caller in callers for text in ("ann", "eve"))

    @pytest.mark.parametrize(("how", "name"), NOT_WHO, ids=names(NOT_WHO))
    def test_what_changes_from_one_attempt_to_the_next_is_no_part(self, how, name):
        assert {self.caller(how, name, value) for value in ("ann", "eve")} == {""}

    def test_a_view_that_asks_for_a_key_itself_keeps_people_apart(self):
        @idempotent
        def view(request):
            return JsonResponse({"for": request.headers["X-API-Key"]})

        answers = []
        for person in ("ann", "eve", "ann"):
            request = post()
            request.META["HTTP_X_API_KEY"] = person
            answers.append(view(request).content)

        assert answers == [b'{"for": "ann"}', b'{"for": "eve"}', b'{"for": "ann"}']
        assert StoredResponse.objects.count() == 2

    def test_what_a_framework_has_found_counts_by_its_contents(self):
        @dataclass
        class Claims:
            sub: str

        def caller(auth):
            request = post()
            request.auth = auth
            return caller_of(request)

        kinds = [
            str,
            lambda name: {"sub": name},
            Claims,
            lambda name: User(pk={"ann": 1, "eve": 2}[name], username="same"),
            Person,
            Staff,
        ]
        callers = [caller(kind(name)) for kind in kinds for name in ("ann", "eve")]
        assert len(set(callers)) == len(callers)
        assert callers == [caller(kind(name)) for kind in kinds for name in ("ann", "eve")]
        assert not any(text in caller for caller in callers for text in ("ann", "eve"))
        assert {caller(nobody) for nobody in (None, False, ServiceCaller("ticket"))} == {""}
        for alike in (True, object()):
            with pytest.raises(ImproperlyConfigured, match="cannot tell who calls"):
                caller(alike)


api = NinjaAPI(urls_namespace="people")


class Key(APIKeyHeader):
    param_name = "X-API-Key"

    def authenticate(self, request, key):
        return key


class Who(Key):
    param_name = "X-Who"


class Cookie(APIKeyCookie):
    param_name = "access"

    def __init__(self):
        super().__init__(csrf=False)

    def authenticate(self, request, key):
        return key


class Token(HttpBearer):
    def authenticate(self, request, token):
        return token


def of_ninja(at, auth):
    @api.post(at, auth=auth)
    @decorate_view(idempotent)
    def view(request):
        return {"for": request.auth}


for at, auth in (("/key", Key()), ("/cookie", Cookie()), ("/token", Token()), ("/who", Who())):
    of_ninja(at, auth)


class ByKey(BaseAuthentication):
    def authenticate(self, request):
        name = request.META.get("HTTP_X_API_KEY") or request.META.get("HTTP_X_WHO")
        return (Stateless(), name) if name else None


class Rest(APIView):
    authentication_classes = [ByKey]
    permission_classes = []

    def post(self, request):
        return inside(request)


@idempotent
def inside(request):
    return JsonResponse({"for": request.auth})


class RestOutside(APIView):
    authentication_classes = [ByKey]
    permission_classes = []

    def post(self, request):
        return Response({"for": request.auth})


urlpatterns = [
    path("ninja/", api.urls),
    path("rest", Rest.as_view()),
    path("outside", idempotent(RestOutside.as_view())),
]


class TestInFrameworks:
    @pytest.fixture(autouse=True)
    def _urls(self, settings):
        settings.ROOT_URLCONF = __name__
        settings.REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}

    @pytest.mark.parametrize(
        ("at", "how", "name"),
        [
            ("/ninja/key", by_header, "X-API-Key"),
            ("/ninja/cookie", by_cookie, "access"),
            ("/ninja/token", lambda name, value: by_header(name, f"Bearer {value}"), "Authorization"),
            ("/rest", by_header, "X-API-Key"),
            ("/rest", by_header, "X-Who"),
            ("/outside", by_header, "X-API-Key"),
        ],
    )
    def test_people_are_told_apart(self, at, how, name):
        answers = [ask(how(name, person), at=at) for person in ("ann", "eve", "ann", "eve")]

        assert [answer.json() for answer in answers] == [{"for": "ann"}, {"for": "eve"}] * 2
        assert ["Idempotent-Replayed" in answer.headers for answer in answers] == [False, False, True, True]

    @pytest.mark.parametrize(("at", "name"), [("/ninja/who", "X-Who"), ("/outside", "X-Who")])
    def test_one_who_is_known_only_by_then_is_a_mistake_and_nothing_is_kept(self, at, name):
        for person in ("ann", "eve"):
            with pytest.raises(ImproperlyConfigured, match="give caller="):
                ask(by_header(name, person), at=at)

        assert StoredResponse.objects.count() == 0


def form(boundary, *contents):
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n{content}\r\n'.encode()
        for content in contents
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def fingerprint(body, content_type, query=""):
    return fingerprint_of(RequestFactory().post(f"/accounts?{query}", body, content_type=content_type))


MULTIPART = "multipart/form-data; boundary="


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (('{"amount": 9}', "application/json; boundary=9"), ('{"amount": }', "application/json; boundary=9")),
        (('{"amount": 9}', "application/json; boundary=9"), ('{"amount": 1}', "application/json; boundary=1")),
        ((form("a", "x"), "text/plain; boundary=a"), (form("b", "x"), "text/plain; boundary=b")),
        ((form("1", "pay 100"), MULTIPART + "1"), (form("1", "pay 00"), MULTIPART + "1")),
        ((form("1", "pay 1"), MULTIPART + "1"), (form("2", "pay 2"), MULTIPART + "2")),
        ((form("a", "x--a"), MULTIPART + "a"), (form("b", "x--b"), MULTIPART + "b")),
        ((form("a", "x\r\n--ab"), MULTIPART + "a"), (form("b", "x\r\n--bb"), MULTIPART + "b")),
        ((form("a", "x\r\n--b\r\ny"), MULTIPART + "a"), (form("b", "x\r\n--b\r\ny"), MULTIPART + "b")),
        ((form("a", "x", "y"), MULTIPART + "a"), (form("a", "x\r\n--\r\ny"), MULTIPART + "a")),
        ((form("a", "x"), MULTIPART + "a"), (form("a", "x"), MULTIPART + "b")),
        ((form("a", "x"), MULTIPART + "a"), (form("a", "x"), "multipart/mixed; boundary=a")),
        ((form("a", "x"), MULTIPART + "a"), (form("a", "x"), MULTIPART + "a; charset=latin-1")),
        (("é".encode(), "text/plain"), ("é".encode(), "text/plain; charset=latin-1")),
        (("{}", "application/json; v=1"), ("{}", "application/json; v=2")),
    ],
)
def test_requests_that_differ_have_no_fingerprint_in_common(one, other):
    assert fingerprint(*one) != fingerprint(*other)


def test_the_query_is_a_part_of_the_request():
    fingerprints = {fingerprint("{}", "application/json", query) for query in ("", "a=1", "a=1&b=2", "b=2&a=1")}

    assert len(fingerprints) == 4


@pytest.mark.parametrize(
    "contents", [("x",), ("x", ""), ("a line\r\n--\r\n", "boundary one, boundary two"), ("--", "")]
)
def test_a_form_that_is_sent_again_has_the_same_one(contents):
    boundaries = ("one", "two", "-" * 30 + "8", "'()+_,-./:=?")

    assert len({fingerprint(form(boundary, *contents), f'{MULTIPART}"{boundary}"') for boundary in boundaries}) == 1


def test_a_form_of_very_many_parts_takes_no_more_memory_than_its_body_does_several_times():
    body = b"--x\r\n" * 400_000 + b"--x--"
    request = RequestFactory().post("/", body, content_type=MULTIPART + "x")
    assert request.body == body

    tracemalloc.start()
    try:
        fingerprint_of(request)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * len(body)


class TestBodiesThatAreReadElsewhere:
    def send(self, view, *contents, boundary="b"):
        """Send a form through Django's CSRF check, which reads it before the view."""
        token = "a" * 32
        request = RequestFactory().post(
            "/",
            form(boundary, *contents),
            content_type=MULTIPART + boundary,
            headers={"Idempotency-Key": KEY, "Cookie": f"csrftoken={token}", "X-CSRFToken": token},
        )
        request._dont_enforce_csrf_checks = False
        guard = CsrfViewMiddleware(view)
        guard.process_request(request)
        return guard.process_view(request, view, (), {}) or view(request)

    def test_a_form_that_the_csrf_check_has_read_is_told_by_its_fields_and_files(self):
        @idempotent
        def view(request):
            return JsonResponse({"a": request.POST.getlist("a")})

        assert self.send(view, "x").content == b'{"a": ["x"]}'
        assert self.send(view, "x", boundary="c").headers["Idempotent-Replayed"] == "true"
        for others in (["y"], ["x", "x"], []):
            assert self.send(view, *others).status_code == 422

    def test_and_the_view_reads_its_files_still(self):
        @idempotent
        def view(request):
            return JsonResponse({name: file.read().decode() for name, file in request.FILES.items()})

        def send(content, name="a.txt", field="file"):
            part = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n{content}\r\n'
            request = RequestFactory().post(
                "/", f"--b\r\n{part}--b--\r\n".encode(), MULTIPART + "b", headers={"Idempotency-Key": KEY}
            )
            assert request.POST is not None
            return view(request)

        assert send("x").content == b'{"file": "x"}'
        assert send("x").headers["Idempotent-Replayed"] == "true"
        assert [send(*other).status_code for other in (("y",), ("x", "b.txt"), ("x", "a.txt", "other"))] == [422] * 3

    def test_what_something_else_has_read_is_a_mistake_that_is_named(self):
        request = post('{"a": 1}')
        request.read()

        with pytest.raises(ImproperlyConfigured, match="needs the body of the request, which something has read"):
            idempotent(lambda request: HttpResponse())(request)

    def test_rest_framework_reads_the_same_request(self):
        """Its own request has the whole header for a content type: a form sent again had another boundary in it."""
        sent = [(form(boundary, "x"), MULTIPART + boundary) for boundary in ("one", "two")]
        sent += [(form("a", "y"), MULTIPART + "a"), ("{}", "application/json; charset=utf-8")]
        made = [[RequestFactory().post("/", body, content_type=kind) for body, kind in sent] for _ in range(3)]
        plain = [fingerprint_of(request) for request in made[0]]

        assert [fingerprint_of(Request(request)) for request in made[1]] == plain
        parsed = [Request(request, parsers=[MultiPartParser(), JSONParser()]) for request in made[2][:3]]
        assert [bool(request.data) for request in parsed] == [True] * 3
        one, other, third = map(fingerprint_of, parsed)
        assert one == other != third

    def test_a_body_of_unknown_length_is_refused_where_django_does_not_read_it(self):
        runs = []

        @idempotent
        def view(request):
            runs.append(request.META["wsgi.input"].read())
            return HttpResponse()

        def send(**more):
            headers = {"Idempotency-Key": KEY}
            return view(RequestFactory().generic("POST", "/", b"pay 1", headers=headers, CONTENT_LENGTH="", **more))

        assert send(HTTP_TRANSFER_ENCODING="chunked").status_code == 411
        assert runs == []
        assert send().status_code == 200

    def test_the_encoding_is_a_part_of_the_request(self):
        def one(**headers):
            body = gzip.compress(b"x", mtime=0)
            return fingerprint_of(RequestFactory().post("/", body, content_type="text/plain", headers=headers))

        assert len({one(), one(**{"Content-Encoding": "gzip"}), one(**{"Content-Encoding": "br"})}) == 3


def test_no_header_that_belongs_to_one_response_is_kept():
    @idempotent
    def view(request):
        response = JsonResponse({})
        response.set_cookie("x", "hunter2")
        names = (
            "Set-Cookie",
            "SET-COOKIE2",
            "Authentication-Info",
            "X-Request-ID",
            "Date",
            "Connection",
            "traceparent",
        )
        for name in names:
            response.headers[name] = "hunter2"
        response.headers["Location"] = "/accounts/1"
        return response

    view(post())
    assert "hunter2" not in str(StoredResponse.objects.values())
    again = view(post())
    assert dict(again.headers) == {
        "Content-Type": "application/json",
        "Location": "/accounts/1",
        "Idempotent-Replayed": "true",
    }

    # Rows of an earlier version.
    StoredResponse.objects.update(headers={"Set-Cookie": "sessionid=ann", "Location": "/"})
    again = view(post())
    assert "Set-Cookie" not in again.headers
    assert again.headers["Location"] == "/"


def test_a_lock_that_the_view_itself_does_not_get_is_its_own_error():
    runs = []

    @idempotent(wait=1.0)
    def view(request):
        runs.append(1)
        raise AdvisoryLockTimeout("close-the-month", 5)

    with pytest.raises(AdvisoryLockTimeout):
        view(post())
    assert len(runs) == 1


def test_what_postgresql_does_not_store_is_escaped():
    def one(path, service):
        request = RequestFactory().post(path, "{}", content_type="application/json", headers={"Idempotency-Key": KEY})
        request.service = service
        return idempotent(lambda request: HttpResponse("done"))(request)

    names = [("/a%00b", "ticket"), ("/a%5Cx00b", "ticket"), ("/a", "t\x00"), ("/a", "t\udc80")]
    assert ["Idempotent-Replayed" in one(*name).headers for name in (*names, *names)] == [False] * 4 + [True] * 4
    assert set(StoredResponse.objects.values_list("path", "caller")) == {
        ("/a\\x00b", "ticket"),
        ("/a", "t\\x00"),
        ("/a", "t\\udc80"),
    }


def test_a_boundary_that_is_no_text_is_no_error_of_the_server():
    content_type = "multipart/form-data; boundary*=utf-7''%2B%32%41%41%2D"  # decodes to half of a surrogate pair
    request = RequestFactory().post("/x", b"--x\r\n", content_type=content_type)

    assert fingerprint_of(request) == fingerprint_of(RequestFactory().post("/x", b"--x\r\n", content_type=content_type))
