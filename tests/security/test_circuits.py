"""One caller's input, deadline or choice of hosts must not take a service away from the other callers."""

import contextlib
import heapq
import io
import itertools
import threading
import time as real_time
from math import inf

import pytest
import requests
from django.http import UnreadablePostError
from requests.adapters import BaseAdapter

from shared_core.clients import (
    CircuitBreaker,
    CircuitOpen,
    ClientCredentials,
    DeadlineExceeded,
    RetryBudget,
    ServiceError,
    UnsafeURL,
)
from shared_core.clients.circuits import Circuit, OriginRegistry, Permit, ServiceHealth, registry
from shared_core.origins import origin_of
from tests.clients.server import answer, broken_off, dripping, hang_up, raw, redirect, silent

RULE = CircuitBreaker(failures=5, rest=10)
BUDGET = RetryBudget()


def shown(make, server, *replies, **options):
    """Return what a call that meets ``replies`` shows about the service, after one call that found it down."""
    client = make(server.url, token=False, timeout=options.pop("timeout", 5), max_response_bytes=1000)
    server.script(hang_up, *replies)
    for given in ({}, options):
        with contextlib.suppress(ServiceError):
            client.get("/x", retries=0, **given)
    return {0: ServiceHealth.UP, 1: ServiceHealth.UNKNOWN, 2: ServiceHealth.DOWN}[client.stats()[server.url].failures]


@pytest.mark.parametrize(
    "status", [200, 204, 304, 400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 501, 505, 507, 508, 511, 599]
)
def test_an_answer_shows_that_the_service_is_up(make, server, status):
    assert shown(make, server, answer(status, Retry_After="60")) is ServiceHealth.UP


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "60"}])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_for_a_service_that_is_down_shows_that(make, server, status, headers):
    # RFC 9110 §15.6.4: 503 is for overload and maintenance; the limit of one caller is 429.
    assert shown(make, server, answer(status, **headers)) is ServiceHealth.DOWN


