"""``make demo``: four services run on the shared core, one story is told to them, and what was seen is compared.

Exit status: 0 where everything held, 1 where something differed or could not be started, 130 for Ctrl-C.
"""

import logging.config
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from shared_core.clients import ServiceError
from shared_core.logging_config import get_logging_config
from tests.services.fleet import Fleet
from tests.services.story import Check, Story
from tests.stack import StackError


def main() -> int:
    """Run the demo; with KEEP=1 in the environment, leave the fleet running until Ctrl-C."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    started = time.monotonic()
    try:
        folder = Path(tempfile.mkdtemp(prefix="shared-core-demo-"))
    except OSError as error:
        print(f"demo: no folder can be made ({error}): set TMPDIR to one that can be written", file=sys.stderr)
        return 1

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)  # a command's own output

    # What its own calls log goes beside the services' logs, and not between the lines of progress.
    config = get_logging_config("demo", log_file=str(folder / "demo.log"))
    config["root"]["handlers"] = ["file"]
    logging.config.dictConfig(config)
    try:
        with Fleet(folder, progress=progress) as fleet:
            story, checks = Story(fleet), []
            for title, step in story.steps():
                progress(title)
                try:
                    checks += step()
                except ServiceError as error:
                    checks.append(Check(title, "no error", str(error)))
            _show_table(checks)
            _show_request(fleet, story)
            failed = sum(not check.holds for check in checks)
            print(f"\n{len(checks)} checks, {failed} failed. The logs are in {folder}")
            if os.environ.get("KEEP", "") not in {"", "0"}:
                _keep(fleet)
    except StackError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ndemo: interrupted; everything is stopped. The logs are in {folder}", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _keep(fleet: Fleet) -> None:
    print("\nThe fleet is running. Press Ctrl-C to stop it.")
    for service in fleet:
        print(f"  {service.name + '-service':<22} {service.url}/ready/")
    ticket = fleet["ticket"]
    print(f"\n  curl -H 'Authorization: Bearer {ticket.tokens['gateway']}' {ticket.url}/api/v1/tickets", flush=True)
    while True:
        signal.pause()


def _show_request(fleet: Fleet, story: Story) -> None:
    """Draw the request that opened the ticket, from the services' own files, with the program that users have."""
    logs = [str(service.log_file) for service in fleet]
    command = ["python", "-m", "shared_core.logs", *logs, "--request-id", str(story.request_id), "--trace"]
    print(f"\n$ {' '.join(command)}\n", flush=True)
    subprocess.run([sys.executable, *command[1:]], check=True)


def _show_table(checks: list[Check]) -> None:
    rows = [
        (check.what, _short(check.expected), _short(check.seen), "ok" if check.holds else "DIFFERS") for check in checks
    ]
    head = ("what", "expected", "seen", "")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    print()
    for row in [head, tuple("-" * width for width in widths), *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{number} {label.rpartition('.')[2]}" for label, number in value.items())
    if isinstance(value, set | list):
        return ", ".join(sorted(map(str, value))) or "none"
    return str(value)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
