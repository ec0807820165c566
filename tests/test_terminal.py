import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared_core.terminal import Progress, graceful_exit, uses_colour
from tests.terminal import Terminal


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal, {}, True),
        (io.StringIO, {}, False),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (io.StringIO, {"FORCE_COLOR": ""}, False),
        (Terminal, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_used_on_a_terminal_or_if_forced(monkeypatch, stream, environment, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert uses_colour(stream()) is wanted


class TestGracefulExit:
    def test_ctrl_c_exits_with_status_130(self):
        with pytest.raises(SystemExit) as raised, graceful_exit():
            os.kill(os.getpid(), signal.SIGINT)

        assert raised.value.code == 130

    @pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.EIO, "Broken")])
    def test_an_os_error_of_the_code_is_raised(self, capfd, error):
        with pytest.raises(OSError, match="Broken") as raised, graceful_exit():
            raise error

        assert raised.value is error

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_closed_pipe_exits_with_status_141_without_a_traceback(self, unbuffered):
        done = ends("print('text', flush=True)", unbuffered=unbuffered, unread=True)

        assert (done.returncode, done.stderr) == (141, "")

    def test_a_closed_pipe_and_a_failure_exit_with_status_141(self):
        done = ends("print('text'); sys.exit(1)", unread=True)

        assert (done.returncode, done.stderr) == (141, "")

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_full_disk_is_a_one_line_error(self, unbuffered):
        with Path("/dev/full").open("w") as full:
            done = ends("print('text')", unbuffered=unbuffered, stdout=full)

        assert done.returncode == 1
        assert done.stderr == "No space left on device: make room, or write elsewhere.\n"


def ends(code, *, unbuffered="", unread=False, stdout=None):
    """Return how a program ended; nobody reads it where it is ``unread``."""
    program = f"import sys\nfrom shared_core.terminal import graceful_exit\nwith graceful_exit(unread=141):\n    {code}"
    if unread:
        reader, stdout = os.pipe()
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        timeout=60,
    )
    if unread:
        os.close(stdout)
    return done


class TestProgress:
    def test_progress_shows_percentage_rate_and_eta(self):
        clock = Clock()
        progress = Progress("tickets.Ticket", 10_000, clock)
        clock.now += 5
        progress.advance(4_500)

        assert progress.line(100) == ("tickets.Ticket [#########...........] 4,500/10,000  45% 900 rows/s ETA 0:00:06")

    def test_progress_has_no_eta_at_the_start(self):
        assert Progress("a.B", 10, Clock()).line() == "a.B [....................] 0/10   0% 0 rows/s ETA -:--:--"

    def test_progress_never_exceeds_100_percent(self):
        clock = Clock()
        progress = Progress("a.B", 10, clock)
        clock.now += 1
        progress.advance(12)

        assert progress.line().endswith("12/12 100% 12 rows/s ETA 0:00:00")

    @pytest.mark.parametrize("width", [10, 40, 60, 80])
    def test_progress_is_shorter_than_the_terminal_is_wide(self, width):
        progress = Progress("communication.Conversation", 123_456, Clock())
        progress.advance(1000)

        assert len(progress.line(width)) < width

    def test_progress_of_zero_rows_is_100_percent(self):
        assert "0/0 100%" in Progress("a.B", 0, Clock()).line()
