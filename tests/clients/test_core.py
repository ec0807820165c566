"""Scripts: what the core yields, what it is sent back, and how the call ends. No socket, no thread, no clock."""

from dataclasses import replace
from math import inf

import pytest
import requests

from shared_core.clients import (
    CallInsideTransaction,
    CircuitBreaker,
    CircuitOpen,
    ClientError,
    DeadlineExceeded,
    InvalidResponse,
    NotFound,
    RetryBudget,
    RetryPolicy,
    ServerError,
    ServiceConnectionError,
    ServiceError,
    ServiceTimeout,
    TokenError,
    TooManyRedirects,
    Unauthorized,
    UnsafeURL,
)
from shared_core.clients.arguments import Timeout
from shared_core.clients.call import Call
from shared_core.clients.circuits import Circuit, RetryBudgetState, ServiceHealth
from shared_core.clients.config import ClientConfig
from shared_core.clients.core import CallCore, Event, FetchToken, Send, Wait
from shared_core.clients.failures import Failure
from shared_core.clients.redirects import MAX_REDIRECTS
from shared_core.clients.response import read_json
from shared_core.origins import origin_of

START = 1000.0
TIMEOUT = Timeout(5.0, 5.0, 5.0)
URL = "http://user:8000/api/users/42"
REFUSED = Failure(ServiceConnectionError, "refused", nothing_sent=True, health=ServiceHealth.DOWN)
BROKEN = Failure(ServiceConnectionError, "broke off", health=ServiceHealth.DOWN)
SLOW = Failure(ServiceTimeout, "no whole answer in time", health=ServiceHealth.DOWN)
LATE = Failure(DeadlineExceeded, "the deadline has passed", is_retriable=False)


def a_request(method="GET", url=URL):
    return requests.Request(method, url).prepare()


def a_call(method="GET", *, policy=None, seconds=15.0, **changes):
    config = ClientConfig(timeout=TIMEOUT, policy=policy or RetryPolicy(), deadline=15.0)
    values = {
        "config": config,
        "options": config.options(),
        "request": a_request(method),
        "origin": origin_of(URL),
        "service": "user",
        "seconds": seconds,
        "is_imposed": False,
        "is_repeatable": method == "GET",
        "rewind": lambda: None,
        "token": None,
        "token_header": "Authorization",
        "circuit": None,
        "budget": None,
    }
    return Call(**values | changes)


def answered(status, body=b"", **headers):
    def respond(request):
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        response._content, response._content_consumed = body, True
        return response

    return respond


class Script:
    """Plays a call: each entry is the outcome of a Send or a FetchToken, or ``(outcome, seconds that it took)``."""

    def __init__(self, call, *outcomes, read=lambda response: response.status_code):
        self.actions, self.now = [], START
        self.outcomes = [one if isinstance(one, tuple) else (one, 0.0) for one in outcomes]
        self.result = self.error = None
        steps = CallCore(call, now=START, chance=lambda: 0.0).run(read)
        try:
            action = next(steps)
            while True:
                self.actions.append(action)
                event = self.do(action)
                action = steps.throw(event) if isinstance(event, Exception) else steps.send(event)
        except StopIteration as end:
            self.result = end.value
        except ServiceError as error:
            self.error = error
        assert self.outcomes == [], "the call ended early"

    def do(self, action):
        if isinstance(action, Wait):
            self.now += action.seconds
            return Event(self.now)
        outcome, seconds = self.outcomes.pop(0)
        self.now += seconds
        if isinstance(action, FetchToken):
            return outcome if isinstance(outcome, Exception) else Event(self.now, outcome)
        response = outcome(action.request) if callable(outcome) else outcome
        asked = None if isinstance(response, Failure) else response.headers.get("Retry-After")
        return Event(self.now, response, None if asked is None else float(asked))

    @property
    def story(self):
        """What was done: ``send``, ``token``, or the seconds of a wait."""
        names = {Send: "send", FetchToken: "token"}
        return [one.seconds if isinstance(one, Wait) else names[type(one)] for one in self.actions]

    @property
    def sent(self):
        return [action.request for action in self.actions if isinstance(action, Send)]


