"""Tokens that a service signs itself, and those of the user whom it serves."""

import pickle
import threading
import time as real_time

import jwt
import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from shared_core import context
from shared_core.clients import ClientCredentials, ServiceToken, TokenError, forward_user
from shared_core.middleware import RequestContextMiddleware
from tests.clients.server import answer, answer_json, redirect

KEY = "k" * 32
# openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt
PEM = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgv01Xv6aZM6EvhK1D
HZho0vaC3tGXFi+GXwCeNoHCfgOhRANCAATg6v30uRwkZd78Jq0MgWwlotzvcc8U
0GZH+rbhjTXNuqrDvnOM5A5Fwgpkh6Q+RHYNDJim8QpACQjc4tddevPI
-----END PRIVATE KEY-----
"""


def bearer(server, number=0, header="Authorization"):
    return server.received[number].headers[header].removeprefix("Bearer ")


def test_a_service_signs_a_short_lived_token_that_names_it(make, server):
    make(server.url, token=ServiceToken("ticket", "user", KEY)).get("/x")
    claims = jwt.decode(bearer(server), KEY, algorithms=["HS256"], audience="user", issuer="ticket")

    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ticket", 300)
    assert abs(claims["iat"] - real_time.time()) < 5


def test_a_private_key_signs_too(make, server):
    make(server.url, token=ServiceToken("ticket", "user", PEM, algorithm="ES256", lifetime=60)).get("/x")
    public = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).prepare_key(PEM).public_key()

    assert jwt.decode(bearer(server), public, algorithms=["ES256"], audience="user")["iss"] == "ticket"


def test_a_signed_token_is_used_until_shortly_before_it_expires(make, server, time):
    client = make(server.url, token=ServiceToken("ticket", "user", KEY, lifetime=100))
    for seconds in (0, 89, 2):
        time.value += seconds
        real_time.sleep(1.01 if seconds == 2 else 0)  # the next second has another token
        client.get("/x")

    assert bearer(server, 0) == bearer(server, 1) != bearer(server, 2)


def test_service_token_provider_may_be_a_service_token(make, server, settings):
    settings.SERVICE_TOKEN_PROVIDER = ServiceToken("ticket", "user", KEY)
    make(server.url).get("/x")

    assert jwt.decode(bearer(server), KEY, algorithms=["HS256"], audience="user")["sub"] == "ticket"


def test_the_repr_of_a_service_token_hides_its_key():
    assert KEY not in repr(ServiceToken("ticket", "user", KEY))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"issuer": ""}, ValueError, "issuer is empty"),
        ({"audience": None}, TypeError, "audience must be a text"),
        ({"key": "s3cret"}, ValueError, "32 bytes"),
        ({"key": KEY, "algorithm": "none"}, ValueError, "one that signs"),
        ({"key": KEY, "algorithm": "HS1"}, ValueError, "do not fit"),
        ({"key": "no pem" * 9, "algorithm": "RS256"}, ValueError, "do not fit"),
        ({"key": PEM}, ValueError, "is a public or private key"),
        ({"lifetime": 0}, ValueError, "lifetime"),
        ({"lifetime": 0.5}, ValueError, "lifetime"),
        ({"lifetime": "300"}, TypeError, "lifetime"),
    ],
)
def test_an_invalid_service_token_argument_raises_when_it_is_built(arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        ServiceToken(**{"issuer": "ticket", "audience": "user", "key": KEY, **arguments})

    assert str(arguments.get("key", KEY)) not in str(caught.value)


def test_without_pyjwt_a_service_token_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jwt", None)

    with pytest.raises(ImportError, match=r"pip install shared-core\[jwt\]"):
        ServiceToken("ticket", "user", KEY)


@pytest.fixture
def own(settings):
    settings.SERVICE_AUTH_TOKEN = "own"


def served(view, **headers):
    """Let ``view`` be served to a request with ``headers``."""
    request = RequestFactory().get("/", headers=headers)
    return RequestContextMiddleware(lambda _: view())(request)


pytestmark = pytest.mark.django_db(databases="__all__")


def headers_of(request):
    return request.headers["Authorization"], request.headers["X-Service-Authorization"]


def call(client, *args, **kwargs):
    return lambda: HttpResponse(client.get(*args, **kwargs).content)


def test_forward_user_sends_the_users_token_and_the_services_own(make, server, own):
    served(call(make(server.url, token=forward_user()), "/x"), authorization="Bearer user's")

    assert headers_of(server.received[0]) == ("Bearer user's", "Bearer own")


def test_forward_user_may_be_passed_to_one_call(make, server, own):
    served(call(make(server.url), "/x", token=forward_user()), authorization="Basic dXNlcg==")

    assert headers_of(server.received[0]) == ("Basic dXNlcg==", "Bearer own")


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}])
def test_without_a_user_only_the_services_token_goes(make, server, own, headers):
    client = make(server.url, token=forward_user())
    served(call(client, "/x"), **headers)
    client.get("/outside")

    assert [headers_of(request) for request in server.received] == [(None, "Bearer own")] * 2


def test_each_request_forwards_its_own_user(make, server, own):
    client = make(server.url, token=forward_user())
    for user in ("a", "b"):
        served(call(client, "/x"), authorization=f"Bearer {user}")

    assert [bearer(server, number) for number in (0, 1)] == ["a", "b"]


def test_a_call_in_the_users_name_is_an_error_after_the_request(make, server, own):
    client = make(server.url, token=forward_user())
    over = threading.Event()
    with context.ContextExecutor(max_workers=1) as executor:
        late = []

        def view():
            late.append(executor.submit(lambda: (over.wait(10), client.get("/late"))))
            return HttpResponse()

        served(view, authorization="Bearer user's")
        over.set()
        with pytest.raises(TokenError, match="has ended"):
            late[0].result()

    assert server.received == []


def test_a_streaming_response_forwards_the_user_until_it_ends(make, server, own):
    client = make(server.url, token=forward_user())

    def chunks():
        yield client.get("/x").content

    response = served(lambda: StreamingHttpResponse(chunks()), authorization="Bearer user's")
    b"".join(response)

    assert bearer(server) == "user's"


def test_an_untrusted_origin_gets_neither_token(make, recorder, own, settings):
    client = make(token=forward_user(), transport=recorder)
    served(call(client, "https://stranger.example.com/x"), authorization="Bearer user's")

    assert not {"Authorization", "X-Service-Authorization"} & recorder.requests[0].headers.keys()


def test_a_redirect_to_another_origin_carries_neither_token(make, server, other, own):
    server.script(redirect(f"{other.url}/y"))
    served(call(make(server.url, token=forward_user()), "/x"), authorization="Bearer user's")

    assert headers_of(other.received[0]) == (None, None)


def test_a_refused_service_token_is_renewed_and_the_users_is_kept(make, server, settings):
    tokens = iter(["first", "second"])
    settings.SERVICE_TOKEN_PROVIDER = lambda: next(tokens)
    server.script(answer(401), answer(200))
    served(call(make(server.url, token=forward_user()), "/x"), authorization="Bearer user's")

    assert [headers_of(request) for request in server.received] == [
        ("Bearer user's", "Bearer first"),
        ("Bearer user's", "Bearer second"),
    ]


def test_headers_set_by_the_caller_are_not_overwritten(make, server, own):
    client = make(server.url, token=forward_user())
    headers = {"Authorization": "Bearer mine", "X-Service-Authorization": "Bearer mine too"}
    served(call(client, "/x", headers=headers), authorization="Bearer user's")

    assert headers_of(server.received[0]) == ("Bearer mine", "Bearer mine too")


def test_an_error_does_not_contain_the_users_token(make, server, own):
    server.script(answer(404))
    client = make(server.url, token=forward_user())
    errors = []

    def view():
        try:
            client.get("/x")
        except Exception as error:  # noqa: BLE001  # looked at below
            errors.append(error)
        return HttpResponse()

    served(view, authorization="Bearer user's")

    assert "user's" not in str(errors[0])
    assert b"user's" not in pickle.dumps(errors[0])


def test_one_callers_short_deadline_does_not_abort_a_shared_token_fetch(make, server, other):
    release = threading.Event()

    def slowly(connection, request):
        release.wait(5)
        return answer_json({"access_token": "abc", "token_type": "Bearer"})(connection, request)

    other.script(slowly, answer_json({"access_token": "abc", "token_type": "Bearer"}))
    client = make(server.url, token=ClientCredentials(f"{other.url}/token", "ticket", "s3cret"))
    outcomes = {}

    def ask(name, **options):
        try:
            outcomes[name] = client.get("/x", **options).status_code
        except TokenError as error:
            outcomes[name] = type(error.__cause__).__name__

    hasty = threading.Thread(target=ask, args=("hasty",), kwargs={"deadline": 0.3})
    hasty.start()
    while not other.received:
        real_time.sleep(0.01)
    patient = threading.Thread(target=ask, args=("patient",))
    patient.start()
    hasty.join(5)
    patient.join(5)
    release.set()

    assert outcomes == {"hasty": "DeadlineExceeded", "patient": 200}


def test_a_stopped_thread_does_not_abort_a_shared_token_fetch(make, server):
    asked, release = threading.Event(), threading.Event()

    def provide():
        if not asked.is_set():
            asked.set()
            release.wait(5)
            raise KeyboardInterrupt  # as a server's worker is stopped
        return "abc"

    client = make(server.url, token=provide)
    statuses = []

    def stopped():
        with pytest.raises(KeyboardInterrupt):
            client.get("/x")

    threads = [threading.Thread(target=stopped), threading.Thread(target=lambda: statuses.append(client.get("/x")))]
    threads[0].start()
    asked.wait(5)
    threads[1].start()
    real_time.sleep(0.1)  # until it waits for the first one's
    release.set()
    for thread in threads:
        thread.join(5)

    assert [response.status_code for response in statuses] == [200]
