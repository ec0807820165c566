"""``make soak``: the highest steady load that this machine carries, for minutes, and whether anything grows.

It adds callers until they get no more done, takes the number below that, and samples all workers while they call. Exit
status: 0 where all is flat and no acknowledged write was lost, 1 where not, 130 for Ctrl-C.
"""

import argparse
import dataclasses
import datetime as dt
import json
import logging.config
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from shared_core.logging_config import get_logging_config
from tests.chaos import judge, report
from tests.chaos.fleet import Fleet, Usage, usage
from tests.chaos.ledger import Lag, Ledger
from tests.chaos.load import DEADLINE, Load
from tests.chaos.proxy import Network
from tests.stack import StackError

_EVERY = 5.0  # seconds between samples
_STEPS = (2, 4, 8, 16, 32)  # callers
_MORE = 1.05  # times the calls that twice the callers must get done to be worth it
# What may be more at the end than in the middle, of each worker: warm caches, a pool's connection more or less.
_FLAT = {"memory": 8.0, "files": 6, "threads": 2}


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was seen at one moment."""

    second: float
    calls: int
    usage: Usage


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the table, and return the status."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="for how long (10)")
    parser.add_argument("--callers", type=int, default=0, metavar="N", help="so many, and none are tried out")
    parser.add_argument("--folder", type=Path, default=Path("build/chaos"), help="for the figures (build/chaos)")
    options = parser.parse_args(arguments)
    if not options.minutes >= 1:
        parser.error("--minutes: at least 1, so that a quarter of the samples can be beside another")
    if options.callers < 0:
        parser.error("--callers: at least 1, or 0 to try them out")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="shared-core-soak-"))
    (folder / "logs").mkdir()
    config = get_logging_config("soak", log_file=str(folder / "soak.log"))
    config["root"]["handlers"] = ["file"]
    config["root"]["level"] = "WARNING"
    logging.config.dictConfig(config)
    try:
        with Network() as network, Fleet(folder, network, progress=_say) as fleet:
            ledger = Ledger()
            callers = options.callers or _highest(fleet, ledger)
            samples, said = _soak(fleet, callers, options.minutes * 60, ledger)
    except StackError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsoak: interrupted; everything is stopped.", file=sys.stderr)
        return 130
    soaked = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "callers": callers,
        "minutes": options.minutes,
        "allowed": _FLAT,
        "said": said,
        "samples": [dataclasses.asdict(sample) for sample in samples],
    }
    print(f"\n{report.soak_table(soaked)}\n")
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "soak.json").write_text(json.dumps(soaked, indent=1) + "\n")
    print("\n".join(said) or "all is flat, and nothing was lost")
    return 1 if said else 0


def _highest(fleet: Fleet, ledger: Ledger) -> int:
    """Return the number of callers at which more of them get no more done."""
    best, most = _STEPS[0], 0.0
    for callers in _STEPS:
        load = Load(fleet, callers, seed=callers, ledger=ledger)
        load.start()
        time.sleep(3)
        before = len(ledger.calls)
        time.sleep(6)
        rate = sum(not call.error for call in ledger.calls[before:]) / 6
        load.stop()
        _say(f"{callers} callers: {rate:.0f} calls a second")
        if rate < most * _MORE:
            return best
        best, most = callers, rate
    return best


def _soak(fleet: Fleet, callers: int, seconds: float, ledger: Ledger) -> tuple[list[Sample], list[str]]:
    """Return the samples, and what is wrong."""
    lag, load = Lag(), Load(fleet, callers, seed=0, ledger=ledger)
    first = len(ledger.calls)
    load.start()
    started, samples = time.monotonic(), []
    try:
        while (second := time.monotonic() - started) < seconds:
            samples.append(Sample(round(second, 1), len(ledger.calls) - first, usage(fleet)))
            if len(samples) % 12 == 1:
                _say(f"{second:.0f} s: {samples[-1].calls} calls, {samples[-1].usage}")
            time.sleep(_EVERY)
        load.pause()
        fleet.wait_until_idle(20)
        said = judge.violations(ledger, judge.facts(fleet), all_told=True)
        said += judge.late(ledger.calls[first:], DEADLINE, lag)
        said += [f"{count} calls failed with {error}" for error, count in ledger.errors(first).items()]
        return samples, said + grown(samples)
    finally:
        load.stop()
        lag.stop()


def grown(samples: list[Sample]) -> list[str]:
    """Return what is more in the last quarter than in the second, in the median, beyond what warm caches explain."""
    quarter = max(len(samples) // 4, 1)
    middle, end = samples[quarter : 2 * quarter], samples[-quarter:]
    said = []
    for what, allowed in _FLAT.items():
        for name in getattr(end[0].usage, what):
            before, after = (_median(part, what, name) for part in (middle, end))
            if after > before + allowed:
                said.append(f"{name}: {what} {before:g} -> {after:g}")
    for what in ("half_closed", "server_connections"):
        before, after = (_median(part, what) for part in (middle, end))
        if after > before + 8:
            said.append(f"{what}: {before:g} -> {after:g}")
    return said


def _median(samples: list[Sample], what: str, name: str = "") -> float:
    values = [getattr(sample.usage, what) for sample in samples]
    return statistics.median(value[name] for value in values) if name else statistics.median(values)


def _say(text: str) -> None:
    print(f"[soak] {text}", flush=True)


if __name__ == "__main__":
    os.environ.pop("DB_HOST", None)  # a stack of its own
    sys.exit(main())
