import signal

import hypothesis
import pytest

from tests.tiny_service.server import Server

# No deadline: machines that share their cores are slow at times. No database: the code may be mounted read-only.
hypothesis.settings.register_profile("suite", deadline=None, database=None)
hypothesis.settings.load_profile("suite")

# A shell has what it runs in the background ignore Ctrl-C, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Each service is a project of its own; the benchmarks are programs.
collect_ignore_glob = ["services/*-service/*", "benchmarks/*"]


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts the tiny service by a program; it ends with the test."""
    servers = []

    def start(*program):
        server = Server(tmp_path, *program)
        server.process.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.process.stop()
