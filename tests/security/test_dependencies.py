"""What is known of the versions that setup.cfg allows does not touch the library: most is tried, also on the lowest.

`SECURITY.md` has the table of them. Bombs are tried in `test_bombs.py`, `.netrc` in `tests/clients/test_client.py`. Not
tried is what the library does not use: CVE-2026-25645 (a function of requests that nothing here calls), CVE-2025-50181
(redirects of a pool of urllib3), and CVE-2026-97687 (a proxy with TLS), which holds for whoever gives a call one.
"""

import configparser
import json
import re
from pathlib import Path

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.auth.jwts import InvalidTokenError
from shared_core.clients import ServiceConnectionError
from tests.auth.test_jwts import CLAIMS, RSA, SECRET, verifier
from tests.clients.fixtures import CERTIFICATE, secure
from tests.clients.server import answer, redirect

__all__ = ["secure"]
ROOT = Path(__file__).parent.parent.parent


def test_the_table_has_each_dependency_of_services_with_its_bound():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    texts = [config["options"]["install_requires"], *(extras[name] for name in ("postgres", "jwt", "celery"))]
    bounds = [re.sub(r"\[.*?\]", "", line) for text in texts for line in text.split()]
    rows = re.findall(r"^\| `([A-Za-z0-9-]+>=[0-9.]+)` \|", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)

    assert rows == bounds


def test_what_it_names_is_there():
    linked = re.findall(r"\]\(([^)#]+)", (ROOT / "SECURITY.md").read_text())

    assert [path for path in linked if not (ROOT / path).exists()] == []
    assert {path.name for path in Path(__file__).parent.glob("test_*.py")} <= {Path(path).name for path in linked}


def test_a_token_whose_crit_header_nobody_knows_is_refused():  # CVE-2026-32597, PyJWT below 2.12
    for extension in ("x-policy", "b64", "exp"):
        token = jwt.encode(CLAIMS, SECRET, "HS256", headers={"crit": [extension], extension: True})
        # From PyJWT 2.12 on the answer is its own; ours is tried by CI's run on the lowest versions.
        with pytest.raises(InvalidTokenError):
            verifier().service_of(token)


@pytest.mark.parametrize("issuer", ["tick", "t", "", "ticket ", "icket"])
def test_a_part_of_an_issuer_is_not_it(issuer):  # CVE-2024-53861, PyJWT 2.10.0
    token = jwt.encode({**CLAIMS, "iss": issuer, "sub": issuer}, SECRET, "HS256")

    with pytest.raises(InvalidTokenError):
        verifier().service_of(token)


def test_a_public_key_in_any_form_is_no_secret():  # CVE-2026-48526, CVE-2026-102268, PyJWT below 2.13 and 2.14
    algorithm = jwt.get_algorithm_by_name("RS256")
    public = algorithm.to_jwk(algorithm.prepare_key(RSA.public))

    for key in (public, f"\n {public}", RSA.public.replace("\n", "\r\n"), RSA.public.replace("\n", " ")):
        with pytest.raises(ImproperlyConfigured):
            verifier(key, ["HS256"])


def test_an_empty_or_short_secret_of_a_jwks_is_refused(tmp_path):  # CVE-2026-102266
    path = tmp_path / "keys.json"
    for secret in ("", "c2hvcnQ"):
        path.write_text(json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "kid": "1", "k": secret}]}))
        with pytest.raises(ImproperlyConfigured):
            verifier(path, ["HS256"])


def test_a_key_of_a_jwks_verifies_by_the_algorithms_of_the_settings(tmp_path):  # GHSA-jq35-7prp-9v3f
    path = tmp_path / "keys.json"
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
    path.write_text(json.dumps({"keys": [{"kty": "oct", "alg": "HS512", "kid": "1", "k": secret}]}))
    key = b"secret-secret-secret-secret-secret-secret-secret-secret-secret-secret"

    assert verifier(path, ["HS256"]).service_of(jwt.encode(CLAIMS, key, "HS256", headers={"kid": "1"})) == "ticket"
    with pytest.raises(InvalidTokenError):
        verifier(path, ["HS256"]).service_of(jwt.encode(CLAIMS, key, "HS512", headers={"kid": "1"}))


def test_a_call_that_verifies_nobody_leaves_the_next_one_verifying(make, secure):  # CVE-2024-35195, requests < 2.32
    secure.script(answer(200), answer(200))
    client = make(secure.url, token=False)

    assert client.get("/", verify=False).status_code == 200
    with pytest.raises(ServiceConnectionError, match="certificate verify failed"):
        client.get("/", retries=0)
    assert make(secure.url, token=False, verify=str(CERTIFICATE)).get("/").status_code == 200


def test_what_authenticates_does_not_go_along_with_a_redirect(make, server, other):  # CVE-2024-37891, urllib3 < 2.2.2
    server.script(redirect(f"{other.url}/there"))
    sent = {"Proxy-Authorization": "Basic x", "Authorization": "Bearer y", "Cookie": "z", "X-Api-Key": "k"}
    make(server.url, token="a-token").get("/", headers=sent, allow_redirects=True)

    received = other.received[0].headers
    assert [name for name in sent if name in received] == []