@pytest.mark.parametrize(
    ("method", "outcomes", "story", "end"),
    [
        pytest.param("GET", [answered(200)], ["send"], 200, id="an answer"),
        pytest.param("GET", [answered(404)], ["send"], NotFound, id="4xx is final"),
        pytest.param("GET", [answered(503), answered(200)], ["send", 0.5, "send"], 200, id="503 is retried"),
        pytest.param(
            "GET", [answered(500)] * 4, ["send", 0.5, "send", 1.0, "send", 2.0, "send"], ServerError, id="3 retries"
        ),
        pytest.param("GET", [answered(501)], ["send"], ServerError, id="501 is not of the policy"),
        pytest.param("GET", [BROKEN, answered(200)], ["send", 0.5, "send"], 200, id="a GET that broke off"),
        pytest.param("GET", [SLOW, answered(200)], ["send", 0.5, "send"], 200, id="a GET that was slow"),
        pytest.param("GET", [LATE], ["send"], DeadlineExceeded, id="the deadline ends it"),
        pytest.param("POST", [answered(503)], ["send"], ServerError, id="a POST is not repeated"),
        pytest.param("POST", [BROKEN], ["send"], ServiceConnectionError, id="nor one that broke off"),
        pytest.param("POST", [REFUSED, answered(201)], ["send", 0.5, "send"], 201, id="but one that was not sent is"),
        pytest.param(
            "GET", [answered(503, Retry_After="3"), answered(200)], ["send", 3.0, "send"], 200, id="Retry-After"
        ),
        pytest.param("GET", [answered(503, Retry_After="11")], ["send"], ServerError, id="Retry-After above the cap"),
        pytest.param(
            "GET",
            [(SLOW, 5.0), (SLOW, 5.0), (LATE, 3.5)],
            ["send", 0.5, "send", 1.0, "send"],
            DeadlineExceeded,
            id="timeouts up to the deadline",
        ),
        pytest.param("GET", [(SLOW, 14.6)], ["send"], ServiceTimeout, id="no time for the wait"),
        pytest.param(
            "GET", [(answered(503, Retry_After="0"), 14.999)], ["send", 0.0], ServerError, id="no time for another"
        ),
    ],
)
def test_outcomes_lead_to_these_attempts_and_waits(method, outcomes, story, end):
    script = Script(a_call(method), *outcomes)

    assert script.story == story
    assert script.result == end if isinstance(end, int) else type(script.error) is end


def test_a_post_with_an_idempotency_key_is_retried():
    assert Script(a_call("POST", is_repeatable=True), answered(503), answered(201)).result == 201


def test_a_body_that_cannot_be_rewound_is_sent_once():
    assert Script(a_call(rewind=None), REFUSED).story == ["send"]


def test_the_error_has_each_attempt_in_its_history():
    error = Script(a_call(), (answered(503), 0.25), (SLOW, 5.0), answered(404)).error

    facts = [(one.number, one.status, one.error, one.elapsed, one.wait) for one in error.history]
    assert facts == [
        (1, 503, "ServerError", 0.25, 0.5),
        (2, None, "ServiceTimeout", 5.0, 1.0),
        (3, 404, "NotFound", 0.0, 0.0),
    ]
    assert (error.service, error.method, error.url, error.elapsed) == ("user", "GET", URL, 6.75)


def test_each_attempt_sends_the_seconds_left_as_its_deadline():
    script = Script(a_call(seconds=8.0), (SLOW, 5.0), answered(200))

    assert [request.headers["X-Request-Deadline"] for request in script.sent] == ["8.000", "2.500"]
    assert [(action.timeout.total, action.seconds) for action in script.actions if isinstance(action, Send)] == [
        (5.0, 8.0),
        (5.0, 2.5),
    ]


@pytest.mark.parametrize(
    ("is_imposed", "reason"), [(False, "the deadline of 15 s"), (True, "the caller of this service")]
)
def test_a_deadline_error_names_whose_deadline_it_was(is_imposed, reason):
    assert reason in str(Script(a_call(is_imposed=is_imposed), LATE).error)


def test_no_attempt_is_made_with_too_little_time_left():
    script = Script(a_call(seconds=0.004))

    assert (script.story, type(script.error), script.error.attempts) == ([], DeadlineExceeded, 0)


