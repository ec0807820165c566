import os
import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_core.models import ids, uuid7


def test_an_id_is_a_uuid_of_version_7_that_holds_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert isinstance(made, uuid.UUID)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after + 1


def test_ids_of_a_process_are_strictly_increasing():
    made = [uuid7() for _ in range(20_000)]

    assert made == sorted(set(made))


def test_ids_increase_if_the_clock_stops_or_is_set_back(monkeypatch):
    last = uuid7()
    now = last.int >> 80
    for milliseconds in (now, now, now - 60_000, now - 60_000, now + 1):
        monkeypatch.setattr(time, "time_ns", lambda milliseconds=milliseconds: milliseconds * 1_000_000)
        made = uuid7()

        assert made > last
        last = made


@given(st.lists(st.integers(1, 2**47), min_size=1, max_size=50))
def test_ids_increase_and_never_fall_behind_the_clock(readings):
    generator, seen = ids._Generator(), []
    for now in readings:
        seen.append(generator.next(now))

        assert seen[-1][0] >= now
        assert 0 <= seen[-1][1] < 1 << 42
    assert seen == sorted(set(seen))


def test_an_id_cannot_be_guessed_from_the_one_before():
    """RFC 9562, section 6.9: the last 32 bits of each are random, and so is where each millisecond begins to count."""
    tails = {uuid7().int & 0xFFFF_FFFF for _ in range(1000)}
    starts = {ids._Generator().next(1)[1] for _ in range(1000)}

    assert len(tails) > 990
    assert len(starts) > 990


def test_a_counter_that_is_full_moves_on_to_the_next_millisecond():
    generator = ids._Generator()
    generator.next(5)
    generator._counter = (1 << 42) - 1

    assert generator.next(5)[0] == 6


def test_threads_never_get_the_same_id_and_each_sees_its_own_increase():
    made = [[] for _ in range(8)]

    def work(mine):
        mine.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one for mine in made for one in mine}) == 16_000
    assert all(mine == sorted(mine) for mine in made)


@pytest.mark.parametrize("held", [False, True])
def test_a_forked_child_has_its_own_increasing_ids(held):
    last = uuid7()
    if held:
        ids._generator._lock.acquire()  # as by a thread that is not in the child
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, uuid7().bytes)
        os._exit(0)
    if held:
        ids._generator._lock.release()
    os.waitpid(child, 0)
    in_child = uuid.UUID(bytes=os.read(reading, 16))
    in_parent = uuid7()
    os.close(reading)
    os.close(writing)

    assert in_child > last
    # Apart from the time: not one step of a shared counter.
    assert in_child.int >> 80 > last.int >> 80
    assert in_parent > last


def test_migrations_import_uuid7_from_shared_core_models():
    assert f"{uuid7.__module__}.{uuid7.__qualname__}" == "shared_core.models.uuid7"
