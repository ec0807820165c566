"""The verbs of a client, where `requests` has them, and those that ask for JSON."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Unpack

import requests

from shared_core.clients.request import CallOptions
from shared_core.clients.response import read_json, read_json_or_missing


class Verbs(ABC):
    """What can be asked of a service."""

    @abstractmethod
    def request(
        self,
        method: str,
        url: str,
        *,
        data: Any = None,  # Any: as requests takes them
        json: Any = None,
        **options: Unpack[CallOptions],
    ) -> requests.Response:
        """Return the answer to a request."""

    @abstractmethod
    def _json(
        self, method: str, url: str, *, read: Callable[[requests.Response], Any] = read_json, **arguments: Any
    ) -> Any:
        """Return what ``read`` makes of the answer to a request."""

    def get(self, url: str, **options: Unpack[CallOptions]) -> requests.Response:
        """GET ``url``; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[CallOptions]) -> requests.Response:
        """HEAD ``url``; see `request`."""
        return self.request("HEAD", url, **options)

    # Any from here on: bodies are as requests takes them, and JSON is what the service sent.
    def delete(
        self, url: str, *, data: Any = None, json: Any = None, **options: Unpack[CallOptions]
    ) -> requests.Response:
        """DELETE ``url``; see `request`."""
        return self.request("DELETE", url, data=data, json=json, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """POST to ``url``; see `request`."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """PUT to ``url``; see `request`."""
        return self.request("PUT", url, data=data, json=json, **options)

    def patch(self, url: str, data: Any = None, json: Any = None, **options: Unpack[CallOptions]) -> requests.Response:
        """PATCH ``url``; see `request`."""
        return self.request("PATCH", url, data=data, json=json, **options)

    def get_json(self, url: str, *, missing_ok: bool = False, **options: Unpack[CallOptions]) -> Any:
        """GET ``url`` and return the JSON of the answer, or None where it has no body.

        With ``missing_ok``, None means 404 and nothing else: an answer without a body is an error then.

        Raises:
            InvalidResponse: The answer is not JSON.
        """
        if missing_ok:
            return self._json("GET", url, read=read_json_or_missing, expected={404}, **options)
        return self._json("GET", url, **options)

    def post_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """POST ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("POST", url, json=json, **options)

    def put_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """PUT ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("PUT", url, json=json, **options)

    def patch_json(self, url: str, json: Any = None, **options: Unpack[CallOptions]) -> Any:
        """PATCH with ``json`` and return the JSON of the answer, or None where it has no body; see `get_json`."""
        return self._json("PATCH", url, json=json, **options)
