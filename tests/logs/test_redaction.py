import time

import pytest

from shared_core.logs.redaction import is_secret_key, mask_text, redact_url


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
def test_a_secret_key_is_recognised_in_any_spelling(key):
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["user_id", "path", "author", "keyboard", "compass", "request_id"])
def test_a_key_that_only_resembles_a_secrets_name_is_not_masked(key):
    assert not is_secret_key(key)


def test_a_service_can_add_secret_keys():
    assert is_secret_key("Social-Security", ["social_security"])
    assert not is_secret_key("social", ["social_security"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:hunter2@host:8000/a?token=x&page=2#top", "http://host:8000/a?token=***&page=***"),
        ("https://[::1]/a", "https://[::1]/a"),
        ("http://[broken", "***"),
        ("////[broken", "***"),
        ("////anna:hunter2@host/", "***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret_in_it(url, shown):
    assert redact_url(url) == shown


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aWNrZXQifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"refused {JWT}, again", "refused ***, again"),
        (f"/reset/{JWT}/", "/reset/***/"),
        ("Authorization: Bearer s3cret-abc", "Authorization: ***"),
        ("sent Bearer s3cretabc", "sent Bearer ***"),
        ("sent bearer c2VjcmV0MQ== on", "sent bearer *** on"),
        ("Basic YW5uYTpzM2NyZXQ=", "Basic ***"),
        ("postgres://anna:s3cret@db:5432/x", "postgres://***@db:5432/x"),
        ("redis://:s3cr@t@cache/0", "redis://***@cache/0"),
        ("https://s3cret@git.example.org/x", "https://***@git.example.org/x"),
        ("host=db user=anna password=s3cret dbname=x", "host=db user=anna password=*** dbname=x"),
        ("password='s3 cret' x", "password=*** x"),
        ("DB_PASSWORD=s3cret", "DB_PASSWORD=***"),
        ("DB_PASSWORD: s3cret", "DB_PASSWORD: ***"),
        ("GET /x?token=s3cret&page=2", "GET /x?token=***&page=2"),
        ("/x?access_token=s3cret#top", "/x?access_token=***"),
        ('{"api_key": "s3 cret", "n": 1}', '{"api_key": ***, "n": 1}'),
        ("{'client_secret': 's3cret'}", "{'client_secret': ***}"),
        ("Cookie: sessionid=s3cret; a=b", "Cookie: ***"),
        ("X-Api-Key: s3cret", "X-Api-Key: ***"),
        ("token=Bearer s3cret", "token=***"),
        ('token= "api_key": "s3cret" on', "token= *** on"),
        ("token=\n'api_key': 's3cret'", "token=\n***"),
        ("a" * 60 + "_password=s3cret", "a" * 60 + "_password=***"),
        ("password=one, password=two", "password=***, password=***"),
        ("HTTPClient(token='s3cret', timeout=5)", "HTTPClient(token=***, timeout=5)"),
        ('Authorization: "s3cret" sent', "Authorization: ***"),
        ("Cookie:  'sid=s3cret', n=1", "Cookie:  ***, n=1"),
        (r"X-Api-Key: \"s3cret\"", "X-Api-Key: ***"),
        ('Cookie: a="b"; sid=s3cret', "Cookie: ***"),
        ('Authorization: Digest user="a", response="s3cret"', "Authorization: ***"),
        ('Cookie: \n"api_key": "s3cret"', 'Cookie: \n"api_key": ***'),
        ('{"sent": "Authorization: s3cret", "n": 1}', '{"sent": "Authorization: ***", "n": 1}'),
        ("API_TOKEN: s3cret on", "API_TOKEN: *** on"),
        ("SECRET_KEY: s3cret", "SECRET_KEY: ***"),
        ("X-Auth-Token: s3cret", "X-Auth-Token: ***"),
        ("password='s3cret and cut\nnext", "password=***\nnext"),
        ('password="s3cret', "password=***"),
        (r'{"body": "{\"password\": \"s3cret\", \"n\": 1}"}', r'{"body": "{\"password\": ***, \"n\": 1}"}'),
        (r'"{\"token\": \"s3\\\"cret\"}"', r'"{\"token\": ***}"'),
        ("dsn=s3cret auth=s3cret", "dsn=*** auth=***"),
        ('{"passwords": ["s3cret", "s3]cret"], "n": 1}', '{"passwords": ***, "n": 1}'),
        ('{"token": {"value": "s3cret"}}', '{"token": ***}'),
        ('{"token": {"a": {"b": 1}, "c": "s3cret"}}\nnext', '{"token": ***}\nnext'),
        ('token="api_key" = "s3cret"', "token=***"),
        ('token=api_key="s3cret" on', "token=*** on"),
        ("token=password: s3cret on", "token=*** on"),
        ('token="api_key"\n: on', "token=***\n: on"),
        ("token=s3cretsecret= ", "token=***"),
        ("token=s3cretsecret==&page=2", "token=***&page=2"),
        ('token=Bearer "api_key": "s3cret"', "token=***"),
        ("'api_token' => 's3cret'", "'api_token' => ***"),
    ],
)
def test_a_secret_in_a_text_is_masked_and_the_rest_stays(text, shown):
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Ticket opened",
        "Basic authentication is off; bearer tokens only",
        "Invalid token: it has expired",
        "the password is too short",
        "see https://example.org/@anna and mailto:anna@example.org",
        "keyboard=qwerty monkey=yes",
        "Idempotency-Key: 7 token: none",
        "shared_core.auth.service_tokens: none is set",
        "password=, token=",
        "eyJust a word",
        "GET http://user-service:8000/api/v1/users/42",
        "",
    ],
)
def test_a_text_without_a_secret_is_unchanged(text):
    assert mask_text(text) == text


def test_masking_a_long_text_takes_linear_time():
    began = time.perf_counter()
    for text in (
        "password" * 20_000,
        "a://" + "b" * 200_000,
        "token=" * 30_000,
        'secret="' + "\\" * 200_000,
        "eyJ" * 60_000,
        *(
            pump * 30_000
            for pump in ("token=[", "token={'", "token='\\\n", 'token=\\"', "token=a ", "a_token:\n", "a-")
        ),
        "token=" + " " * 200_000,
        "token=" + "\\" * 200_000 + '"',
    ):
        mask_text(text)

    assert time.perf_counter() - began < 5
