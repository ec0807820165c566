"""Scripts: how long each wait of an attempt may last, on a clock that the script moves."""

import pytest

from shared_core.clients.arguments import Timeout
from shared_core.clients.limits import Limit

START = 100.0
OVER = TimeoutError  # in place of seconds: no time is left


class Clock:
    now = START

    def __call__(self):
        return self.now


def wait(seconds):
    def act(limit, clock):
        clock.now += seconds

    return act


def connected(limit, clock):
    limit.connected()


def connecting(limit, clock):
    limit.connecting()


def streaming(limit, clock):
    limit.streaming()


def extend(seconds):
    def act(limit, clock):
        limit.extend(seconds)

    return act


# connect, read, total; what is left of the call; what happens; seconds of the next wait; whether the deadline ends it
SCRIPTS = {
    "connecting": ((1, 2, 3), 15, [], 1, False),
    "connecting, in part": ((1, 2, 3), 15, [wait(0.75)], 0.25, False),
    "connecting, too slow": ((1, 2, 3), 15, [wait(1)], OVER, False),
    "the next address has a timeout of its own": ((1, 2, 3), 15, [wait(0.75), connecting], 1, False),
    "addresses take the attempt's total together": ((1, 2, 3), 15, [wait(2.5), connecting], 0.5, False),
    "reading starts where connecting ends": ((1, 2, 3), 15, [wait(0.5), connected], 2, False),
    "reading does not outlast the total": ((2, 2, 3), 15, [wait(2), connected], 1, False),
    "each byte leaves less time": ((1, 2, 3), 15, [connected, wait(1.5)], 0.5, False),
    "reading, too slow": ((1, 2, 3), 15, [connected, wait(2)], OVER, False),
    "one number is the total": ((5, 5, 5), 15, [wait(3), connected], 2, False),
    "the deadline comes first while connecting": ((1, 2, 3), 0.5, [], 0.5, True),
    "the deadline comes first while reading": ((1, 2, 3), 2, [wait(0.5), connected], 1.5, True),
    "the deadline has passed": ((1, 2, 3), 2, [connected, wait(2.5)], OVER, True),
    "the deadline and the timeout at once": ((1, 2, 3), 1, [wait(1)], OVER, True),
    "a stream's reads each have their time": ((1, 2, 3), 15, [connected, streaming, wait(5)], 2, False),
    "a stream ends by the deadline": ((1, 2, 3), 15, [connected, streaming, wait(14)], 1, False),
    "a stream after the deadline": ((1, 2, 3), 15, [connected, streaming, wait(15)], OVER, True),
    "a lookup of the name does not count": ((1, 2, 3), 15, [wait(0.75), extend(0.75)], 1, False),
    "nor does the caller's body count": ((1, 2, 3), 15, [connected, wait(4), extend(4)], 2, False),
    "but they count for the deadline": ((1, 2, 3), 4.5, [connected, wait(4), extend(4)], 0.5, True),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_limit_leaves_this_long_for_the_next_wait(script):
    timeout, seconds, events, expected, by_deadline = script
    clock = Clock()
    limit = Limit(Timeout(*timeout), seconds, clock)
    for event in events:
        event(limit, clock)

    assert limit.ended_by_deadline is by_deadline
    if expected is OVER:
        with pytest.raises(TimeoutError):
            limit.left()
    else:
        assert limit.left() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "passed", "pair"), [(15, 0, (1, 1)), (0.5, 0, (0.5, 0.5)), (15, 0.75, (0.25, 0.25))]
)
def test_a_transport_that_knows_no_limit_gets_what_is_left_as_connect_and_read(seconds, passed, pair):
    clock = Clock()
    limit = Limit(Timeout(1, 2, 3), seconds, clock)
    clock.now += passed

    assert limit.as_pair() == pytest.approx(pair)