class TestTokens:
    def test_a_token_given_as_text_is_sent(self):
        (request,) = Script(a_call(token="abc"), answered(200)).sent

        assert request.headers["Authorization"] == "Bearer abc"

    def test_a_token_provider_is_called_before_the_request(self):
        script = Script(a_call(token=lambda: "abc"), "abc", answered(200))

        assert script.story == ["token", "send"]
        assert script.sent[0].headers["Authorization"] == "Bearer abc"

    def test_a_refused_token_of_a_provider_is_renewed_once(self):
        script = Script(a_call(token=lambda: "x"), "old", answered(401), "new", answered(401))

        assert script.story == ["token", "send", "token", "send"]
        assert [action.refused for action in script.actions if isinstance(action, FetchToken)] == [None, "old"]
        assert script.sent[1].headers["Authorization"] == "Bearer new"
        assert type(script.error) is Unauthorized

    def test_a_refused_token_given_as_text_is_not_renewed(self):
        assert Script(a_call(token="abc"), answered(401)).story == ["send"]

    def test_a_refused_token_is_not_renewed_if_the_body_cannot_be_rewound(self):
        assert Script(a_call(token=lambda: "x", rewind=None), "old", answered(401)).story == ["token", "send"]

    def test_a_provider_that_fails_ends_the_call(self):
        script = Script(a_call(token=lambda: "x"), TokenError("no token"))

        assert (script.story, type(script.error)) == (["token"], TokenError)


class TestRedirects:
    def test_a_redirect_within_the_origin_keeps_the_token(self):
        script = Script(a_call(token="abc"), (answered(302, Location="/api/users/43"), 1.0), answered(200))

        assert [request.url for request in script.sent] == [URL, "http://user:8000/api/users/43"]
        assert script.sent[1].headers["Authorization"] == "Bearer abc"
        assert script.actions[1].timeout.total == 4.0  # one attempt

    def test_a_redirect_to_another_origin_drops_token_and_certificate(self):
        script = Script(a_call(token="abc"), answered(302, Location="http://evil/x"), answered(200))

        assert "Authorization" not in script.sent[1].headers
        assert [action.with_certificate for action in script.actions] == [True, False]

    @pytest.mark.parametrize(
        "location",
        [
            "ftp://user/x",
            "http://a@user:8000/",
            "//user\\@evil/x",
            "http://[::1/",
            "//[x]/",
            "http://[v1.x]/",
            "http://℀/".encode().decode("latin-1"),
            "//a\uff0fb/".encode().decode("latin-1"),
            "http://user:x/",
            "http://user:99999/",
            "/\u2028",
        ],
    )
    def test_a_redirect_to_an_unsafe_url_is_an_error(self, location):
        script = Script(a_call(), answered(302, Location=location))

        assert (script.story, type(script.error)) == (["send"], UnsafeURL)

    def test_a_redirect_loop_ends_in_too_many_redirects(self):
        script = Script(a_call(), *[answered(302, Location=URL)] * (MAX_REDIRECTS + 1))

        assert type(script.error) is TooManyRedirects

    def test_a_redirected_post_is_returned(self):
        assert Script(a_call("POST"), answered(302, Location=URL)).result == 302


class TestCircuit:
    @pytest.fixture
    def circuit(self):
        return Circuit(CircuitBreaker(failures=1, rest=10))

    @pytest.mark.parametrize(
        ("outcome", "is_open"),
        [
            (REFUSED, True),
            (SLOW, True),
            (LATE, False),
            (answered(503), True),
            (answered(500), False),
            (answered(404), False),
            (answered(200), False),
        ],
        ids=["refused", "slow", "late", "503", "500", "404", "200"],
    )
    def test_only_outcomes_of_a_service_that_is_down_open_the_circuit(self, circuit, outcome, is_open):
        Script(a_call(circuit=circuit, policy=RetryPolicy(retries=0)), outcome)

        assert (circuit.state(START)[0] == "open") is is_open

    def test_nothing_is_sent_while_the_circuit_is_open(self, circuit):
        Script(a_call(circuit=circuit, policy=RetryPolicy(retries=0)), REFUSED)
        script = Script(a_call(circuit=circuit))

        assert (script.story, type(script.error), script.error.retry_after) == ([], CircuitOpen, 10.0)

    def test_a_probe_is_not_retried(self, circuit):
        circuit.release(circuit.acquire(START - 20), ServiceHealth.DOWN, START - 20)
        script = Script(a_call(circuit=circuit), REFUSED)

        assert script.story == ["send"]
        assert circuit.state(START)[0] == "open"

    def test_an_interrupted_call_releases_its_permit(self, circuit):
        circuit.release(circuit.acquire(START - 20), ServiceHealth.DOWN, START - 20)
        steps = CallCore(a_call(circuit=circuit), now=START, chance=lambda: 0.0).run(lambda response: response)
        next(steps)
        assert not hasattr(circuit.acquire(START), "is_probe")
        with pytest.raises(KeyboardInterrupt):
            steps.throw(KeyboardInterrupt())

        assert circuit.acquire(START).is_probe

    @pytest.mark.parametrize(("left", "is_open"), [(0.2, True), (0.05, False)])
    def test_a_503_opens_the_circuit_unless_it_comes_at_the_deadline(self, circuit, left, is_open):
        call = a_call(circuit=circuit, policy=RetryPolicy(retries=0), seconds=1.0)
        Script(call, (answered(503), 1.0 - left))

        assert (circuit.state(START)[0] == "open") is is_open


