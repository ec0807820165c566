"""Merge the logs of services in time, choose among their records, and follow one request through all of them."""

import argparse
import datetime as dt
import json
import math
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from shared_core.logs.line import write_value
from shared_core.logs.reader.draw import as_svg, as_text
from shared_core.logs.reader.filters import Filter, parse_condition, parse_time
from shared_core.logs.reader.lines import FOREIGN, Line, printable
from shared_core.logs.reader.sources import STDIN, followed, merged, size_of
from shared_core.logs.reader.trace import TraceError, trace
from shared_core.terminal import Progress, ProgressBar, graceful_exit, uses_colour

_EXAMPLES = """\
python -m shared_core.logs *.log --level WARNING --since 1h
python -m shared_core.logs *.log --request-id 0f8fad5b --trace
docker compose logs --follow | python -m shared_core.logs --logger apps --where ticket_id=42

Exit status: 0 when all was read, 1 where a file cannot be read or no request drawn, 2 for a mistake in the command
line, 130 after Ctrl-C.
"""


@graceful_exit()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except OSError as error:
        if error.filename is None:  # it is of the output
            raise
        verb = "written" if options.svg and Path(error.filename) == Path(options.svg) else "read"
        _say(f"{error.filename} cannot be {verb} ({error.strerror}): fix that, or name another file")
        return 1
    except TraceError as error:
        _say(error)
        return 1
    except ValueError as error:
        _say(error)
        return 2
    return 0


def _say(text: object) -> None:
    # It may quote what was logged, or the name of a file.
    print(f"shared_core.logs: {printable(str(text))}", file=sys.stderr)


def _run(options: argparse.Namespace) -> None:
    now = dt.datetime.now(dt.UTC)
    asked = Filter(
        request_id=options.request_id,
        level=options.level,
        logger=options.logger,
        since=parse_time(options.since, now) if options.since else "",
        until=parse_time(options.until, now) if options.until else "",
        where=tuple(map(parse_condition, options.where)),
    )
    names = options.files or [STDIN]
    if options.follow and (options.trace or options.svg):
        raise ValueError("a request is drawn when it is over: leave out --follow")
    if options.follow and STDIN not in names:
        for name in names:
            if not Path(name).exists():
                _say(f"{name} is not there yet: waiting for it")
        _print(filter(asked.passes, followed(names)), as_json=options.json)
        return
    if not options.files and sys.stdin and sys.stdin.isatty():
        _say("Reading what is typed until Ctrl-D; name files, or see --help")
    bar = _bar(names)
    try:
        lines = filter(asked.passes, merged(names, asked.wanted, bar.advance if bar else None))
        if not (options.trace or options.svg):
            _print(lines, as_json=options.json, bar=bar)
            return
        drawn = trace(lines)
    finally:
        if bar:
            bar.clear()
    if options.svg:
        Path(options.svg).write_text(as_svg(drawn), encoding="utf-8")
    if options.trace:
        width = shutil.get_terminal_size((120, 0)).columns
        for text in as_text(drawn, width=width, colour=uses_colour(sys.stdout)):
            print(text)


def _bar(names: Sequence[str]) -> ProgressBar | None:
    """Return a bar for who looks at both outputs; it would stand in what ``less`` shows."""
    if STDIN in names or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return None
    progress = Progress("read", sum(map(size_of, names)) // 1000, unit="kB")
    return ProgressBar(partial(print, end="", file=sys.stderr, flush=True), progress)


def _print(lines: Iterable[Line], *, as_json: bool, bar: ProgressBar | None = None) -> None:
    for text in _as_json(lines) if as_json else _as_is(lines):
        if bar:
            bar.clear()
        sys.stdout.write(f"{text}\n")
        if sys.stdout.isatty():
            sys.stdout.flush()
    sys.stdout.flush()


def _as_is(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        yield line.text if line.is_record else FOREIGN + line.text


def _as_json(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        try:
            said = _record_as_json(line) if line.is_record else None
        except (ValueError, RecursionError):
            said = None
        yield said or json.dumps({"foreign": line.text})


def _record_as_json(line: Line) -> str:
    record = line.parsed()
    said = {
        "level": line.level,
        "time": f"{record['time']:%Y-%m-%dT%H:%M:%S}.{line.time[20:]}Z",
        "logger": line.logger,
        "msg": record["message"],
    }
    for name, value in record["fields"].items():
        key = name
        while key in said:  # a field never stands for the record's own level, say
            key += "_"
        said[key] = _without_odd_floats(value)
    return json.dumps(said, allow_nan=False)


def _without_odd_floats(value: object) -> object:
    """Return ``value`` with NaN and Infinity, for which JSON has no word, as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return write_value(value)
    if isinstance(value, list):
        return [_without_odd_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_odd_floats(item) for key, item in value.items()}
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared_core.logs",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs, .gz too; - or none: standard input")
    parser.add_argument("--request-id", default="", metavar="ID", help="of this request; its beginning will do")
    levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    parser.add_argument("--level", default="", type=str.upper, choices=levels, help="this level and above")
    parser.add_argument("--logger", default="", metavar="NAME", help="this logger and those below it")
    parser.add_argument("--since", default="", metavar="TIME", help="10m, 2h, 1d, or ISO 8601 (UTC)")
    parser.add_argument("--until", default="", metavar="TIME", help="likewise")
    parser.add_argument("--where", default=[], action="append", metavar="KEY=VALUE", help="a field; may be repeated")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("--json", action="store_true", help="one JSON object a record")
    parser.add_argument("--trace", action="store_true", help="draw the request as a timeline")
    parser.add_argument("--svg", metavar="FILE", help="draw it as a picture")
    return parser


if __name__ == "__main__":
    sys.exit(main())
