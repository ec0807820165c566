"""Runs a program that must not outlive whoever wanted it.

    python guard.py SIGNAL GRACE FOLDER PROGRAM [ARGUMENT ...]

The program's pid is the first line of the output. When standard input ends, because the caller closed it or is gone,
however it went, the program gets SIGNAL, after GRACE seconds SIGKILL, and FOLDER (empty for none) is removed.

Run by path and with the standard library alone, so that it starts in milliseconds.
"""

import contextlib
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(stop_signal: str, grace: str, folder: str, *command: str) -> None:
    """Run ``command`` until standard input ends."""
    # A handler and not SIG_IGN: the program would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    user = os.environ.pop("GUARD_USER", "")
    identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        process_group=0,
        **identity,
    )
    # A caller that is gone before it reads this has ended standard input too: the program must still be stopped.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, f"{program.pid}\n".encode())
    while True:
        program.poll()  # reaps it as soon as it has ended
        readable, _, _ = select.select([0], [], [], 0.05)
        if readable and not os.read(0, 1024):
            break
    if program.poll() is None:
        program.send_signal(int(stop_signal))
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(float(grace))
    # What is left of its group: workers whose master was killed, or all of it where it would not stop.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    end = time.monotonic() + float(grace)
    while folder and Path(folder).exists() and time.monotonic() < end:
        # Other programs, which end at the same time, may still be writing there.
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