HEAD = b"HTTP/1.1 200 OK\r\n"
HALF = dripping(HEAD + b"Content-Length: 9\r\n\r\n", b"", pause=1)
OTHER_FAILURES = {
    "no answer": (hang_up, {}, ServiceHealth.DOWN),
    "no HTTP": (raw(b"220 mail.example.org ESMTP\r\n"), {}, ServiceHealth.DOWN),
    "no answer in time": (silent(5), {"timeout": 0.1}, ServiceHealth.DOWN),
    "half an answer in time": (HALF, {"timeout": 0.1}, ServiceHealth.DOWN),
    "no answer within the caller's deadline": (silent(5), {"deadline": 0.1}, ServiceHealth.UNKNOWN),
    "half an answer within the caller's deadline": (HALF, {"deadline": 0.1}, ServiceHealth.UNKNOWN),
    # The caller's deadline leaves less than 0.1 s: the service, or one that it calls, gave up for lack of time.
    "503 at the end of the caller's deadline": (answer(503), {"deadline": 0.05}, ServiceHealth.UNKNOWN),
    "500 at the end of the caller's deadline": (answer(500), {"deadline": 0.05}, ServiceHealth.UP),
    # How a view fails whose response streams: its status has been sent.
    "a body that breaks off": (broken_off, {}, ServiceHealth.UP),
    "a body in broken chunks": (raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), {}, ServiceHealth.UP),
    "a body that is too large": (answer(200, b"x" * 2000), {}, ServiceHealth.UP),
    "a body in another coding": (answer(200, b"x", Content_Encoding="br"), {}, ServiceHealth.UP),
    "a body in a broken coding": (answer(200, b"x", Content_Encoding="gzip"), {}, ServiceHealth.UP),
    "a header that is too long": (raw(HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n"), {}, ServiceHealth.UP),
    "too many headers": (raw(HEAD + b"X: x\r\n" * 200 + b"\r\n"), {}, ServiceHealth.UP),
    "a loop of redirects": (redirect("/x"), {}, ServiceHealth.UP),
    "a redirect to what is no URL of the client's": (redirect("ftp://elsewhere/"), {}, ServiceHealth.UP),
}


@pytest.mark.parametrize(("reply", "options", "verdict"), OTHER_FAILURES.values(), ids=OTHER_FAILURES)
def test_what_a_failure_shows_about_the_service(make, server, reply, options, verdict):
    assert shown(make, server, reply, **options) is verdict


def test_what_is_not_json_shows_that_the_service_is_up(make, server):
    server.script(hang_up, answer(200, b"<html>"))
    client = make(server.url, token=False)
    for call in (client.get, client.get_json):
        with pytest.raises(ServiceError):
            call("/x", retries=0)

    assert client.stats()[server.url].failures == 0


@pytest.mark.parametrize("reply", [hang_up, answer(503), answer(500)])
def test_another_origin_that_fails_shows_nothing_about_the_one_that_redirects_there(make, server, other, reply):
    other.script(reply)

    assert shown(make, server, redirect(f"{other.url}/x")) is ServiceHealth.UP


def test_the_same_origin_that_fails_after_a_redirect_is_down(make, server):
    assert shown(make, server, redirect("/y"), hang_up) is ServiceHealth.DOWN


def test_a_certificate_that_is_not_trusted_opens_no_circuit(make, secure):
    client = make(secure.url, token=False)
    for _ in range(6):
        with pytest.raises(ServiceError, match="certificate"):
            client.get("/x", retries=0)


def test_a_handshake_that_breaks_shows_that_the_service_is_down(make, server):
    url = server.url.replace("http:", "https:")
    server.script_before_head(hang_up)
    client = make(url, token=False)
    with pytest.raises(ServiceError):
        client.get("/x", retries=0)

    assert client.stats()[url].failures == 1


class Upload:
    """The body of the request being served, whose sender hangs up after so many seconds."""

    def __init__(self, error, seconds=0.0):
        self.error, self.seconds, self.pieces = error, seconds, [b"a piece"]

    def read(self, _=-1):
        if self.pieces:
            return self.pieces.pop()
        real_time.sleep(self.seconds)
        if self.error is None:
            return b""
        raise self.error


@pytest.mark.parametrize(
    "error", [UnreadablePostError("gone"), ConnectionResetError(), BrokenPipeError(), TimeoutError()]
)
@pytest.mark.parametrize("kind", ["file", "generator"])
def test_an_upload_that_its_sender_breaks_off_opens_no_circuit(make, server, error, kind):
    client = make(server.url, token=False, breaker=CircuitBreaker(failures=1))
    upload = Upload(error)
    with pytest.raises(ServiceError, match="body cannot be read"):
        client.put("/x", data=upload if kind == "file" else iter(upload.read, b""), retries=0)

    assert client.stats()[server.url].failures == 0


@pytest.mark.parametrize("reply", [broken_off, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"", pause=2)])
def test_a_service_whose_response_is_sent_on_opens_no_circuit_of_another(make, server, other, reply):
    server.script(reply)
    client = make(other.url, token=False, breaker=CircuitBreaker(failures=1))
    with (
        make(server.url, token=False, timeout=0.3).get("/file", stream=True) as response,
        pytest.raises(ServiceError, match="body cannot be read"),
    ):
        client.put("/x", data=response.raw, retries=0)

    assert client.stats()[other.url].failures == 0


def test_a_slow_upload_opens_no_circuit(make, server):
    client = make(server.url, token=False, timeout=0.2, breaker=CircuitBreaker(failures=1))

    assert client.put("/x", data=iter(Upload(None, 0.5).read, b"")).status_code == 200
    with pytest.raises(DeadlineExceeded):
        client.put("/x", data=(real_time.sleep(0.1) or b"x" for _ in range(50)), deadline=0.5)
    assert client.stats()[server.url].circuit == "closed"


@pytest.mark.parametrize("status", [500, 501])
def test_one_callers_errors_open_no_circuit_for_the_others(make, server, status):
    client = make(server.url, token=False)
    server.script(answer(status))
    for _ in range(20):
        with pytest.raises(ServiceError):
            client.get("/search?q=%00", retries=0)
    server.script(answer(200))

    assert client.get("/x").status_code == 200


def test_a_probe_that_is_answered_with_500_closes_the_circuit(make, server, time):
    client = make(server.url, token=False)
    server.script(answer(503))
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    time.value += 10
    server.script(answer(500))
    with pytest.raises(ServiceError):
        client.get("/x")

    assert client.stats()[server.url].circuit == "closed"


# Probes, by a simulated clock.


def opened(at=0.0):
    """Return a circuit that opened at ``at``."""
    circuit = Circuit(RULE)
    for _ in range(RULE.failures):
        circuit.release(circuit.acquire(at), ServiceHealth.DOWN, at)
    return circuit


