"""A machine without a browser says so, and CI does not pass over it."""

import pytest

from tests.admin import browser


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_browser_tests_say_what_to_install_if_there_is_no_browser(ci, outcome, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="apt-get install chromium chromium-driver"):
        browser.programs()
