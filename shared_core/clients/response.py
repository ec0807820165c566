"""What does an answer hold?"""

import json
from typing import Any

import requests


def whole(response: requests.Response) -> requests.Response:
    """Return ``response`` as it is."""
    return response


def read_json(response: requests.Response) -> Any:  # Any: what the service sent
    """Return what the body says, or None where there is none, or where the answer is a 404 that was expected.

    Raises:
        ValueError: It is not JSON (RFC 8259); the text says what it is called instead.
    """
    if response.status_code in {204, 404} or not response.content:
        return None
    try:
        return json.loads(response.content, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        kind = response.headers.get("Content-Type", "no content type")
        raise ValueError(f"{response.status_code} with {kind[:80]!a} that is not JSON") from exc


def _refuse(name: str) -> None:
    # Python reads NaN and Infinity; RFC 8259 §6 does not permit them.
    raise ValueError(f"{name} is not JSON")
