import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared_core import context
from shared_core.context.propagation import is_request_id, new_request_id, outgoing_headers, trace_fields


def test_a_binding_ends_with_its_block_and_the_inner_value_wins():
    with context.bind(ticket=1, user="ada"):
        with context.bind(ticket=2):
            inner = context.current()
        outer = context.current()

    assert inner == {"ticket": 2, "user": "ada"}
    assert outer == {"ticket": 1, "user": "ada"}
    assert context.current() == {}


def test_a_binding_ends_when_its_block_raises():
    with pytest.raises(ZeroDivisionError), context.bind(ticket=1):
        1 / 0  # noqa: B018  # raises

    assert context.current() == {}


def test_changing_the_result_of_current_does_not_change_the_binding():
    with context.bind(ticket=1):
        context.current()["ticket"] = 2

        assert context.current() == {"ticket": 1}


def test_tasks_of_an_event_loop_do_not_see_each_others_bindings():
    async def serve(number):
        with context.bind(request_id=f"request-{number}"):
            await asyncio.sleep(0)
            return context.request_id()

    async def serve_all():
        return await asyncio.gather(*map(serve, range(20)))

    assert asyncio.run(serve_all()) == [f"request-{number}" for number in range(20)]


def test_a_plain_thread_pool_starts_empty_and_the_context_executor_carries_what_is_bound():
    with context.bind(request_id="request-1"), ThreadPoolExecutor() as plain, context.ContextExecutor() as carrying:
        seen = [pool.submit(context.request_id).result() for pool in (plain, carrying)]
        mapped = list(carrying.map(lambda _: context.request_id(), range(3)))

    assert seen == [None, "request-1"]
    assert mapped == ["request-1"] * 3


@pytest.mark.parametrize("text", ["0f8fad5b", "a" * 64, "A.b_c-d9"])
def test_a_request_id_of_8_to_64_safe_characters_is_valid(text):
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", "short", "a" * 65, "with space", "12345678\n", "١٢٣٤٥٦٧٨", "abc=defgh"])
def test_an_invalid_request_id_is_refused(text):
    assert not is_request_id(text)


def test_new_request_ids_are_valid_and_differ():
    ids = {new_request_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(map(is_request_id, ids))


def test_a_valid_traceparent_is_continued_in_a_new_span():
    fields = trace_fields("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

    assert fields["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert fields["span_id"] != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
    ],
)
def test_an_invalid_traceparent_starts_a_new_trace(header):
    first, second = trace_fields(header), trace_fields(header)

    assert first["trace_id"] != second["trace_id"]
    assert len(first["trace_id"]) == 32


def test_outgoing_headers_have_the_ids_of_the_request():
    with context.bind(request_id="0f8fad5b", trace_id="a" * 32, span_id="b" * 16):
        headers = outgoing_headers()

    assert headers == {"X-Request-ID": "0f8fad5b", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}


def test_no_header_is_sent_outside_of_a_request_or_for_an_invalid_id():
    with context.bind(request_id="forged\r\nHost: evil"):
        forged = outgoing_headers()

    assert outgoing_headers() == {}
    assert forged == {}
