import pytest

from shared_core.redaction import is_secret_key, redact_url


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "X-Api-Key",
        "accessToken",
        "Authorization",
        "client_secret",
        "Set-Cookie",
        "sessionid",
    ],
)
def test_a_key_that_names_a_secret_is_known_in_any_spelling(key):
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["user_id", "path", "author", "keyboard", "compass", "request_id"])
def test_other_keys_are_not(key):
    assert not is_secret_key(key)


def test_a_service_adds_keys_of_its_own():
    assert is_secret_key("Social-Security", ["social_security"])
    assert not is_secret_key("social", ["social_security"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hunter2@host:8000/a?token=x&page=2#top", "http://host:8000/a?token=***&page=***"),
        ("https://[::1]/a", "https://[::1]/a"),
        ("http://[broken", "***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret_in_it(url, shown):
    assert redact_url(url) == shown
