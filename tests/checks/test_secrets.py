import re
import secrets

import pytest
from django.core import mail

from shared_core import conf
from shared_core.checks.secrets import check_secrets

STRONG = "Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6"


@pytest.fixture(autouse=True)
def exposed(monkeypatch, settings, tmp_path):
    """A service that strangers may reach: no tests, as far as it can know."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.setattr(conf, "_is_test_run", False)
    settings.DEBUG = False
    settings.SECRET_KEY = STRONG


def ids():
    return [message.id.removeprefix("shared_core.") for message in check_secrets()]


WEAK_KEYS = [
    "",
    "short",
    b"short",
    STRONG[:31],
    "django-insecure-" + STRONG,
    "abcd" * 16,
    "please-change-this-secret-key-0123456789",
]
WEAK_TOKENS = [
    "t",
    STRONG[:15],
    "aaaaaaaabbbbbbbb",
    "changeme-changeme",
    "my-secret-token-12345",
    "Password_Password_1",
]


@pytest.mark.parametrize("key", WEAK_KEYS)
def test_a_weak_secret_key_is_reported_without_its_value(settings, key):
    settings.SECRET_KEY = key
    (message,) = check_secrets()

    assert message.id == "shared_core.E201"
    assert not key or str(key) not in str(message)


def test_a_weak_fallback_key_is_reported(settings):
    settings.SECRET_KEY_FALLBACKS = [STRONG, "changeme"]
    (message,) = check_secrets()

    assert message.id == "shared_core.E201"
    assert "SECRET_KEY_FALLBACKS[1] has fewer than 32 characters" in message.msg


def test_a_secret_key_that_is_not_a_string_is_reported(settings):
    settings.SECRET_KEY = 7 * 10**40

    assert [message.msg for message in check_secrets()] == ["SECRET_KEY is weak outside of DEBUG: it is no text."]


@pytest.mark.parametrize("setting", ["SERVICE_AUTH_TOKEN", "AUTH_TOKEN"])
@pytest.mark.parametrize("token", WEAK_TOKENS[1:])
def test_a_weak_token_is_reported_without_its_value(settings, setting, token):
    setattr(settings, setting, token)
    (message,) = check_secrets()

    assert message.id == "shared_core.E202"
    assert f"{setting} " in message.msg
    assert token not in str(message)
    assert f'`{setting} = secret("{setting}")`' in message.hint


@pytest.mark.parametrize(
    "token", [None, "", lambda: "of a provider", STRONG[:16], "service-Jb5nHs8Pc", "correct-horse-battery"]
)
def test_a_missing_or_strong_token_is_accepted(settings, token):
    settings.SERVICE_AUTH_TOKEN = token

    assert ids() == []


def test_keys_and_tokens_made_as_in_the_hints_are_strong(settings):
    settings.SECRET_KEY = "short"
    settings.AUTH_TOKEN = "short"
    lines = [re.search(r"`python -c \"([^`]+)\"`", message.hint)[1] for message in check_secrets()]
    assert len(lines) == 2

    for _ in range(200):
        for name, line in zip(("SECRET_KEY", "AUTH_TOKEN"), lines, strict=True):
            made = []
            exec(line, {"print": made.append})
            setattr(settings, name, made[0])
        settings.SERVICE_AUTH_TOKEN = secrets.token_hex(8)
        assert ids() == []


def test_allowed_hosts_with_a_wildcard_is_reported(settings):
    settings.ALLOWED_HOSTS = ["user.example.com", "*"]
    assert ids() == ["W203"]

    settings.ALLOWED_HOSTS = [".example.com"]

    assert ids() == []


@pytest.fixture
def weak(settings):
    settings.SECRET_KEY = settings.AUTH_TOKEN = "weak"
    settings.ALLOWED_HOSTS = ["*"]


@pytest.mark.parametrize("environment", ["production", "staging", "", "of a kind that nobody knows"])
def test_weak_secrets_are_reported_in_production_and_staging(weak, monkeypatch, environment):
    monkeypatch.setenv("ENVIRONMENT", environment)

    assert ids() == ["E201", "E202", "W203"]


@pytest.mark.parametrize("environment", ["dev", "development", "test"])
def test_weak_secrets_are_accepted_in_development_and_tests(weak, monkeypatch, environment):
    monkeypatch.setenv("ENVIRONMENT", environment)

    assert ids() == []


def test_weak_secrets_are_accepted_with_debug(weak, settings):
    settings.DEBUG = True

    assert ids() == []


def test_weak_secrets_are_accepted_in_a_test_run(weak, monkeypatch):
    monkeypatch.setattr(conf, "_is_test_run", True)

    assert ids() == []


def test_a_mail_outbox_does_not_count_as_a_test_run(weak, monkeypatch):
    monkeypatch.setattr(mail, "outbox", [], raising=False)  # as the locmem backend makes it

    assert ids() == ["E201", "E202", "W203"]
