"""The tiny service, run by a program."""

import os
import shutil
import signal
import sys
import time
import urllib.request
from pathlib import Path

from tests.stack.process import Process
from tests.stack.servers import free_port

REPOSITORY = Path(__file__).parents[2]


class Server:
    """The tiny service, run by a program that its ``port`` is told to; its code is a copy that may be changed."""

    def __init__(self, folder, *program):
        shutil.copytree(REPOSITORY / "tests" / "tiny_service", folder / "tests" / "tiny_service")
        (folder / "tests" / "__init__.py").touch()
        self.folder, self.port = folder, free_port()
        command = [sys.executable, "-m", *(part.format(port=self.port) for part in program)]
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.tiny_service.settings",
            "LOG_FILE": str(folder / "tiny.log"),
            "PYTHONPATH": f"{folder}:{REPOSITORY}",
            "RUN_BY": " ".join(program),
        }
        self.process = Process(command, log=folder / "console", env=environment, cwd=folder, stop_signal=signal.SIGINT)

    def get(self, path):
        """Ask for ``path``, for up to 20 s until somebody answers."""
        end = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).close()  # the test's own
            except OSError:
                assert self.process.running, self.process.tail()
                assert time.monotonic() < end, (self.folder / "console").read_text()
                time.sleep(0.1)
            else:
                return

    @property
    def console(self):
        """What was said on standard error (and on standard output, which programs use for what is no record)."""
        return [line for line in (self.folder / "console").read_text().splitlines() if line]

    @property
    def written(self):
        path = self.folder / "tiny.log"
        return path.read_text().splitlines() if path.exists() else []  # made by the first record
