import base64
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.clients import ClientCredentials, ServiceTimeout, TokenError, Unauthorized, tokens
from shared_core.clients.tokens import is_trusted
from shared_core.origins import origin_of
from tests.clients.server import answer, answer_json, hang_up, silent


def sent(server):
    return [request.headers["Authorization"] for request in server.received]


class Counting:
    """A provider that gives t1, t2, …, each for so many seconds."""

    def __init__(self, seconds=None):
        self.seconds, self.calls = seconds, 0

    def __call__(self):
        self.calls += 1
        token = f"t{self.calls}"
        return token if self.seconds is None else (token, self.seconds)


def provide_from_settings():
    return "imported"


@pytest.fixture
def credentials(other):
    other.script(answer_json({"access_token": "granted", "token_type": "bearer", "expires_in": 60}))
    return ClientCredentials(f"{other.url}/oauth/token", "ticket", "s3cret/+", "users:read files:read")


def test_the_token_is_taken_from_argument_client_and_settings_in_order(make, server, settings):
    def call(client_token=None, token=None):
        make(server.url, token=client_token).get("/x", token=token)
        return sent(server)[-1]

    assert call() is None
    settings.SERVICE_TOKEN_PROVIDER = lambda: "provider"
    assert call() == "Bearer provider"
    settings.AUTH_TOKEN = "auth"
    assert call() == "Bearer auth"
    settings.SERVICE_AUTH_TOKEN = "service"
    assert call() == "Bearer service"
    assert call("client") == "Bearer client"
    assert call("client", "argument") == "Bearer argument"
    assert call("client", False) is None
    assert call(False) is None
    assert call(False, "argument") == "Bearer argument"


def test_an_empty_token_setting_is_ignored(make, server, settings):
    settings.SERVICE_AUTH_TOKEN, settings.AUTH_TOKEN = "", "auth"
    make(server.url).get("/x")

    assert sent(server) == ["Bearer auth"]


def test_a_setting_may_name_its_provider_by_path(make, server, settings):
    settings.SERVICE_TOKEN_PROVIDER = f"{__name__}.provide_from_settings"
    make(server.url).get("/x")

    assert sent(server) == ["Bearer imported"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("SERVICE_TOKEN_PROVIDER", "no.such.module"), ("SERVICE_AUTH_TOKEN", "s3cret\n"), ("AUTH_TOKEN", 42)],
)
def test_an_invalid_token_setting_is_named(make, server, settings, name, value):
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=name) as raised:
        make(server.url).get("/x")

    assert "s3cret" not in str(raised.value)
    assert server.received == []


@pytest.mark.parametrize(
    ("token", "error"),
    [("", ValueError), ("two words", ValueError), ("s3cret\n", ValueError), (True, TypeError), (42, TypeError)],
)
def test_an_invalid_token_argument_is_refused_before_sending(client, server, token, error):
    with pytest.raises(error, match="token") as raised:
        client.get("/x", token=token)

    assert "s3cret" not in str(raised.value)
    assert server.received == []


def test_an_authorization_header_set_by_the_caller_is_not_overwritten(make, server):
    make(server.url, token="t").get("/x", headers={"authorization": "Custom mine"})
    make(server.url, token="t", headers={"Authorization": "Custom client"}).get("/x")
    make(server.url, token="t").get("/x", auth=("anna", "pw"))

    assert sent(server) == ["Custom mine", "Custom client", "Basic " + base64.b64encode(b"anna:pw").decode()]


def test_a_provider_is_called_again_shortly_before_its_token_expires(make, server, time):
    provider, client = Counting(seconds=100), make(server.url)
    for now in (0, 89, 91):
        time.value = 1000.0 + now
        client.get("/x", token=provider)

    assert sent(server) == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_a_token_without_a_lifetime_is_kept_for_five_minutes(make, server, time):
    provider, client = Counting(), make(server.url)
    for now in (0, 269, 271):
        time.value = 1000.0 + now
        client.get("/x", token=provider)

    assert provider.calls == 2


def test_clients_share_the_token_of_a_provider(make, server):
    provider = Counting()
    make(server.url, token=provider).get("/x")
    make(server.url, token=provider).get("/x")

    assert provider.calls == 1


