"""What do a query, and /ready/, cost through the pooler? Do 200 clients finish on 20 server connections?"""

import statistics
import threading
import time
from collections import Counter
from typing import Any

import psycopg
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from django.test import RequestFactory

from shared_core.middleware import RequestContextMiddleware
from tests.benchmarks.figures import Bound, Ratios, Result
from tests.benchmarks.running.turns import in_turn

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

    taken = in_turn({"ready": probe, "select": lambda: _select("default")}, rounds=rounds, times=200)
    ratio = Ratios(taken["ready"], taken["select"])
    lines = [f"ready, {rounds} rounds of 200 each; median (lowest to highest):", *_medians(taken)]
    lines.append(f"  /ready/ beside one SELECT 1: {ratio}")
    return Result("ready", lines, [ratio.bound("/ready/ beside one SELECT 1", AT_MOST)])


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
    taken = in_turn(works, rounds=rounds, times=300)
    for raw in hop.values():
        raw.close()
    ours, straight, djangos, raw_pooled, raw_direct = taken.values()
    beside = [one + there - here for one, there, here in zip(straight, raw_pooled, raw_direct, strict=True)]
    to_hop, to_django = Ratios(ours, beside), Ratios(ours, djangos)
    lines = [f"query, {rounds} rounds of 300 each; median (lowest to highest):", *_medians(taken)]
    lines += [f"  ours beside direct and the hop: {to_hop}", f"  ours beside Django's own: {to_django}"]
    bounds = [to_hop.bound("ours beside direct and the hop", BESIDE_THE_HOP)]
    return Result("query", lines, [*bounds, to_django.bound("ours beside Django's own settings", BESIDE_THE_HOP)])


def clients() -> Result:
    """Let 200 clients ask at once, each on a connection of its own to the pooler, which has 20 to the server."""
    together = threading.Barrier(CLIENTS)
    ended: Counter[str] = Counter()
    servers: set[int] = set()
    waited: list[float] = []

    def work() -> None:
        try:
            connections["default"].ensure_connection()
            together.wait(120)
            for _ in range(QUERIES):
                started = time.perf_counter()
                with connections["default"].cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid(), pg_sleep(0.002)")
                    servers.add(cursor.fetchone()[0])
                waited.append(time.perf_counter() - started)
            ended["finished"] += 1
        except Exception as error:  # noqa: BLE001  # counted
            ended[type(error).__name__] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = f"clients: {CLIENTS} at once, {QUERIES} queries each: {dict(ended)}; {len(servers)} server connections; "
    said += f"slowest query {max(waited) * 1000:,.0f} ms, median {statistics.median(waited) * 1000:,.0f} ms"
    bounds = [
        Bound(what="clients that finished", figure=ended["finished"], limit=CLIENTS, at_least=True, unit=""),
        Bound(what="server connections", figure=len(servers), limit=SERVERS, unit=""),
    ]
    return Result("clients", [said], bounds)


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


def _medians(taken: dict[str, list[float]]) -> list[str]:
    return [f"  {name:<45} {statistics.median(seconds) * 1e6:>8,.0f} us" for name, seconds in taken.items()]
