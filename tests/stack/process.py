"""A program that ends with its caller, also where the caller is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")


class StackError(Exception):
    """Something that the suites or the demo need cannot be started; the message is one line that says what to do."""


class Process:
    """A program under a guard (guard.py), which stops it when this process says so, or is gone.

    Args:
        command: The program and its arguments.
        log: The file to append what it prints to.
        env: Its environment; by default this process's.
        cwd: Its working folder.
        user: The name of the user to run as; only root can give one.
        stop_signal: What asks it to end; SIGKILL follows ``grace`` seconds later.
        remove: A folder to remove when all is over.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 5.0,
        remove: Path | None = None,
    ) -> None:
        self._command = list(command)
        self._env = dict(os.environ if env is None else env) | ({"GUARD_USER": user} if user else {})
        self._cwd = cwd
        self._options = [str(int(stop_signal)), str(grace), str(remove or "")]
        self._guard: subprocess.Popen[bytes] | None = None
        self.log = log
        self.pid = 0

    def start(self) -> None:
        """Start the program, and return once it runs.

        Raises:
            StackError: It cannot be run.
        """
        with self.log.open("ab") as log:
            # A session of its own: a terminal's Ctrl-C goes to the caller alone, who stops things in their order.
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *self._options, *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        if not line:
            self.stop()
            raise StackError(f"{self._command[0]} cannot be run: {self.tail()}")
        self.pid = int(line)

    @property
    def running(self) -> bool:
        """Whether the program itself still runs."""
        if self._guard is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the program a signal; SIGKILL returns once it is gone."""
        self._send(os.kill, number)

    def kill_all(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the program and the workers in its process group a signal; SIGKILL returns once it is gone."""
        self._send(os.killpg, number)

    def _send(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        if self._guard is None:
            return  # pid 0 would mean this process's own group, and an old one may be another's by now
        with contextlib.suppress(ProcessLookupError):
            send(self.pid, number)
        while number == signal.SIGKILL and self.running:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the program and what it left; nothing where it is stopped already."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.close()
            guard.wait()
            guard.stdout.close()

    def tail(self) -> str:
        """Return the last line of the log, for an error's text."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it printed nothing"
