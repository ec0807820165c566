"""What do a query, and /ready/, cost through the pooler? Do 200 clients finish on 20 server connections?"""

import statistics
from typing import Any

import psycopg
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core.middleware import RequestContextMiddleware
from tests.benchmarks.figures import Figure, Ratios, Result
from tests.benchmarks.running.crowd import crowd
from tests.benchmarks.turns import Taken, in_turn, repeated

CLIENTS, SERVERS, QUERIES = 200, 20, 20  # of each client
AT_MOST = 3.0  # of /ready/ beside one SELECT 1
BESIDE_THE_HOP = 1.1
DJANGOS_OWN: dict[str, Any] = {
    "DISABLE_SERVER_SIDE_CURSORS": False,
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": False,
    "OPTIONS": {},
}


def ready(rounds: int) -> Result:
    """Measure /ready/, as the middleware answers it, beside one SELECT 1 through PgBouncer."""
    MigrationRecorder(connection).ensure_schema()  # as a service that has migrated
    ask, request = RequestContextMiddleware(lambda request: HttpResponse(status=404)), RequestFactory()

    def probe() -> None:
        response = ask(request.get("/ready/"))
        assert isinstance(response, HttpResponse)
        assert response.status_code == 200, response.content

    works = {"ready": probe, "select": lambda: _select("default")}
    taken = in_turn({name: repeated(work, 200) for name, work in works.items()}, rounds)
    figure = taken["ready"].beside(taken["select"], "/ready/ beside one SELECT 1", AT_MOST)
    lines = [f"ready, {rounds} rounds of 200 each; median (lowest to highest):", *_medians(taken, 200)]
    return Result("ready", [*lines, f"  {figure.what}: {figure.spread}"], [figure])


def query(rounds: int) -> Result:
    """Measure one query of Django's, with our settings through the pooler, direct, and what the hop alone costs."""
    pooled = connections.settings["default"]
    direct = {**pooled, **pooled.get("DIRECT", {})}
    connections.settings["direct"] = direct
    connections.settings["djangos own"] = {**pooled, **DJANGOS_OWN}
    hop = {name: _raw(settings) for name, settings in (("raw, pooled", pooled), ("raw, direct", direct))}
    works = {
        "ours, through the pooler": lambda: _select("default"),
        "ours, direct": lambda: _select("direct"),
        "Django's own settings, through the pooler": lambda: _select("djangos own"),
        "psycopg alone, through the pooler": lambda: _execute(hop["raw, pooled"]),
        "psycopg alone, direct": lambda: _execute(hop["raw, direct"]),
    }
    taken = in_turn({name: repeated(work, 300) for name, work in works.items()}, rounds)
    for raw in hop.values():
        raw.close()
    ours, straight, djangos, raw_pooled, raw_direct = taken.values()
    hops = zip(straight.wall, raw_pooled.wall, raw_direct.wall, strict=True)
    figures = [
        Ratios(ours.wall, [one + there - here for one, there, here in hops]).figure(
            "a query through the pooler beside a direct one and the hop", BESIDE_THE_HOP
        ),
        ours.beside(djangos, "a query beside Django's own settings, through the pooler", BESIDE_THE_HOP),
    ]
    lines = [f"query, {rounds} rounds of 300 each; median (lowest to highest):", *_medians(taken, 300)]
    return Result("query", [*lines, *(f"  {figure.what}: {figure.spread}" for figure in figures)], figures)


def clients() -> Result:
    """Let 200 clients ask at once, of a pooler that has 20 connections to the server."""
    came = crowd(CLIENTS, QUERIES)
    said = f"clients: {CLIENTS} at once, {QUERIES} queries each: {dict(came.ended)}; "
    said += f"{len(came.servers)} server connections; slowest query {max(came.waited) * 1000:,.0f} ms, "
    said += f"median {statistics.median(came.waited) * 1000:,.0f} ms"
    figures = [
        Figure(what="clients that finished", figure=came.ended["finished"], limit=CLIENTS, at_least=True, unit=""),
        Figure(what="server connections", figure=len(came.servers), limit=SERVERS, unit=""),
    ]
    return Result("clients", [said], figures)


def _select(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def _raw(settings: dict[str, Any]) -> psycopg.Connection:
    login = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    values = {name: settings[part] for name, part in login.items()}
    return psycopg.connect(autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor, **values)


def _execute(raw: psycopg.Connection) -> None:
    with raw.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def _medians(taken: dict[str, Taken], times: int) -> list[str]:
    return [f"  {name:<45} {one.median / times * 1e6:>8,.0f} us" for name, one in taken.items()]