def test_a_bound_method_counts_as_one_provider(make, server):
    class Vault:
        calls = 0

        def token(self):
            self.calls += 1
            return "t"

    vault, client = Vault(), make(server.url)
    client.get("/x", token=vault.token)
    client.get("/x", token=vault.token)

    assert vault.calls == 1


def test_concurrent_threads_fetch_a_token_once(make, server):
    calls, go = [], threading.Event()

    def slow():
        calls.append(1)
        go.wait(5)
        return "t"

    client = make(server.url, token=slow)
    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(client.get, "/x") for _ in range(8)]
        go.set()
        results = [future.result(10).status_code for future in running]

    assert results == [200] * 8
    assert len(calls) == 1


def test_threads_that_wait_for_a_token_share_its_failure(make, server, monkeypatch):
    started, waiting, calls = threading.Event(), threading.Event(), []
    wait_for = tokens._result

    def announce(flight, patience):
        waiting.set()
        return wait_for(flight, patience)

    def failing():
        calls.append(1)
        started.set()
        waiting.wait(5)
        raise RuntimeError("vault is sealed")

    monkeypatch.setattr(tokens, "_result", announce)
    client = make(server.url, token=failing)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.get, "/x")
        started.wait(5)
        second = threads.submit(client.get, "/x")
        errors = [first.exception(10), second.exception(10)]

    assert [type(error) for error in errors] == [TokenError, TokenError]
    assert errors[0] is not errors[1]
    assert len(calls) == 1


def test_waiting_for_another_threads_token_ends_with_the_deadline(make, server):
    started, go = threading.Event(), threading.Event()

    def slow():
        started.set()
        go.wait(5)
        return "t"

    client = make(server.url, token=slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.get, "/x")
        started.wait(5)
        with pytest.raises(TokenError):
            client.get("/x", deadline=0.05)
        go.set()

        assert first.result(10).status_code == 200


@pytest.mark.parametrize("given", [None, 42, "", "two words", ("t", 0), ("t", "60"), ("t",), ("t", 60, 1)])
def test_a_provider_that_returns_no_token_is_named(client, server, given):
    def broken_provider():
        return given

    with pytest.raises(TokenError, match="broken_provider"):
        client.get("/x", token=broken_provider)

    assert server.received == []


def test_a_request_with_a_refused_token_is_retried_once_with_a_new_one(make, server):
    provider = Counting()
    server.script(answer(401), answer(200))
    response = make(server.url, token=provider).post("/x", json={"a": 1})

    assert response.status_code == 200
    assert sent(server) == ["Bearer t1", "Bearer t2"]
    assert {request.body for request in server.received} == {b'{"a": 1}'}


def test_a_second_refusal_is_final(make, server, time):
    provider = Counting()
    server.script(answer(401))
    with pytest.raises(Unauthorized) as raised:
        make(server.url, token=provider).get("/x")

    assert (raised.value.attempts, provider.calls, time.sleeps) == (2, 2, [])


def test_a_401_is_final_for_a_static_token_or_a_generator_body(make, server):
    server.script(answer(401))
    for options in ({"token": "text"}, {"token": Counting(), "data": iter([b"once"])}):
        with pytest.raises(Unauthorized) as raised:
            make(server.url).put("/x", **options)
        assert raised.value.attempts == 1


def test_client_credentials_are_exchanged_for_a_token(make, server, other, credentials):
    client = make(server.url, token=credentials, headers={"X-Api-Key": "mine"})
    client.get("/users")
    client.get("/users")

    (asked,) = other.received
    assert (asked.method, asked.path) == ("POST", "/oauth/token")
    assert asked.body == b"grant_type=client_credentials&scope=users%3Aread+files%3Aread"
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"ticket:s3cret%2F%2B").decode()
    assert asked.headers["X-Api-Key"] is None
    assert sent(server) == ["Bearer granted"] * 2


def test_equal_credentials_share_a_token_and_do_not_show_their_secret(make, server, other, credentials):
    twin = ClientCredentials(credentials.token_url, "ticket", "s3cret/+", "users:read files:read")
    make(server.url, token=credentials).get("/x")
    make(server.url, token=twin).get("/x")

    assert len(other.received) == 1
    assert "s3cret" not in repr(twin)


