"""How many calls a second, and for how much CPU?"""

import statistics
from collections.abc import Mapping

from tests.benchmarks.calls.clients import HTTPX, OURS, REQUESTS, clients, has_httpx
from tests.benchmarks.calls.server import Running, serving
from tests.benchmarks.calls.service import HEADERS, serving_a_request
from tests.benchmarks.calls.turns import Taken, WrongResultError, crew, in_turn
from tests.benchmarks.figures import Figure, Ratios, Result

THREADS = (1, 8)
RATE = 1.8  # requests/s beside requests.Session, at least
CPU = {REQUESTS: 0.70, HTTPX: 1.0}  # beside each, at most
COLUMNS = "  {:<34} {:<22} {:<26} {:<22} {}"


def get(runs: int, calls: int) -> Result:
    """Measure with each number of threads; they share one client, but for http.client, whose connections they own.

    Args:
        runs: Rounds.
        calls: Of each client in each round, by all threads together.
    """
    lines: list[str] = []
    figures: list[Figure] = []
    if not has_httpx():
        lines += ["httpx is not installed, and left out: make bench-calls installs it", ""]
    with serving() as server, serving_a_request():
        _check_headers(server)
        for threads in THREADS:
            each = max(calls // threads, 1)
            with clients(server, threads) as gets, crew(threads) as callers:
                taken = in_turn(server, gets, callers, calls=each, runs=runs)
            by = "1 thread" if threads == 1 else f"{threads} threads"
            lines.append(f"get, {by}, {runs} rounds of {each * threads} calls each; median (lowest to highest):")
            lines += _ratios(taken, by, figures)
            lines += ["", *_absolute(taken, each * threads), ""]
    return Result("get", lines, figures)


def _check_headers(server: Running) -> None:
    """Make sure that all clients send the same.

    Raises:
        WrongResultError: One does not.
    """
    expected = {(name.lower(), value) for name, value in HEADERS.items()}
    with clients(server, 1) as gets:
        for client, send in gets.items():
            pairs = [line.partition(": ") for line in send("/head").decode().split("\r\n")[1:]]
            if missing := expected - {(name.lower(), value) for name, _, value in pairs}:
                raise WrongResultError(f"{client} does not send {', '.join(sorted(name for name, _ in missing))}")


def _ratios(taken: Mapping[str, Taken], by: str, figures: list[Figure]) -> list[str]:
    """Return the table of ours beside each, and add its figures to ``figures``."""
    lines = [COLUMNS.format("ours beside", "requests/s", "", "CPU", "")]
    ours = taken[OURS]
    for name, theirs in taken.items():
        if name == OURS:
            continue
        cpu = Ratios(ours.cpu, theirs.cpu).figure(f"CPU beside {name}, {by}", CPU.get(name))
        rate = Ratios(theirs.wall, ours.wall).figure(
            f"requests/s beside {name}, {by}", RATE if name == REQUESTS else None, at_least=True
        )
        figures += [rate, cpu]
        lines.append(COLUMNS.format(name, rate.spread, rate.said, cpu.spread, cpu.said))
    return lines


def _absolute(taken: Mapping[str, Taken], calls: int) -> list[str]:
    """Return the table of medians, which say more about the machine."""
    columns = "  {:<34} {:>10} {:>12} {:>12} {:>12}"
    lines = [columns.format("this machine's medians, a call", "requests/s", "wall", "CPU", "connections")]
    for name, one in taken.items():
        wall, cpu = statistics.median(one.wall) / calls, statistics.median(one.cpu) / calls
        times = f"{wall * 1e6:,.0f} us", f"{cpu * 1e6:,.0f} us"
        lines.append(columns.format(name, f"{1 / wall:,.0f}", *times, one.seen.connections))
    return lines