def flood(*callers, answers_in, until=200.0):
    """Let callers ask a service that is well again, and return when the circuit closes and who was refused by then.

    Args:
        callers: Of each kind, the seconds between two calls and the deadline of each; inf for none.
        answers_in: How long the service takes; the client's timeout is 5 s.
        until: When it ends at the latest.
    """
    circuit, refused, number = opened(), [0] * len(callers), itertools.count()
    coming = [(10.0 + kind * 0.01, next(number), kind, None) for kind in range(len(callers))]
    at_once, most = 0, 0
    while coming:
        now, _, kind, lease = heapq.heappop(coming)
        every, deadline = callers[kind]
        if lease is not None:
            at_once -= 1
            verdict = ServiceHealth.UP if answers_in <= deadline else ServiceHealth.UNKNOWN
            circuit.release(lease, verdict if answers_in <= 5 else ServiceHealth.DOWN, now)
            if circuit.state(now)[0] == "closed":
                return now, refused, most
            continue
        if now > until:
            continue
        heapq.heappush(coming, (now + every, next(number), kind, None))
        entered = circuit.acquire(now, deadline)
        if isinstance(entered, Permit):
            at_once += 1
            most = max(most, at_once)
            heapq.heappush(coming, (now + min(answers_in, deadline, 5.0), next(number), kind, entered))
        else:
            refused[kind] += 1
    return None, refused, most


def test_callers_with_short_deadlines_do_not_keep_the_probe_from_others():
    closed, (_, refused), _ = flood((0.01, 0.1), (0.5, inf), answers_in=0.5)

    assert closed == pytest.approx(10.51)
    assert refused <= 1  # while the probe is under way


@pytest.mark.parametrize("deadlines", [[0.006, 0.012, 0.024, 0.04], [0.006 * 1.1**step for step in range(20)]])
def test_nor_does_it_help_to_choose_deadlines_that_grow(deadlines):
    closed, refused, most = flood(*((0.01, each) for each in deadlines), (0.5, 0.2), answers_in=0.05)

    assert closed < 10 + 1
    assert refused[-1] <= 1
    assert most <= 6


@pytest.mark.parametrize("every", [0.003, 0.5, 3.0])
def test_a_fleet_with_short_deadlines_only_has_its_service_back(every):
    closed, refused, _ = flood((every, 0.1), answers_in=0.05)

    assert closed == pytest.approx(10.05)
    assert sum(refused) <= 0.05 / every


def test_a_service_that_no_deadline_is_long_enough_for_is_not_flooded_with_probes():
    closed, _, most = flood((0.01, 0.1), (0.01, 0.3), (0.01, 2.0), answers_in=3.0)

    assert closed is None
    assert most <= 3


def test_a_short_probe_that_is_cut_short_leaves_the_circuit_as_it_was():
    circuit = opened()
    circuit.release(circuit.acquire(10.0, 0.1), ServiceHealth.UNKNOWN, 10.1)

    assert circuit.state(10.1) == ("half-open", 5, 0.0)
    assert circuit.acquire(10.1, 0.2) == 10.0
    assert circuit.acquire(10.1, 0.3).is_probe
    assert circuit.acquire(10.1).is_probe


@pytest.mark.parametrize(("verdict", "state"), [(ServiceHealth.UP, "closed"), (ServiceHealth.DOWN, "open")])
def test_a_short_probe_that_is_answered_decides(verdict, state):
    circuit = opened()
    circuit.release(circuit.acquire(10.0, 0.1), verdict, 10.05)

    assert circuit.state(10.05)[0] == state


def test_a_probe_that_never_ends_holds_off_others_for_the_rest_only():
    circuit = opened()
    circuit.acquire(10.0)

    assert circuit.acquire(19.9) == 10.0
    late = circuit.acquire(20.0)
    assert late.is_probe
    circuit.release(late, ServiceHealth.UP, 20.1)
    assert circuit.state(20.1)[0] == "closed"


def test_a_probe_that_ends_after_the_next_one_began_takes_nothing_from_it():
    circuit = opened()
    slow = circuit.acquire(10.0)
    circuit.acquire(20.0)
    circuit.release(slow, ServiceHealth.UNKNOWN, 21.0)

    assert circuit.acquire(21.0) == 10.0


class Slow(BaseAdapter):
    """A transport to a service that answers in half a second; ``meanwhile`` is done while it is waited for."""

    def __init__(self, time):
        super().__init__()
        self.time, self.status, self.meanwhile = time, 503, None

    def send(self, request, *, timeout, **_):
        if self.meanwhile is not None and timeout[1] < 0.5:
            self.meanwhile()
            self.time.value += timeout[1]
            raise requests.ReadTimeout
        response = requests.Response()
        response.status_code, response.raw = self.status, io.BytesIO(b"{}")
        return response

    def close(self):
        pass


