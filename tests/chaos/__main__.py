"""``make chaos``: the four services work under load while faults are done to them, and after each all is compared.

Exit status: 0 where everything held, 1 where something did not or could not be started, 130 for Ctrl-C.
"""

import argparse
import datetime as dt
import logging.config
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from shared_core.logging_config import get_logging_config
from tests.benchmarks.machine import hardware
from tests.chaos import judge, report
from tests.chaos.faults import ALL, SHORT, Fault, named
from tests.chaos.fleet import Fleet, Usage, log_disk, usage
from tests.chaos.ledger import Lag
from tests.chaos.load import DEADLINE, Load
from tests.chaos.proxy import Network
from tests.chaos.report import Round
from tests.services.fleet import FleetError
from tests.stack import StackError

RECOVERS_WITHIN = 30.0  # seconds
_QUIET = 1.0  # seconds of load without an error, after which all is well
_ENDS_WITHIN = 20.0  # seconds in which what nobody waits for any more has been served
_LEAD = 0.5  # seconds of load before a fault
_TELLS_EVERY = 4  # rounds; `notify_pending` takes a second of a processor
# What workers may hold more of than before the first fault.
_MORE = {"memory": 60.0, "files": 24, "threads": 6}
_SERVER_CONNECTIONS = 4 * 20 + 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults, print the table, and return the status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--faults", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seconds", type=float, default=3600, metavar="N", help="begin no other after so many (3600)")
    parser.add_argument("--callers", type=int, default=6, metavar="N", help="threads that call (6)")
    parser.add_argument(
        "--seed", type=int, default=None, metavar="N", help="of the order; by default another each time"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="faults that have this in their name")
    parser.add_argument("--short", action="store_true", help="each of a few once, half a second long")
    parser.add_argument("--folder", type=Path, default=Path("build/chaos"), help="for the table (build/chaos)")
    options = parser.parse_args(arguments)
    if name := next((name for name in ("faults", "seconds", "callers") if not getattr(options, name) >= 1), None):
        parser.error(f"--{name}: at least 1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    kinds = named(options.only) if options.only else ALL
    if not kinds:
        parser.error(f"no fault has {options.only!r} in its name; there are: {', '.join(f.name for f in ALL)}")
    if options.short:
        kinds = [fault for fault in kinds if fault.name in SHORT]
    rounds: list[Round] = []
    facts: dict[str, Any] = {
        "seed": seed,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "machine": hardware(),
        "callers": options.callers,
        "deadline": DEADLINE,
        "allowed": _MORE,
    }
    try:
        _run(options, kinds, rounds, facts)
    except StackError as error:
        print(f"chaos: {error} (--seed {seed})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nchaos: interrupted; everything is stopped.", file=sys.stderr)
        return 130
    finally:
        if rounds:
            report.write(options.folder, rounds, facts)
            print(f"\n{report.table(rounds)}\n")
    wrong = [f"{one.fault}: {line}" for one in rounds for line in one.violations]
    print(f"{len(rounds)} faults, {len(wrong)} violations; {options.folder}/faults.md, --seed {seed}")
    print("\n".join(wrong[:50]))
    return 1 if wrong else 0


def _run(options: argparse.Namespace, kinds: list[Fault], rounds: list[Round], facts: dict[str, Any]) -> None:
    """Do it, and add to ``rounds`` and ``facts`` what was seen."""
    folder, say = Path(tempfile.mkdtemp(prefix="shared-core-chaos-")), _progress(time.monotonic())
    say(f"seed {facts['seed']}, logs in {folder}")
    (folder / "logs").mkdir()
    config = get_logging_config("chaos", log_file=str(folder / "chaos.log"))
    config["root"]["handlers"] = ["file"]
    logging.config.dictConfig(config)
    choice = random.Random(facts["seed"])
    with log_disk(folder / "logs") as is_disk, Network() as network, Fleet(folder, network, progress=say) as fleet:
        say(f"log disk: {'a tmpfs' if is_disk else 'none can be mounted, so file sizes are limited instead'}")
        facts["disk"] = is_disk
        lag, load = Lag(), Load(fleet, options.callers, facts["seed"])
        try:
            chaos = _Chaos(fleet, load, lag, choice, 0.5 if options.short else 1.0)
            chaos.warm_up(3 if options.short else 10)
            say(f"as it was: {chaos.before}")
            end = time.monotonic() + options.seconds
            count = len(kinds) if options.short else options.faults
            for number, fault in enumerate(_order(kinds, count, choice), 1):
                if time.monotonic() > end:
                    break
                one = chaos.round(fault)
                rounds.append(one)
                wrong = f" VIOLATIONS {one.violations[:3]}" if one.violations else ""
                say(f"{number:>3} of {count}: {fault.name}: again after {one.recovered:.1f} s, {one.errors}{wrong}")
            say("tell whom nobody has told yet, and look once more")
            rounds[-1].violations.extend(chaos.look(all_told=True))
            say(f"as it is: {usage(fleet)}")
        finally:
            load.stop()
            lag.stop()


def _order(kinds: list[Fault], count: int, choice: random.Random) -> list[Fault]:
    """Return so many faults: each kind as often as the others, give or take one, in any order."""
    order: list[Fault] = []
    while len(order) < count:
        order += choice.sample(kinds, len(kinds))
    return order[:count]


class _Chaos:
    """The rounds: a fault under load, all works again, the load rests, all is compared."""

    def __init__(self, fleet: Fleet, load: Load, lag: Lag, choice: random.Random, scale: float) -> None:
        self._fleet, self._load, self._lag, self._choice, self._scale = fleet, load, lag, choice, scale
        self.before: Usage | None = None
        self._rounds = 0
        self._pool = ThreadPoolExecutor()
        self._told: Future[None] | None = None

    def warm_up(self, seconds: float) -> None:
        """Let the load run, and note what the fleet holds then."""
        self._load.start()
        time.sleep(seconds)
        self._rest()
        self.before = usage(self._fleet)

    def round(self, fault: Fault) -> Round:
        """Do one fault, and look what has become of all."""
        ledger = self._load.ledger
        first, acknowledged = len(ledger.calls), ledger.acknowledged
        self._rounds += 1
        self._load.start()
        time.sleep(_LEAD)
        if self._rounds % _TELLS_EVERY == 0:  # while it lasts, it is told whom nobody has told yet
            self._told = self._pool.submit(self._tell)
        with fault.do(self._fleet, self._choice):
            time.sleep(fault.seconds * self._scale)
        ended, said, recovered, settled = time.monotonic(), [], 0.0, 0.0
        try:
            self._recover(ended)
            recovered = time.monotonic() - ended
            self._settle(ended)
            settled = time.monotonic() - ended - _QUIET
            self._rest()
            said += self.look()
        except (FleetError, psycopg.Error) as error:
            said.append(f"{type(error).__name__}: {error}")
        calls = ledger.calls[first:]
        said += judge.late(calls, DEADLINE, self._lag)
        errors = dict(ledger.errors(first).most_common())
        longest = max(call.seconds for call in calls)
        return Round(
            fault.name, len(calls), ledger.acknowledged - acknowledged, errors, longest, recovered, settled, said
        )

    def look(self, *, all_told: bool = False) -> list[str]:
        """Return what does not hold; the load must rest."""
        assert self.before is not None
        if all_told or self._pending():
            self._tell()
        found, ledger = judge.facts(self._fleet), self._load.ledger
        said = judge.violations(ledger, found, all_told=all_told)
        judge.settle(ledger, found)
        ledger.lies.clear()
        return said + self._grown()

    def _grown(self) -> list[str]:
        assert self.before is not None
        return judge.grown(self.before, usage(self._fleet), **_MORE, connections=_SERVER_CONNECTIONS)

    def _recover(self, ended: float) -> None:
        """Return once all four are ready and a ticket was opened."""
        self._fleet.wait_until_ready(RECOVERS_WITHIN)
        ledger, begin = self._load.ledger, len(self._load.ledger.calls)
        while time.monotonic() < ended + RECOVERS_WITHIN:
            if any(call.what == "open" and not call.error and call.began > ended for call in ledger.calls[begin:]):
                return
            time.sleep(0.05)
        raise FleetError(f"no ticket could be opened for {RECOVERS_WITHIN:g} s after its end")

    def _settle(self, ended: float) -> None:
        """Return once no call fails any more, and all is back where it was."""
        # A connection that the pooler dropped stays half-closed until the next request of the thread that has it.
        ledger = self._load.ledger
        while True:
            begin = len(ledger.calls)
            time.sleep(_QUIET)
            errors, grown = dict(ledger.errors(begin)), self._grown()
            if not errors and not grown and len(ledger.calls) > begin:
                return
            if time.monotonic() > ended + RECOVERS_WITHIN:
                raise FleetError(f"{RECOVERS_WITHIN:g} s after its end: {errors or grown or 'nobody is answered'}")

    def _rest(self) -> None:
        """Return once nobody calls, and nothing is under way."""
        if self._told:
            self._told.exception()  # it may have failed, as the fault would have it; it ends by itself
            self._told = None
        self._load.pause()
        self._fleet.wait_until_idle(_ENDS_WITHIN)

    def _pending(self) -> int:
        asked = "SELECT count(*) FROM tickets_ticket WHERE notified_at IS NULL AND NOT is_deleted"
        return int(self._fleet.query("ticket", asked)[0][0])

    def _tell(self) -> None:
        """Run `notify_pending`, twice at once: nobody may be told twice."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: self._fleet["ticket"].manage("notify_pending"), range(2)))


def _progress(started: float) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return say


if __name__ == "__main__":
    os.environ.pop("DB_HOST", None)  # a stack of its own: this one is killed
    sys.exit(main())
