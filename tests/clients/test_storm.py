"""A simulation: retries do not keep servers down that come back. The client's own core decides about each call."""

import pytest

from tests.benchmarks.storm.callers import ALONE, NAIVE, ONCE, OURS
from tests.benchmarks.storm.story import BACK, END, OUTAGE, WELL_AGAIN, Shape, tell

pytestmark = pytest.mark.slow

SMALL = {"processes": 100, "servers": 2}
CAPACITY = 1.45  # what the servers can do, in calls of good times


@pytest.mark.parametrize("is_one_service", [True, False], ids=["one service", "many services"])
def test_no_retry_storm_follows_an_outage_or_a_brown_out(is_one_service):
    told = tell(OURS, Shape(**SMALL, is_one_service=is_one_service))

    # A second may be busier than the servers are fast: what waited comes then. No three seconds are.
    assert max(told.load(second, second + 3) for second in range(BACK + 1, END - 3)) < CAPACITY
    assert told.recovery(BACK, END) <= 12  # the rest of an open circuit is 10 s
    assert told.recovery(WELL_AGAIN, OUTAGE) <= 12
    assert told.goodput(0, 60) > 0.99


def test_naive_retries_end_in_a_storm_in_the_simulation():
    naive = tell(NAIVE, Shape(**SMALL))

    assert naive.recovery(WELL_AGAIN, OUTAGE) is None
    assert naive.load(WELL_AGAIN, OUTAGE) > 2 * CAPACITY
    assert naive.peak(BACK, END) > 2 * CAPACITY


def test_work_on_abandoned_requests_keeps_the_simulated_servers_down():
    many = Shape(200, 4, is_one_service=False)

    assert tell(ALONE, many).recovery(WELL_AGAIN, OUTAGE) is None
    assert tell(ONCE, many).wasted > 1000


def test_the_simulation_is_repeated_by_its_seed():
    one, other, another = (tell(OURS, Shape(100, 2), seed=seed) for seed in (1, 1, 2))

    assert one == other
    assert one.sent != another.sent
