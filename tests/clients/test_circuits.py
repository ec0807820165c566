"""Circuits and budgets: alone, under threads, and in the client."""

import threading

import pytest

from shared_core.clients import (
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    HTTPClient,
    NotFound,
    RetryBudget,
    ServerError,
    ServiceConnectionError,
    ServiceTimeout,
)
from shared_core.clients.circuits import Circuit, OriginRegistry, Permit, RetryBudgetState, ServiceHealth
from shared_core.origins import origin_of
from tests.clients.server import answer, hang_up, silent

RULE = CircuitBreaker(failures=2, rest=10)


def opened(at=0.0):
    """Return a circuit that opened at ``at``."""
    circuit = Circuit(RULE)
    for _ in range(2):
        circuit.release(circuit.acquire(at), ServiceHealth.DOWN, at)
    return circuit


def test_a_circuit_opens_after_so_many_failures_in_a_row_and_says_for_how_long():
    circuit = opened(at=100.0)

    assert circuit.acquire(104.0) == 6.0
    assert circuit.state(104.0) == ("open", 2, 6.0)


@pytest.mark.parametrize("verdict", [ServiceHealth.UP])
def test_a_response_in_between_resets_the_count_of_failures(verdict):
    circuit = Circuit(RULE)
    for seen in [ServiceHealth.DOWN, verdict, ServiceHealth.DOWN]:
        circuit.release(circuit.acquire(0), seen, 0)

    assert circuit.state(0) == ("closed", 1, 0.0)


def test_an_outcome_of_unknown_health_is_not_counted():
    circuit = Circuit(RULE)
    for seen in [ServiceHealth.DOWN, ServiceHealth.UNKNOWN, ServiceHealth.DOWN]:
        circuit.release(circuit.acquire(0), seen, 0)

    assert circuit.state(0)[0] == "open"


def test_after_the_rest_exactly_one_call_becomes_the_probe():
    circuit = opened()
    answers = []
    barrier = threading.Barrier(50)

    def enter():
        barrier.wait()
        answers.append(circuit.acquire(10.0))

    threads = [threading.Thread(target=enter) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    probes = [answer for answer in answers if isinstance(answer, Permit)]

    assert len(probes) == 1
    assert probes[0].is_probe


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(ServiceHealth.UP, "closed"), (ServiceHealth.DOWN, "open"), (ServiceHealth.UNKNOWN, "half-open")],
)
def test_the_probes_outcome_decides_and_releases_its_permit(verdict, state):
    circuit = opened()
    circuit.release(circuit.acquire(10.0), verdict, 10.0)

    assert circuit.state(10.0)[0] == state
    assert isinstance(circuit.acquire(20.0), Permit)


def test_a_call_from_before_the_circuit_opened_does_not_close_it():
    circuit = Circuit(RULE)
    slow = circuit.acquire(0)
    for _ in range(2):
        circuit.release(circuit.acquire(0), ServiceHealth.DOWN, 0)
    circuit.release(slow, ServiceHealth.UP, 5)

    assert circuit.state(5) == ("open", 2, 5.0)


def test_a_budget_allows_its_reserve_and_a_fifth_of_the_calls():
    purse = RetryBudgetState(RetryBudget(ratio=0.2, reserve=10))
    paid = 0
    for _ in range(1000):
        purse.earn()
        while purse.spend():
            paid += 1

    assert paid == pytest.approx(210, abs=1)


def test_a_budget_saves_no_more_than_its_reserve():
    purse = RetryBudgetState(RetryBudget(ratio=0.2, reserve=3))
    for _ in range(100):
        purse.earn()

    assert [purse.spend() for _ in range(4)] == [True, True, True, False]


def test_the_registry_keeps_a_bounded_number_of_origins():
    registry = OriginRegistry()
    for port in range(1, 3000):
        registry.circuit(origin_of(f"http://host:{port}"), RULE, 0)

    assert 512 < len(registry.stats(0)) <= 1024


