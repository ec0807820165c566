"""Python runs this at its start where this folder is in PYTHONPATH: the wall clock is wrong by what the file SKEW says.

A thread of each process looks into it, so that the clock of a program jumps while it runs.
"""

import os
import threading
import time
from pathlib import Path

import time_machine

_EVERY = 0.1  # seconds


def _follow(path: Path) -> None:
    seconds, travel = 0, None
    while True:
        if (new := int(path.read_text())) != seconds:
            seconds = new
            if travel:
                travel.stop()
                travel = None
            if seconds:
                travel = time_machine.travel(time.time() + seconds, tick=True)
                travel.start()
        time.sleep(_EVERY)


def _start() -> None:
    threading.Thread(target=_follow, args=[Path(os.environ["SKEW"])], name="skew", daemon=True).start()


_start()
os.register_at_fork(after_in_child=_start)