def test_the_token_services_failure_is_not_the_services(make, server, other, credentials):
    other.script(answer_json({"error": "invalid_client"}, 401))
    with pytest.raises(TokenError) as raised:
        make(server.url, service="user", token=credentials).get("/users")

    error = raised.value
    assert not isinstance(error, Unauthorized)
    assert (error.service, error.url) == (other.url, f"{other.url}/oauth/token")
    assert error.response.json() == {"error": "invalid_client"}
    assert "no token: 401 Unauthorized" in str(error)
    assert "s3cret" not in str(error)
    assert server.received == []


def test_a_failed_token_request_is_retried(make, server, other, credentials):
    other.script(answer(503), hang_up, answer_json({"access_token": "granted"}))
    make(server.url, token=credentials).get("/users")

    assert sent(server) == ["Bearer granted"]


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        "[]",
        "null",
        "{}",
        '{"access_token": null}',
        '{"access_token": "a b"}',
        '{"access_token": "t", "token_type": "mac"}',
        '{"access_token": "t", "expires_in": 0}',
        '{"access_token": "t", "expires_in": "soon"}',
    ],
)
def test_a_token_response_without_a_token_is_a_token_error(make, server, other, credentials, body):
    other.script(answer(200, body))
    with pytest.raises(TokenError, match="no bearer token"):
        make(server.url, token=credentials).get("/users")


def test_a_token_service_that_hangs_costs_the_call_no_more_than_its_deadline(make, server, other, credentials):
    from shared_core.clients import HTTPClient

    other.script(silent(5))
    with HTTPClient(server.url, token=credentials) as client, pytest.raises(TokenError) as raised:
        client.get("/users", deadline=0.2)

    assert raised.value.elapsed < 3
    assert isinstance(raised.value.__cause__, ServiceTimeout)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("/oauth", "id", "secret"), ValueError),
        (("http://auth/", "", "secret"), ValueError),
        (("http://auth/", "id", None), TypeError),
        (("http://auth/", "id", "secret", ["a", "b"]), TypeError),
    ],
)
def test_invalid_client_credentials_raise_when_they_are_built(arguments, error):
    with pytest.raises(error):
        ClientCredentials(*arguments)


def test_the_settings_token_is_sent_only_to_trusted_origins(settings):
    settings.BILLING_SERVICE_URL = "https://billing.example.org/api"
    settings.OTHER_SERVICE_URL = None
    settings.SERVICE_TRUSTED_ORIGINS = ["https://files.example.org:8443"]

    assert is_trusted(origin_of("https://billing.example.org/x"))
    assert is_trusted(origin_of("https://files.example.org:8443/x"))
    assert is_trusted(origin_of("http://user-service:8000/x"))
    assert not is_trusted(origin_of("http://billing.example.org/x"))
    assert not is_trusted(origin_of("https://files.example.org/x"))
    assert not is_trusted(origin_of("https://169.254.169.254/x"))


@pytest.mark.parametrize("value", ["https://api.example.org", ["api.example.org"], [None]])
def test_an_invalid_trusted_origins_setting_is_named(settings, value):
    settings.SERVICE_TRUSTED_ORIGINS = value
    with pytest.raises(ImproperlyConfigured, match="SERVICE_TRUSTED_ORIGINS"):
        is_trusted(origin_of("https://other.example.org"))


def test_the_settings_token_is_not_sent_to_an_untrusted_origin_and_one_warning_is_logged(
    make, recorder, settings, caplog
):
    settings.SERVICE_AUTH_TOKEN = "settings"
    client = make(transport=recorder)
    with caplog.at_level(logging.WARNING, "shared_core.http"):
        client.get("https://stranger.example.org/a")
        client.get("https://stranger.example.org/b")
        client.get("https://stranger.example.org/c", token="by-hand")
        client.get("http://user-service:8000/d")

    assert [request.headers.get("Authorization") for request in recorder.requests] == [
        None,
        None,
        "Bearer by-hand",
        "Bearer settings",
    ]
    (warning,) = caplog.records
    assert "SERVICE_TRUSTED_ORIGINS" in warning.getMessage()
    assert warning.origin == "https://stranger.example.org"


def test_a_client_sends_the_settings_token_to_its_own_base_url(make, recorder, settings):
    settings.SERVICE_AUTH_TOKEN = "settings"
    make("https://api.example.org", transport=recorder).get("/x")

    assert recorder.requests[0].headers["Authorization"] == "Bearer settings"