def test_a_budget_that_is_spent_ends_the_call_with_its_last_error():
    budget = RetryBudgetState(RetryBudget(ratio=0, reserve=2))
    first, second = Script(a_call(budget=budget), *[answered(503)] * 3), Script(a_call(budget=budget), answered(503))

    assert first.story == ["send", 0.5, "send", 1.0, "send"]
    assert (second.story, type(second.error)) == (["send"], ServerError)


@pytest.mark.parametrize(
    ("call", "outcomes", "earned"),
    [
        ({}, [answered(200)], 0.5),
        ({}, [answered(503), answered(200)], -0.5),  # a retry earns nothing
        ({"token": lambda: "x"}, ["old", answered(401), "new", answered(200)], 0.5),
        ({"seconds": 0.0}, [], 0.0),
        ({"token": lambda: "x"}, [TokenError("no token")], 0.0),
        ({"token": lambda: "x", "seconds": 1.0}, [("late", 2.0)], 0.0),
        ({"open_transaction": "default"}, [], 0.0),
    ],
    ids=["sent", "retried", "renewed", "too late", "no token", "a token too late", "in a transaction"],
)
def test_a_sent_call_adds_to_the_retry_budget(call, outcomes, earned):
    budget = RetryBudgetState(RetryBudget(ratio=0.5, reserve=10))
    for _ in range(5):
        budget.spend()
    Script(a_call(budget=budget, **call), *outcomes)

    assert budget.left == 5 + earned


def test_a_response_that_cannot_be_read_is_an_error():
    script = Script(a_call(), answered(200, b"<html>", Content_Type="text/html"), read=read_json)

    assert type(script.error) is InvalidResponse
    assert "text/html" in str(script.error)


def test_a_status_that_is_expected_is_read():
    call = a_call()
    assert Script(replace(call, options=replace(call.options, expected={404})), answered(404)).result == 404


def test_inside_a_transaction_nothing_is_sent():
    script = Script(a_call(open_transaction="default"))

    assert (script.story, type(script.error)) == ([], CallInsideTransaction)


@pytest.mark.parametrize(
    ("outcomes", "kinds"),
    [
        ([answered(200)], ["attempt", "success"]),
        ([answered(503), answered(200)], ["attempt", "retry", "attempt", "success"]),
        ([answered(404)], ["attempt", "failure"]),
    ],
    ids=["well", "after a retry", "badly"],
)
def test_attempts_retries_and_the_end_are_events(outcomes, kinds):
    events, call = [], a_call()
    Script(replace(call, config=replace(call.config, on_event=events.append)), *outcomes)

    assert [event.kind for event in events] == kinds


def test_a_client_error_is_not_retried_whatever_its_retry_after():
    assert type(Script(a_call(), answered(400, Retry_After="1")).error) is ClientError


def test_the_error_of_a_broken_stream_has_the_details_of_the_call():
    core = CallCore(a_call(), now=START, chance=lambda: 0.0)
    error = core.stream_error(BROKEN, START + 3)

    assert (type(error), error.elapsed, error.service) == (ServiceConnectionError, 3.0, "user")


def test_a_probe_without_a_deadline_has_infinite_seconds():
    circuit = Circuit(CircuitBreaker(failures=1, rest=10))
    circuit.release(circuit.acquire(START - 20), ServiceHealth.DOWN, START - 20)
    steps = CallCore(a_call(circuit=circuit), now=START, chance=lambda: 0.0).run(lambda response: response)
    next(steps)

    assert circuit._probe.seconds == inf
