"""Do retries keep servers down that come back? The simulation that answers it makes calls as the client does."""

import io
import random

import pytest
import requests
from requests.adapters import BaseAdapter

from shared_core.clients import ServiceError
from shared_core.clients.circuits import registry
from shared_core.clients.wire import NotConnectedError
from tests.benchmarks.storm.callers import ALONE, NAIVE, ONCE, OURS, Call, Known
from tests.benchmarks.storm.servers import Events, Outcome
from tests.benchmarks.storm.story import BACK, END, OUTAGE, WELL_AGAIN, Shape, tell

pytestmark = pytest.mark.slow

ORIGIN = "http://storm.internal:8000"
SMALL = {"processes": 200, "servers": 4}
CAPACITY = 1.45  # what the servers can do, in calls of good times


class Script(BaseAdapter):
    """A transport that meets one outcome after the other."""

    def __init__(self, time, outcomes):
        super().__init__()
        self.time, self.outcomes = time, outcomes

    def send(self, request, *, timeout, **_):
        outcome = self.outcomes.pop(0)
        if outcome is Outcome.REFUSED:
            raise NotConnectedError from ConnectionRefusedError("connection refused")
        if outcome is Outcome.BROKEN:
            raise ConnectionResetError("the connection broke")
        if outcome is Outcome.TIMED_OUT:
            self.time.value += timeout[1]
            raise requests.ReadTimeout("timed out")
        response = requests.Response()
        response.status_code, response.raw = 200, io.BytesIO(b"{}")
        return response

    def close(self):
        pass


def calls_of_the_client(make, time, scripts, gaps):
    """Return ``(answered, seconds, outcomes left)`` of each call, and what is known of the origin in the end."""
    script = Script(time, [])
    client = make(ORIGIN, token=False, transport=script)
    came = []
    for outcomes, gap in zip(scripts, gaps, strict=True):
        time.value += gap
        script.outcomes, began, answered = list(outcomes), time.value, True
        try:
            client.get("/x")
        except ServiceError:
            answered = False
        came.append((answered, time.value - began, len(script.outcomes)))
    circuit, failures, _ = next(iter(registry._circuits.named.values())).state(time.value)
    return came, (circuit, failures, next(iter(registry._budgets.named.values())).left)


def calls_of_the_simulation(scripts, gaps):
    """Return the same, of calls that the simulation makes of `OURS`."""
    events, known, came = Events(), Known(OURS), []
    for outcomes, gap in zip(scripts, gaps, strict=True):
        events.run(events.now + gap)
        left, began, ends = list(outcomes), events.now, []

        def send(exchange, left=left):
            outcome = left.pop(0)
            if outcome is not Outcome.TIMED_OUT:  # which the call looks after itself
                exchange.ends(outcome)

        def ended(answered, ends=ends):
            ends.append((answered, events.now))

        Call(OURS, known, events, send=send, ended=ended, chance=lambda: 0.0).start()
        while not ends:
            events.run(events.next())
        events.now = ends[0][1]
        came.append((ends[0][0], events.now - began, len(left)))
    circuit, failures, _ = known.circuit.state(events.now)
    return came, (circuit, failures, known.purse.left)


@pytest.mark.parametrize("seed", range(25))
def test_a_call_of_the_simulation_ends_as_one_of_the_client(make, time, seed):
    chance = random.Random(seed)
    bad = chance.choice([[Outcome.REFUSED], [Outcome.TIMED_OUT], [Outcome.REFUSED, Outcome.BROKEN, Outcome.TIMED_OUT]])
    weights = [1] * len(bad)
    scripts = [chance.choices([Outcome.ANSWERED, *bad], [chance.choice([0, 1, 4]), *weights], k=4) for _ in range(40)]
    gaps = [chance.choice([0.25, 4.0, 12.0]) for _ in scripts]

    came, known = calls_of_the_client(make, time, scripts, gaps)
    same, known_as_well = calls_of_the_simulation(scripts, gaps)

    assert [(one, left) for one, _, left in same] == [(one, left) for one, _, left in came]
    assert [took for _, took, _ in same] == pytest.approx([took for _, took, _ in came], abs=0.01)
    assert known_as_well[:2] == known[:2]
    assert known_as_well[2] == pytest.approx(known[2])


@pytest.mark.parametrize("is_one_service", [True, False], ids=["one service", "many services"])
def test_no_storm_follows_an_outage_nor_a_brown_out(is_one_service):
    told = tell(OURS, Shape(**SMALL, is_one_service=is_one_service))

    # A second may be busier than the servers are fast: what waited comes then. No three seconds are.
    assert max(told.load(second, second + 3) for second in range(BACK + 1, END - 3)) < CAPACITY
    assert told.recovery(BACK, END) <= 12  # the rest of an open circuit is 10 s
    assert told.recovery(WELL_AGAIN, OUTAGE) <= 12
    assert told.goodput(0, 60) > 0.99


def test_the_simulation_shows_storms_where_there_are_some():
    naive = tell(NAIVE, Shape(**SMALL))

    assert naive.recovery(WELL_AGAIN, OUTAGE) is None
    assert naive.load(WELL_AGAIN, OUTAGE) > 2 * CAPACITY
    assert naive.peak(BACK, END) > 2 * CAPACITY


def test_what_is_given_up_keeps_servers_down_that_begin_it_all_the_same():
    many = Shape(**SMALL, is_one_service=False)

    assert tell(ALONE, many).recovery(WELL_AGAIN, OUTAGE) is None
    assert tell(ONCE, many).wasted > 1000


def test_the_simulation_is_repeated_by_its_seed():
    one, other, another = (tell(OURS, Shape(100, 2), seed=seed) for seed in (1, 1, 2))

    assert one == other
    assert one.sent != another.sent