@pytest.mark.parametrize(
    ("kind", "arguments", "error"),
    [
        (CircuitBreaker, {"failures": 0}, ValueError),
        (CircuitBreaker, {"failures": 2.5}, TypeError),
        (CircuitBreaker, {"rest": 0}, ValueError),
        (CircuitBreaker, {"rest": "10"}, TypeError),
        (RetryBudget, {"ratio": -0.1}, ValueError),
        (RetryBudget, {"reserve": float("nan")}, ValueError),
        (RetryBudget, {"reserve": None}, TypeError),
    ],
)
def test_an_invalid_breaker_or_budget_argument_is_named(kind, arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        kind(**arguments)


@pytest.mark.parametrize("argument", ["breaker", "budget"])
def test_a_breaker_or_budget_of_another_type_is_a_type_error(argument):
    with pytest.raises(TypeError, match=argument):
        HTTPClient("http://user", **{argument: 5})


def fails(client, times, kind=Exception, **options):
    for _ in range(times):
        with pytest.raises(kind):
            client.get("/x", retries=0, **options)


@pytest.mark.parametrize("reply", [answer(503), answer(502), hang_up], ids=["503", "502", "no answer"])
def test_a_client_stops_calling_a_service_that_failed_five_times_in_a_row(client, server, time, reply):
    server.script(reply)
    fails(client, 5)
    time.value += 4

    with pytest.raises(CircuitOpen, match="not tried") as caught:
        client.get("/x")

    assert len(server.received) == 5
    assert (caught.value.attempts, caught.value.retry_after, caught.value.service) == (0, 6.0, "user")


def test_timeouts_open_the_circuit(make, server):
    server.script(silent(5))
    client = make(server.url, token=False, timeout=0.05, breaker=CircuitBreaker(failures=2))
    fails(client, 2, ServiceTimeout)

    with pytest.raises(CircuitOpen):
        client.get("/x")


def test_addresses_that_do_not_answer_open_the_circuit(make, deaf):
    hosts, port = deaf
    client = make(f"http://{hosts[0]}:{port}", token=False, timeout=0.1, breaker=CircuitBreaker(failures=1))
    fails(client, 1, ServiceTimeout)

    with pytest.raises(CircuitOpen):
        client.get("/x")


def test_refused_connections_open_the_circuit(make, refusing):
    client = make(refusing, token=False)
    fails(client, 5, ServiceConnectionError)

    with pytest.raises(CircuitOpen):
        client.get("/x")


def test_4xx_never_opens_the_circuit(client, server):
    server.script(answer(404))
    fails(client, 20, NotFound)

    assert len(server.received) == 20


def test_4xx_is_an_answer_of_a_service_that_is_up(client, server):
    server.script(*[answer(503)] * 4, answer(404), *[answer(503)] * 4)
    fails(client, 9)

    assert client.stats()[server.url].failures == 4


def test_a_call_that_succeeds_after_retries_is_no_failure(client, server):
    server.script(*[answer(503), answer(200)] * 6)
    for _ in range(6):
        client.get("/x")

    assert client.stats()[server.url].failures == 0


def test_the_probe_is_one_request_and_closes_the_circuit_if_answered(client, server, time):
    server.script(answer(503))
    fails(client, 5)
    time.value += 10
    with pytest.raises(ServerError) as caught:
        client.get("/x")
    assert caught.value.attempts == 1
    with pytest.raises(CircuitOpen):
        client.get("/x")

    time.value += 10
    server.script(answer(200))
    client.get("/x")

    assert client.stats()[server.url].circuit == "closed"
    assert len(server.received) == 7


def test_an_interrupted_probe_releases_its_permit(make, server, time):
    server.script(answer(503))
    client = make(server.url, token=False)
    fails(client, 5)
    time.value += 10

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.get("/x", token=interrupt)
    server.script(answer(200))

    assert client.get("/x").status_code == 200


def test_clients_of_one_origin_share_its_circuit(make, server, other):
    server.script(answer(503))
    fails(make(server.url, token=False), 5)

    with pytest.raises(CircuitOpen):
        make(f"{server.url}/v2", token=False).get("/x")
    assert make(other.url, token=False).get("/x").status_code == 200
    assert make(server.url, token=False, breaker=None).stats()[server.url].circuit == "open"


def test_a_deadline_that_is_too_short_opens_no_circuit(make, server):
    server.script(silent(5))
    client = make(server.url, token=False)
    fails(client, 6, DeadlineExceeded, deadline=0.05)

    assert client.stats()[server.url].circuit == "closed"


def test_a_full_timeout_counts_although_the_deadline_followed(make, server, time):
    # Each attempt had its whole timeout; that the call's deadline then ended is no excuse.
    server.script(silent(5))
    client = make(server.url, token=False, timeout=0.1, deadline=0.15, breaker=CircuitBreaker(failures=1))
    with pytest.raises(ServiceTimeout):
        client.get("/x")

    assert client.stats()[server.url].circuit == "open"


@pytest.mark.parametrize("how", ["argument", "setting"])
def test_a_breaker_can_be_turned_off(make, server, settings, how):
    server.script(answer(503))
    settings.SHARED_CORE_CIRCUIT_BREAKER = how == "argument"
    client = make(server.url, token=False, **({"breaker": None} if how == "argument" else {}))
    fails(client, 20, ServerError)

    assert len(server.received) == 20


@pytest.mark.parametrize("name", ["SHARED_CORE_CIRCUIT_BREAKER", "SHARED_CORE_RETRY_BUDGET"])
def test_breaker_and_budget_settings_must_be_booleans(client, settings, name):
    setattr(settings, name, "no")

    with pytest.raises(Exception, match=f"{name} must be True or False"):
        client.get("/x")


def outage(client, calls):
    for _ in range(calls):
        with pytest.raises((ServerError, CircuitOpen)):
            client.get("/x")


def test_in_an_outage_a_call_sends_hardly_more_than_one_request(make, server):
    server.script(answer(503))
    outage(make(server.url, token=False, breaker=None), 200)

    assert len(server.received) <= 200 * 1.2 + 10


def test_a_retry_beyond_the_budget_raises_the_last_error(make, server):
    server.script(answer(503))
    client = make(server.url, token=False, breaker=None, budget=RetryBudget(ratio=0, reserve=1))
    attempts = []
    for _ in range(2):
        with pytest.raises(ServerError) as caught:
            client.get("/x")
        attempts.append(caught.value.attempts)

    assert attempts == [2, 1]


@pytest.mark.parametrize("how", ["argument", "setting"])
def test_a_budget_can_be_turned_off(make, server, settings, how):
    server.script(answer(503))
    settings.SHARED_CORE_RETRY_BUDGET = how == "argument"
    client = make(server.url, token=False, breaker=None, **({"budget": None} if how == "argument" else {}))
    outage(client, 20)

    assert len(server.received) == 80


def test_no_lock_is_held_while_waiting_for_a_response(make, server):
    release = threading.Event()

    def wait(connection, request):
        release.wait(10)
        return answer(200)(connection, request)

    server.script(wait, answer(200))
    client = make(server.url, token=False)
    slow = threading.Thread(target=client.get, args=("/slow",))
    slow.start()
    try:
        while not server.received:
            pass
        status = client.get("/quick").status_code
    finally:
        release.set()
        slow.join()

    assert status == 200


def test_stats_cover_the_clients_origin_or_all_origins(make, server, other):
    one, both = make(server.url, token=False), make(token=False)
    server.script(answer(503))
    fails(one, 2, ServerError)
    both.get(other.url)

    assert set(one.stats()) == {server.url}
    assert set(both.stats()) == {server.url, other.url}
    stats = one.stats()[server.url]
    assert (stats.circuit, stats.failures, stats.retry_after, stats.retries_left) == ("closed", 2, 0.0, 10.0)


def test_if_breakers_differ_stats_show_the_open_circuit(make, server):
    server.script(answer(503))
    strict = make(server.url, token=False, breaker=CircuitBreaker(failures=1))
    patient = make(server.url, token=False)
    fails(strict, 1)
    fails(patient, 1)

    assert patient.stats()[server.url].circuit == "open"
