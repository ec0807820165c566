"""The code on docs/clients.md runs."""

import re
from pathlib import Path

import pytest

from shared_core.clients import ServerError
from shared_core.testing import FakeService

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.fixture
def page(settings):
    """What the page's code defines, run as one module."""
    settings.USER_SERVICE_URL = "http://user-service.invalid"
    settings.FILE_SERVICE_URL = "http://file-service.invalid"
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(PAGE), "exec"), names)  # the project's own page
    return names


def test_the_tests_on_the_page_pass(page):
    tests = [name for name in page if name.startswith("test_")]
    for name in tests:
        page[name]()

    assert len(tests) == 2


@pytest.mark.parametrize(("status", "answered"), [(200, 200), (503, 503), (502, 503), (500, ServerError)])
def test_the_profile_view_answers_503_only_for_an_outage(page, status, answered):
    with FakeService("user") as users:
        users.on("GET", "/api/v1/users/42").reply(status, json={"id": "42"})
        if answered is ServerError:
            with pytest.raises(ServerError):
                page["profile"](None, "42")
        else:
            assert page["profile"](None, "42").status_code == answered


def test_every_user_reads_all_pages_of_a_list(page):
    with FakeService("user") as users:
        users.on("GET", "/api/v1/users?page_size=200").reply(
            json={"results": [1, 2], "next": "http://user-service.invalid/api/v1/users?page=2"}
        )
        users.on("GET", "/api/v1/users?page=2").reply(json={"results": [3], "next": None})
        found = list(page["every_user"](page["users"]))

    assert found == [1, 2, 3]


class TestFiles:
    @pytest.fixture
    def files(self, page):
        class FileClient(page["ServiceClient"]):
            service = "file"

        return FileClient()

    def test_the_download_writes_the_whole_file(self, page, files, tmp_path):
        with FakeService("file") as fake:
            fake.on("GET", "/api/v1/files/1").reply(body=b"x" * 3_000_000)
            page["download"](files, "1", str(tmp_path / "file"))

        assert (tmp_path / "file").read_bytes() == b"x" * 3_000_000

    def test_a_failed_download_leaves_no_file(self, page, files, tmp_path):
        with FakeService("file") as fake:
            fake.on("GET", "/api/v1/files/1").reply(404)
            with pytest.raises(page["NotFound"]):
                page["download"](files, "1", str(tmp_path / "file"))

        assert list(tmp_path.iterdir()) == []

    def test_a_retried_upload_sends_the_whole_file_again(self, page, files, tmp_path):
        (tmp_path / "file").write_bytes(b"content")
        with FakeService("file") as fake:
            fake.on("PUT", "/api/v1/files/1").reply(503, times=1).reply(204)
            page["upload"](files, "1", str(tmp_path / "file"))

        assert [call.body for call in fake.calls] == [b"content", b"content"]


def test_the_counting_observer_counts_calls_by_status(page):
    with FakeService("user") as fake:
        fake.on("GET", "/api/v1/users/1").reply(json={})
        page["counted"].find("1")
        page["counted"].find("1")

    assert page["calls"] == {("user", 200): 2}