def test_a_client_lets_a_caller_with_time_through_while_one_without_is_the_probe(make, time):
    slow = Slow(time)
    client = make("http://user", token=False, transport=slow)
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    time.value, slow.status = time.value + 10, 200
    answers = []
    slow.meanwhile = lambda: answers.append(client.get("/x"))
    with pytest.raises(DeadlineExceeded):
        client.get("/x", deadline=0.1)

    assert [response.status_code for response in answers] == [200]
    assert client.stats()["http://user"].circuit == "closed"


class Killed(BaseException):
    """As greenlet.GreenletExit."""


@pytest.mark.parametrize("error", [Killed, GeneratorExit, SystemExit, MemoryError, RuntimeError])
def test_a_probe_whose_thread_is_stopped_gives_its_place_back(make, time, error):
    slow = Slow(time)
    client = make("http://user", token=False, transport=slow)
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    time.value, slow.status = time.value + 10, 200

    def stop():
        raise error

    with pytest.raises(error):
        client.get("/x", hooks={"response": lambda *_, **__: stop()})

    assert client.get("/x").status_code == 200


def test_a_stream_that_is_neither_read_nor_closed_closes_the_circuit(make, server, time):
    client = make(server.url, token=False)
    server.script(answer(503))
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    time.value += 10
    server.script(answer(200, b"x" * 100))
    streamed = client.get("/x", stream=True)

    assert client.get("/x").status_code == 200
    streamed.close()


def test_a_probe_of_a_thread_that_never_comes_back_is_replaced(make, time):
    slow, stuck, go = Slow(time), threading.Event(), threading.Event()
    client = make("http://user", token=False, transport=slow)
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    time.value, slow.status = time.value + 10, 200

    def hang(*_, **__):
        stuck.set()
        go.wait(10)

    thread = threading.Thread(target=client.get, args=("/x",), kwargs={"hooks": {"response": hang}})
    thread.start()
    try:
        stuck.wait(5)
        with pytest.raises(CircuitOpen):
            client.get("/x")
        time.value += 10

        assert client.get("/x").status_code == 200
    finally:
        go.set()
        thread.join()


# Hosts that users choose.


def origin(number):
    return origin_of(f"http://host{number}.example")


def fail(circuit, now, times=RULE.failures):
    for _ in range(times):
        circuit.release(circuit.acquire(now), ServiceHealth.DOWN, now)


SERVICE = origin_of("http://user-service")


@pytest.mark.parametrize("is_failing", [False, True], ids=["hosts that answer", "hosts that do not"])
@pytest.mark.parametrize("now", [0.0, 9.0, 50.0])
def test_no_number_of_hosts_pushes_an_open_circuit_out(now, is_failing):
    book = OriginRegistry()
    fail(book.circuit(SERVICE, RULE, 0.0), 0.0)
    for number in range(3000):
        circuit = book.circuit(origin(number), RULE, now)
        if is_failing:
            fail(circuit, now)

    assert book.circuit(SERVICE, RULE, now).state(now)[0] != "closed"
    assert len(book._circuits.others) <= 1024


def test_no_number_of_hosts_resets_a_count_of_failures():
    book = OriginRegistry()
    fail(book.circuit(SERVICE, RULE, 0.0), 0.0, times=4)
    for number in range(3000):
        fail(book.circuit(origin(number), RULE, 1.0), 1.0, times=1)
    fail(book.circuit(SERVICE, RULE, 1.0), 1.0, times=1)

    assert book.circuit(SERVICE, RULE, 1.0).state(1.0)[0] == "open"


@pytest.mark.parametrize("is_failing", [False, True], ids=["hosts that answer", "hosts that do not"])
def test_no_number_of_hosts_refills_a_budget(is_failing):
    book = OriginRegistry()
    while book.budget(SERVICE, BUDGET, 0.0).spend():
        pass
    for number in range(3000):
        purse = book.budget(origin(number), BUDGET, 1.0)
        if is_failing:
            purse.spend()

    assert not book.budget(SERVICE, BUDGET, 1.0).spend()
    assert len(book._budgets.others) <= 1024


def test_what_was_used_last_is_kept_longest():
    book = OriginRegistry()
    kept = book.circuit(SERVICE, RULE, 0.0)
    for number in range(5000):
        book.circuit(origin(number), RULE, float(number))
        assert book.circuit(SERVICE, RULE, float(number)) is kept


