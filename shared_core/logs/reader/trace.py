"""The trace of one request through all services: which call led to which answer, when, how long, and what failed."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared_core.logs.reader.lines import Line, printable

# A picture of more would show nothing, and hold all of it in memory.
MAX_RECORDS = 5_000

# Milliseconds by which the clocks of two machines may differ, and by which a line is written after the event that it
# reports.
_SLACK = 50.0

# Milliseconds that a step may take: a longer one is a mistake, and no calendar or picture has room for it.
_LONGEST = 366 * 86_400_000.0


@dataclass
class Step:
    """A stretch of time in a service, or a moment, where ``ms`` is None.

    Its texts hold what was logged, decoded; they are made printable here, for all who draw them.
    """

    kind: str  # "answer", "call" or "record"
    service: str
    start: float  # ms since the first step
    ms: float | None
    label: str
    outcome: str
    failed: bool
    peer: str = ""  # of a call, the called service
    steps: list["Step"] = field(default_factory=list)  # what happened meanwhile and because of it

    def __post_init__(self) -> None:
        """Make the texts printable."""
        self.service, self.label = printable(self.service), printable(self.label)
        self.outcome, self.peer = printable(self.outcome), printable(self.peer)

    @property
    def end(self) -> float:
        """Milliseconds since the first step."""
        return self.start + (self.ms or 0.0)


@dataclass(frozen=True)
class Trace:
    """One request; its id is made printable here, as the texts of its steps are."""

    request_id: str
    began: dt.datetime
    ms: float
    steps: list[Step]  # those that nothing in the logs led to

    def __post_init__(self) -> None:
        """Make the id printable."""
        object.__setattr__(self, "request_id", printable(self.request_id))

    def walk(self) -> Iterator[tuple[int, Step]]:
        """Yield each step with its depth, in the order in which to read them."""
        waiting = [(0, step) for step in reversed(self.steps)]
        while waiting:
            depth, step = waiting.pop()
            yield depth, step
            waiting += [(depth + 1, inner) for inner in reversed(step.steps)]

    @property
    def services(self) -> list[str]:
        """Their names, in the order in which the request came to them."""
        return list(dict.fromkeys(step.service for _, step in self.walk()))

    @property
    def failures(self) -> int:
        """How many steps failed."""
        return sum(step.failed for _, step in self.walk())


class TraceError(ValueError):
    """The records are not those of one request."""


def trace(lines: Iterable[Line]) -> Trace:
    """Return the trace that the records of one request describe.

    Raises:
        TraceError: There are none, they are of several requests, or there are too many.
    """
    records = []
    seen: set[str] = set()
    for line in lines:
        try:
            record = line.parsed()
        except ValueError:
            continue
        # The same may stand in the file of a service and in what its console said.
        if "request_id" in record["fields"] and line.text not in seen:
            seen.add(line.text)
            records.append(record)
        if len(records) > MAX_RECORDS:
            raise TraceError(f"more than {MAX_RECORDS} records; narrow them down with --since, --until or --level")
    ids = list(dict.fromkeys(str(record["fields"]["request_id"]) for record in records))
    if not ids:
        raise TraceError("no record has such a request_id: name more files, or another id")
    if len(ids) > 1:
        some = ", ".join(map(printable, ids[:3]))
        raise TraceError(f"the records are of {len(ids)} requests; choose one with --request-id, such as {some}")
    began = min(_began(record) for record in records)
    steps = sorted((_step(record, began) for record in records), key=lambda step: (step.start, -(step.ms or 0.0)))
    return Trace(ids[0], began, max(step.end for step in steps), _nested(steps))


def _ms(record: Mapping[str, Any]) -> float | None:
    """Return the duration that an access line or a call's line tells, if it is one."""
    ms = record["fields"].get("ms")
    tells = record["logger"] in {"shared_core.access", "shared_core.http"} and "method" in record["fields"]
    is_number = tells and isinstance(ms, int | float) and not isinstance(ms, bool)
    return float(ms) if is_number and 0 <= ms <= _LONGEST else None  # false for NaN


def _began(record: Mapping[str, Any]) -> dt.datetime:
    try:
        began: dt.datetime = record["time"] - dt.timedelta(milliseconds=_ms(record) or 0.0)
    except OverflowError:  # before the year 1
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    return began


def _step(record: Mapping[str, Any], began: dt.datetime) -> Step:
    fields, ms = record["fields"], _ms(record)
    at = (record["time"] - began) / dt.timedelta(milliseconds=1)
    service = str(fields.get("service", "?"))
    if ms is None:
        failed = record["level"] in {"ERROR", "CRITICAL"}
        return Step("record", service, at, None, f"{record['logger']}: {record['message']}", record["level"], failed)
    status, error = fields.get("status"), fields.get("error")
    start = max(at - ms, 0.0)  # negative only where the calendar ends
    label = f"{fields['method']} {fields.get('path', '')}"
    if record["logger"] == "shared_core.access":
        return Step("answer", service, start, ms, label, str(status), isinstance(status, int) and status >= 500)
    attempts = fields.get("attempts", 1)
    outcome = str(error or status) + (f" after {attempts} attempts" if attempts not in (0, 1) else "")
    return Step("call", service, start, ms, label, outcome, bool(error), peer=str(fields.get("peer_service", "?")))


def _nested(steps: list[Step]) -> list[Step]:
    """Put each step into the one that it happened in: an answer into the call for it, the rest into their answer."""
    roots: list[Step] = []
    calls: dict[str, list[Step]] = {}  # {service that is called: [call]}
    answers: dict[str, list[Step]] = {}  # {service that answers: [answer]}
    for step in steps:
        around = (calls if step.kind == "answer" else answers).get(step.service, [])
        within = next((other for other in reversed(around) if _holds(other, step)), None)
        (roots if within is None else within.steps).append(step)
        if step.kind == "call":
            calls.setdefault(step.peer, []).append(step)
        elif step.kind == "answer":
            answers.setdefault(step.service, []).append(step)
    return roots


def _holds(outer: Step, inner: Step) -> bool:
    if not (outer.start - _SLACK <= inner.start and inner.end <= outer.end + _SLACK):
        return False
    # A call has one answer at a time: those to its attempts come one after the other.
    return inner.kind != "answer" or all(same.end <= inner.start for same in outer.steps if same.kind == "answer")
