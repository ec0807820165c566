"""What strangers send to the probes, which answer everybody: their requests cost nobody else an answer."""

import asyncio
import threading

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from shared_core import context
from shared_core.context.inbound import current_inbound
from shared_core.health import readiness_check
from shared_core.health.probes import registered

STRANGERS = 40


@pytest.fixture(autouse=True)
def _forget_checks():
    before = dict(registered)
    registered.clear()
    yield
    registered.clear()
    registered.update(before)


async def in_a_thread(request):
    """Does some work as asynchronous services do it."""
    return HttpResponse(await asyncio.to_thread(lambda: "done"))


urlpatterns = [path("work/", in_a_thread)]


@pytest.mark.django_db(databases="__all__")
def test_a_check_has_no_strangers_deadline_and_no_strangers_authorization():
    """Whoever asks meanwhile gets the same answer: a stranger's deadline would make the service unavailable."""
    seen = []

    @readiness_check("search")
    def search():
        inbound = current_inbound()
        seen.append((inbound and inbound.seconds_left(), inbound and inbound.authorization, context.request_id()))

    sent = {"X-Request-Deadline": "0.001", "Authorization": "Bearer a.b.c", "X-Request-ID": "0f8fad5b"}
    assert Client().get("/ready/", headers=sent).status_code == 200
    assert seen == [(None, None, "0f8fad5b")]


@pytest.mark.django_db(databases="__all__")
def test_under_asgi_strangers_who_wait_for_a_check_hold_up_no_liveness_and_no_work(settings):
    settings.ROOT_URLCONF = __name__
    may_end = threading.Event()
    readiness_check("slow", timeout=4.0)(lambda: may_end.wait(4) and None)

    async def attack():
        client = AsyncClient()
        strangers = [asyncio.ensure_future(client.get("/ready/")) for _ in range(STRANGERS)]
        await asyncio.sleep(0.2)
        try:
            async with asyncio.timeout(1):
                return [(await client.get(at)).status_code for at in ("/health/", "/work/")]
        finally:
            may_end.set()
            assert {response.status_code for response in await asyncio.gather(*strangers)} == {200}

    assert asyncio.run(attack()) == [200, 200]


@pytest.mark.parametrize("accept", ["text/plain;q*=no''%41", 'text/plain;q="' * 4000, "text/plain;q=nan", "/;", "\xff"])
def test_an_accept_that_cannot_be_read_is_no_error(accept):
    response = Client().get("/health/", headers={"Accept": accept})

    assert response.status_code == 200