@pytest.mark.parametrize("host", ["a" * 254, "a." * 200, "é" * 254, "[fe80::1%25" + "a" * 300 + "]"])
def test_a_name_that_no_host_can_have_is_kept_nowhere(make, recorder, host):
    with pytest.raises(UnsafeURL):
        make(token=False, transport=recorder).get(f"http://{host}/")

    assert registry.stats(0) == {}


def test_room_is_made_of_what_nobody_called_for_long():
    book = OriginRegistry()
    for number in range(1024):
        fail(book.circuit(origin(number), RULE, 0.0), 0.0)
        book.budget(origin(number), BUDGET, 0.0).spend()

    for now, is_kept in [(1.0, False), (601.0, True)]:
        assert (book.circuit(SERVICE, RULE, now) is book.circuit(SERVICE, RULE, now)) is is_kept
        assert (book.budget(SERVICE, BUDGET, now) is book.budget(SERVICE, BUDGET, now)) is is_kept


def test_a_long_rest_is_kept_for_longer():
    book, rule = OriginRegistry(), CircuitBreaker(failures=1, rest=3600)
    for number in range(1024):
        fail(book.circuit(origin(number), rule, 0.0), 0.0, times=1)
    book.circuit(SERVICE, rule, 3000.0)

    assert book.circuit(origin(0), rule, 3000.0).acquire(3000.0) == 600.0


def test_a_client_keeps_a_circuit_open_whatever_hosts_it_is_told_to_call(make, server, time, recorder):
    client = make(server.url, token=False)
    server.script(answer(503))
    for _ in range(5):
        with pytest.raises(ServiceError):
            client.get("/x", retries=0)
    anywhere = make(token=False, transport=recorder)
    for number in range(1100):
        anywhere.get(f"http://host{number}.example/hook")

    with pytest.raises(CircuitOpen):
        client.get("/x")
    assert len(registry._circuits.others) <= 1024


def test_hosts_that_fail_take_no_place_from_a_named_service_that_works():
    book = OriginRegistry()
    circuit, budget = (
        book.circuit(SERVICE, RULE, 0.0, is_named=True),
        book.budget(SERVICE, BUDGET, 0.0, is_named=True),
    )
    for number in range(3000):
        fail(book.circuit(origin(number), RULE, 1.0), 1.0, times=1)
        book.budget(origin(number), BUDGET, 1.0).spend()

    assert book.circuit(SERVICE, RULE, 700.0, is_named=True) is circuit
    assert book.budget(SERVICE, BUDGET, 700.0, is_named=True) is budget
    assert len(book._circuits.others) == len(book._budgets.others) == 1024


def test_a_named_service_is_kept_while_all_places_of_others_are_taken():
    book = OriginRegistry()
    for number in range(1024):
        fail(book.circuit(origin(number), RULE, 0.0), 0.0)
        book.budget(origin(number), BUDGET, 0.0).spend()

    assert book.circuit(SERVICE, RULE, 1.0, is_named=True) is book.circuit(SERVICE, RULE, 1.0, is_named=True)
    assert book.budget(SERVICE, BUDGET, 1.0, is_named=True) is book.budget(SERVICE, BUDGET, 1.0, is_named=True)


def test_the_named_are_bounded_too():
    book = OriginRegistry()
    for number in range(3000):
        fail(book.circuit(origin(number), RULE, 0.0, is_named=True), 0.0)
        book.budget(origin(number), BUDGET, 0.0, is_named=True).spend()

    assert len(book._circuits.named) == len(book._budgets.named) == 1024


@pytest.mark.parametrize("is_named_first", [False, True])
def test_an_origin_has_one_state_whoever_calls_it(is_named_first):
    book = OriginRegistry()
    first = book.circuit(SERVICE, RULE, 0.0, is_named=is_named_first)
    second = book.circuit(SERVICE, RULE, 0.0, is_named=not is_named_first)

    assert first is second
    assert book.circuit(SERVICE, RULE, 0.0) is first
    assert len(book.stats(0.0)) == 1


def test_what_the_service_names_is_kept_apart_from_what_users_choose(make, server, other, recorder):
    other.script(answer(200, '{"access_token": "t"}', Content_Type="application/json"))
    make(server.url, token=ClientCredentials(f"{other.url}/token", "ticket", "secret")).get("/x")
    make(token=False, transport=recorder).get("http://host.example/hook")

    assert {str(origin) for origin, _ in registry._circuits.named} == {server.url, other.url}
    assert {str(origin) for origin, _ in registry._circuits.others} == {"http://host.example"}
