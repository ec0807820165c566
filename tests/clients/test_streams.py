"""A gigabyte up and down, and bodies that are larger than allowed, in bounded memory: by the system's own account."""

import contextlib
import gzip
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("programs") / "streaming.py"
GIGABYTE = 1 << 30
PIECE = bytes(1 << 20)


class Mover(http.server.BaseHTTPRequestHandler):
    """GET /SIZE sends so many bytes, PUT counts what it is sent; nothing is kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, how = self.path.partition("?")
        size = int(path[1:])
        self.send_response(200)
        if how == "gzip":
            packed = gzip.compress(bytes(size), 9)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.write(packed)
            return
        if how == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client has seen enough
            for _ in range(size // len(PIECE)):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if how == "chunked" else PIECE)

    def do_PUT(self):
        seen = 0
        if length := self.headers["Content-Length"]:
            while seen < int(length):
                seen += len(self.rfile.read1(min(1 << 20, int(length) - seen)))
        else:
            while size := int(self.rfile.readline(), 16):
                seen += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        answer = str(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.write(answer)

    def write(self, data):
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    def handle_one_request(self):
        with contextlib.suppress(ConnectionResetError):  # the client has left
            super().handle_one_request()

    def log_message(self, *args):
        pass


@pytest.fixture
def mover():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mover) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("how", "size"),
    [
        ("download", GIGABYTE),
        ("upload_file", GIGABYTE),
        ("upload_generator", GIGABYTE),
        ("refuse", 200 << 20),
    ],
)
def test_memory_is_bounded_for_downloads_and_uploads_of_any_size(mover, how, size):
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, PROGRAM, mover, how, str(size)],
        check=True, capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip

    assert int(done.stdout) < 50_000_000
