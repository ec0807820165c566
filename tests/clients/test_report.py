"""Events, for metrics."""

import dataclasses

import pytest

from shared_core import context
from shared_core.clients import CallEvent, CircuitOpen, HTTPClient, NotFound, ServerError, UnsafeURL
from tests.clients.server import answer


@pytest.fixture
def events():
    return []


def test_each_attempt_retry_and_end_is_an_event(make, server, events, time):
    server.script(answer(503), answer(200))
    client = make(server.url, service="user", token=False, on_event=events.append)
    with context.bind(request_id="0f8fad5b-aaaa"):
        client.get("/x?token=secret")

    assert [(event.kind, event.attempt, event.status, event.error, event.wait) for event in events] == [
        ("attempt", 1, 503, "ServerError", 0.0),
        ("retry", 1, 503, "ServerError", 0.5),
        ("attempt", 2, 200, None, 0.0),
        ("success", 2, 200, None, 0.0),
    ]
    assert {(event.service, event.method, event.url, event.request_id) for event in events} == {
        ("user", "GET", f"{server.url}/x?token=***", "0f8fad5b-aaaa")
    }
    assert events[-1].elapsed >= 0.5


def test_a_failed_call_ends_with_one_failure(make, server, events):
    server.script(answer(404))
    client = make(server.url, token=False, on_event=events.append)
    with pytest.raises(NotFound):
        client.get("/x")

    assert [(event.kind, event.status, event.error) for event in events] == [
        ("attempt", 404, "NotFound"),
        ("failure", 404, "NotFound"),
    ]


def test_a_call_refused_before_it_is_sent_is_a_failure_event(make, server, events):
    client = make(server.url, service="user", token=False, on_event=events.append)
    with pytest.raises(UnsafeURL):
        client.get("../x")
    server.script(answer(503))
    for _ in range(5):
        with pytest.raises(ServerError):
            client.get("/x", retries=0)
    del events[1:]
    with pytest.raises(CircuitOpen):
        client.get("/x")

    assert [(event.kind, event.attempt, event.status, event.error) for event in events] == [
        ("failure", 0, None, "UnsafeURL"),
        ("failure", 0, None, "CircuitOpen"),
    ]


def test_an_observers_exception_is_logged_and_the_call_goes_on(make, server, caplog):
    def observe(event):
        raise RuntimeError("metrics are down")

    client = make(server.url, token=False, on_event=observe)

    assert client.get("/x").status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "on_event raised; the call goes on",
        "on_event raised; the call goes on",
    ]


def test_an_event_is_a_frozen_value(make, server, events):
    make(server.url, token=False, on_event=events.append).get("/x")

    assert isinstance(events[0], CallEvent)
    with pytest.raises(dataclasses.FrozenInstanceError):
        events[0].status = 500


def test_on_event_must_be_callable():
    with pytest.raises(TypeError, match="on_event must be callable"):
        HTTPClient("http://user", on_event="metrics")
