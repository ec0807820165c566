"""Callers that share an Idempotency-Key: people behind one gateway, and bodies that are made to look the same."""

import hashlib

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, JsonResponse
from django.test import RequestFactory

from shared_core.auth import ServiceAuth, ServiceCaller, service_auth_required
from shared_core.clients import ServiceToken
from shared_core.idempotency import idempotent
from shared_core.idempotency.models import FirstAnswer
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
            return caller_of(known(post(user=Person(pk), service=GATEWAY, person=token)))

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
        request = post(user=user and Person(user))
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
    rows = list(FirstAnswer.objects.all())

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
