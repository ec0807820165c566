"""Tables: which redirects are followed, with which method, body and headers."""

import pytest
import requests

from shared_core.clients.redirects import next_request
from shared_core.origins import InvalidURLError

HERE = "http://user:8000/api/tickets?page=2"
SAME, OTHER = "http://user:8000/api/people", "http://files:8000/api/people"
HEADERS = {
    "Accept": "application/json",
    "Authorization": "Bearer secret",
    "Cookie": "sessionid=1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "X-Api-Key": "secret",
    "X-Request-ID": "0f8fad5b",
}
FOR_OTHERS = {"Accept", "traceparent", "X-Request-ID"}


def follow(method, status, location, *, body=b"order", is_replayable=True):
    """Return the request that follows, or None."""
    request = requests.Request(method, HERE, headers=HEADERS, data=body).prepare()
    response = requests.Response()
    response.status_code, response.headers["Location"] = status, location
    return next_request(request, response, is_replayable=is_replayable)


# (method, status, other origin): is it followed, with its body?
FOLLOWED = {
    **{(method, status, False): (True, status != 303) for method in ("GET", "HEAD") for status in (301, 302, 303)},
    **{(method, status, True): (True, False) for method in ("GET", "HEAD") for status in (301, 302, 303, 307, 308)},
    **{(method, status, False): (True, True) for method in ("GET", "HEAD") for status in (307, 308)},
    **{(method, status, False): (True, True) for method in ("POST", "PUT", "PATCH", "DELETE") for status in (307, 308)},
    **{(method, status, False): (False, False) for method in ("POST", "PUT", "DELETE") for status in (301, 302, 303)},
    **{(method, status, True): (False, False) for method in ("POST", "DELETE") for status in (301, 302, 303, 307, 308)},
    **{("GET", status, False): (False, False) for status in (200, 300, 304, 305)},
}


@pytest.mark.parametrize(("case", "expected"), FOLLOWED.items(), ids=["-".join(map(str, case)) for case in FOLLOWED])
def test_a_redirect_is_followed_or_returned_as_in_the_table(case, expected):
    method, status, is_other = case
    following = follow(method, status, OTHER if is_other else SAME)
    is_followed, keeps_body = expected

    assert (following is not None) is is_followed
    if following is not None:
        assert (following.method, following.url) == (method, OTHER if is_other else SAME)
        assert following.body == (b"order" if keeps_body else None)
        assert ("Content-Length" in following.headers) is keeps_body
        assert following.headers.keys() - {"Content-Length"} == (FOR_OTHERS if is_other else HEADERS.keys())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_cannot_be_sent_again_is_not_redirected(method):
    assert follow(method, 307, SAME, is_replayable=False) is None


def test_a_redirect_does_not_modify_the_original_request():
    request = requests.Request("GET", HERE, headers=HEADERS, data=b"order").prepare()
    response = requests.Response()
    response.status_code, response.headers["Location"] = 302, OTHER
    next_request(request, response, is_replayable=True)

    assert (request.url, request.body, request.headers.keys() - {"Content-Length"}) == (HERE, b"order", HEADERS.keys())


TARGETS = {
    "/people": "http://user:8000/people",
    "people": "http://user:8000/api/people",
    "?page=3": "http://user:8000/api/tickets?page=3",
    "../people": "http://user:8000/people",
    "//files:8000/x": "http://files:8000/x",
    "HTTP://USER:8000/x": "http://user:8000/x",
    "/caf\u00c3\u00a9": "http://user:8000/caf%C3%A9",  # UTF-8, as http.client decodes header bytes
}


@pytest.mark.parametrize(("location", "url"), TARGETS.items(), ids=TARGETS)
def test_a_location_is_relative_to_the_request(location, url):
    assert follow("GET", 302, location).url == url


@pytest.mark.parametrize(
    "location",
    [
        "ftp://files/x",
        "file:///etc/passwd",
        "http://[::1/x",
        "http://files:99999/x",
        "http://user:secret@files/x",
        "http://files\\@evil/x",
        "/x\r\nX-Forged: 1",
    ],
)
def test_an_unsafe_location_is_an_error_without_its_secrets(location):
    with pytest.raises(InvalidURLError) as raised:
        follow("GET", 302, location)

    assert "secret" not in str(raised.value)
