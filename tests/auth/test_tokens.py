import os
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.auth.tokens import AcceptedTokens

OLD, NEW, OTHER = "old-token-0123456789", "new-token-0123456789", "other-token-0123456789"


def test_a_service_may_have_several_tokens():
    accepted = AcceptedTokens({"ticket": [OLD, NEW], "file": (OTHER,)})

    assert [accepted.service_of(token) for token in (OLD, NEW, OTHER)] == ["ticket", "ticket", "file"]


@pytest.mark.parametrize("token", ["", OLD[:-1], OLD + "x", OLD[:-1] + "8", OLD.upper(), f" {OLD}"])
def test_a_token_that_differs_in_one_character_is_refused(token):
    assert AcceptedTokens({"ticket": [OLD]}).service_of(token) is None


def test_without_tokens_no_caller_is_accepted():
    assert AcceptedTokens({}).service_of("") is None


def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "ticket_token"
    path.write_text(f"{OLD}\n")
    accepted = AcceptedTokens({"ticket": [path], "file": [OTHER]})
    before = accepted.service_of(OLD), accepted.service_of(NEW)

    fresh = tmp_path / "fresh"
    fresh.write_text(f"{NEW}\n\n{OLD}\n")
    fresh.rename(path)  # as secrets are replaced
    both = accepted.service_of(OLD), accepted.service_of(NEW)
    path.write_text(f"{NEW}\n")
    os.utime(path, ns=(1, 1))
    after = accepted.service_of(OLD), accepted.service_of(NEW)

    assert (before, both, after) == (("ticket", None), ("ticket", "ticket"), (None, "ticket"))
    assert accepted.service_of(OTHER) == "file"


def test_a_missing_token_file_leaves_other_services_accepted():
    accepted = AcceptedTokens({"ticket": [Path("/nowhere/token")], "file": [OTHER]})

    assert accepted.service_of(OTHER) == "file"
    assert accepted.read().faults == {Path("/nowhere/token"): "cannot be read: No such file or directory"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ([OLD], "must be a dict: write SERVICE_ACCEPTED_TOKENS = "),
        ({"ticket": OLD}, r"SERVICE_ACCEPTED_TOKENS\['ticket'\] must be a list"),
        ({"": [OLD]}, r"SERVICE_ACCEPTED_TOKENS\[''\] must be a list"),
        ({"ticket": ["short"]}, "is no text of 16 characters or more"),
        ({"ticket": [f"{OLD}\n"]}, "without spaces at its ends"),
        ({"ticket": [None]}, "is no text of 16 characters"),
        ({"ticket": [OLD], "file": [OLD]}, "gives 'file' a token that another service has too"),
    ],
)
def test_an_invalid_setting_is_an_error_without_its_tokens(setting, message):
    with pytest.raises(ImproperlyConfigured, match=message) as raised:
        AcceptedTokens(setting).service_of("x")

    assert OLD not in str(raised.value)
    assert "short" not in str(raised.value).replace("shortest", "")
