"""A WSGI application for ``gunicorn --preload``: its client has a connection before there are workers."""

import os
from collections.abc import Callable, Iterable

from shared_core.clients import HTTPClient

client = HTTPClient(os.environ["UPSTREAM"], token=False)
client.get("/preloaded", headers={"X-Process": str(os.getpid())})


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    text = client.get(path, headers={"X-Process": str(os.getpid())}).content.decode()
    start_response("200 OK" if text == path else "500 Mixed up", [("Content-Type", "text/plain")])
    return [text.encode()]
