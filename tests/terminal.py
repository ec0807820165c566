"""A program as a person at a terminal has it."""

import io
import os
import pty
import subprocess


class Terminal(io.StringIO):
    """A stream that passes for one."""

    def isatty(self):
        return True


def on_a_terminal(command, streams=("stdin", "stdout", "stderr"), **options):
    """Return the status of a program, and what the terminal shows that is these streams of it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, **dict.fromkeys(streams, theirs), **options) as process:
        os.close(theirs)
        shown = b""
        try:
            while read := os.read(ours, 4096):
                shown += read
        except OSError:  # Linux says so where the other end is closed
            pass
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")
