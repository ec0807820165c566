"""JWTs that hold, and every way in which one does not; the signer is our own client's, or PyJWT."""

import json
import re
import time
from base64 import urlsafe_b64encode
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.exceptions import ImproperlyConfigured

from shared_core.auth.jwts import InvalidTokenError
from shared_core.clients import ServiceToken
from tests.auth.verifying import checked

SECRET = "a shared secret of more than 32 bytes"


def pair(key):
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return SimpleNamespace(private=private, public=public, key=key)


RSA, OTHER_RSA = (pair(rsa.generate_private_key(public_exponent=65537, key_size=2048)) for _ in range(2))
EC = pair(ec.generate_private_key(ec.SECP256R1()))


def verifier(key=SECRET, algorithms=("HS256",), audience="user", issuer="ticket", leeway=0):
    return checked(key, list(algorithms), audience, issuer, leeway)


def signed(key=SECRET, algorithm="HS256", headers=None, **changes):
    now = int(time.time())
    claims = {"iss": "ticket", "sub": "ticket", "aud": "user", "iat": now, "exp": now + 60, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def jwks(*pairs):
    algorithms = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm}
    kinds = ["RSA" if isinstance(one.key, rsa.RSAPrivateKey) else "EC" for one in pairs]
    keys = [
        {**algorithms[kind].to_jwk(one.key.public_key(), as_dict=True), "kid": f"key{number}"}
        for number, (kind, one) in enumerate(zip(kinds, pairs, strict=True))
    ]
    return json.dumps({"keys": keys})


@pytest.mark.parametrize(
    ("signing", "verifying", "algorithm"),
    [(SECRET, SECRET, "HS256"), (RSA.private, RSA.public, "RS256"), (EC.private, EC.public, "ES256")],
    ids=["HS256", "RS256", "ES256"],
)
def test_a_token_signed_by_service_token_names_the_caller(signing, verifying, algorithm):
    token = ServiceToken("ticket", "user", signing, algorithm=algorithm).mint().token

    assert verifier(verifying, [algorithm]).service_of(token) == "ticket"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": -1}, "expired"),
        ({"exp": None}, "exp, iss, aud or sub is missing"),
        ({"sub": None}, "exp, iss, aud or sub is missing"),
        ({"aud": None}, "exp, iss, aud or sub is missing"),
        ({"iss": None}, "exp, iss, aud or sub is missing"),
        ({"nbf": 60}, "not valid yet"),
        ({"aud": "file"}, "meant for another audience"),
        ({"iss": "stranger"}, "issuer is not accepted"),
        ({"iss": "ticket "}, "issuer is not accepted"),
        ({"sub": ""}, "sub is not the service that signed it"),
        ({"sub": "tick\0et"}, "sub is no name of a service"),
        ({"sub": "tick\ud800et"}, "sub is no name of a service"),
        ({"sub": "tick\net"}, "sub is no name of a service"),
        ({"key": SECRET + "x"}, "signed by somebody else"),
        ({"key": SECRET * 2, "algorithm": "HS512"}, "signed by an algorithm that is not accepted"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"iat": float("-inf")}, "malformed"),
    ],
)
def test_an_invalid_claim_is_refused_with_its_reason(changes, reason):
    # Seconds from now, and not from when the tests were collected.
    changes = {name: int(time.time()) + value if type(value) is int else value for name, value in changes.items()}

    with pytest.raises(InvalidTokenError, match=reason) as raised:
        verifier().service_of(signed(**changes))

    assert raised.value.__cause__ is None


def test_several_issuers_may_share_a_key():
    checked = verifier(issuer=["ticket", "file"])

    assert [checked.service_of(signed(iss=iss, sub="file")) for iss in ("ticket", "file")] == ["file"] * 2
    with pytest.raises(InvalidTokenError, match="issuer is not accepted"):
        checked.service_of(signed(iss="communication"))


def test_an_expired_token_is_accepted_within_the_leeway():
    token = signed(exp=int(time.time()) - 5)

    assert verifier(leeway=10).service_of(token) == "ticket"
    with pytest.raises(InvalidTokenError, match="expired"):
        verifier(leeway=2).service_of(token)


def encoded(part):
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


CLAIMS = {"iss": "ticket", "sub": "ticket", "aud": "user", "exp": 4_000_000_000}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("key", [SECRET, RSA.public], ids=["secret", "public"])
def test_an_unsigned_token_is_refused(algorithm, key):
    token = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(CLAIMS)}."

    with pytest.raises(InvalidTokenError):
        verifier(key, ["HS256"] if key == SECRET else ["RS256"]).service_of(token)


def test_a_public_key_is_refused_as_an_hmac_secret():
    import hashlib
    import hmac

    head = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(CLAIMS)}"
    signature = hmac.new(RSA.public.encode(), head.encode(), hashlib.sha256).digest()
    forged = f"{head}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    with pytest.raises(InvalidTokenError, match="algorithm that is not accepted"):
        verifier(RSA.public, ["RS256"]).service_of(forged)
    with pytest.raises(ImproperlyConfigured, match="not of both"):
        verifier(RSA.public, ["RS256", "HS256"])
    with pytest.raises(ImproperlyConfigured, match="is a PEM"):
        verifier(RSA.public, ["HS256"])


def test_a_public_key_without_its_pem_header_is_refused_as_a_secret():
    for one in (RSA, EC, pair(ed25519.Ed25519PrivateKey.generate())):
        body = one.public.strip().splitlines()[1:-1]
        for text in ("\n".join(body), "".join(body), "".join(body).rstrip("="), f" {' '.join(body)}\n"):
            with pytest.raises(ImproperlyConfigured, match="is a public or private key, a part of one"):
                verifier(text)


@pytest.mark.parametrize("around", ["{}", "\ufeff{}", "[{}]", ' {{"keys": [{}]}}'])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_a_jwk_given_as_text_is_refused_in_favour_of_a_file(around, algorithm):
    public = json.dumps(json.loads(jwks(RSA))["keys"][0])

    with pytest.raises(ImproperlyConfigured, match=re.escape('is a JWK: write {"keys": [it]} into a file')):
        verifier(around.format(public), [algorithm])


@pytest.mark.parametrize(
    "secret",
    [
        '{"a secret of more than 32 bytes: kty, keys',
        '{"a": "secret of more than 32 bytes"}',
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "12345678901234567890123456789012",
    ],
)
def test_a_secret_may_look_like_json_or_base64(tmp_path, secret):
    path = tmp_path / "key"
    path.write_text(secret)

    assert verifier(secret).service_of(signed(secret)) == "ticket"
    assert verifier(path).service_of(signed(secret)) == "ticket"


NO_TOKENS = ["", "a", "a.b.c", "....", "eyJ.eyJ.x", "e30.e30.x", "é.é.é", "٣.٣.٣", f"{encoded([])}.{encoded([])}.x"]


@pytest.mark.parametrize("token", NO_TOKENS)
@pytest.mark.parametrize("key", [SECRET, {"ticket": SECRET}], ids=["one", "each"])
def test_a_malformed_token_is_refused(token, key):
    issuer = None if isinstance(key, dict) else "ticket"

    with pytest.raises(InvalidTokenError):
        verifier(key, issuer=issuer).service_of(token)


class TestKeyPerIssuer:
    """So that no service can speak for another."""

    KEYS = {"ticket": RSA.public, "file": OTHER_RSA.public}

    def test_a_token_signed_with_the_issuers_own_key_is_accepted(self):
        checked = verifier(self.KEYS, ["RS256"], issuer=None)

        assert checked.service_of(signed(RSA.private, "RS256")) == "ticket"
        assert checked.service_of(signed(OTHER_RSA.private, "RS256", iss="file", sub="file")) == "file"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"iss": "ticket", "sub": "ticket"}, "signed by somebody else"),
            ({"iss": "file", "sub": "ticket"}, "sub is not the service that signed it"),
            ({"iss": "stranger", "sub": "ticket"}, "issuer is not accepted"),
            ({"iss": None, "sub": "ticket"}, "issuer is not accepted"),
        ],
    )
    def test_a_token_signed_with_another_issuers_key_is_refused(self, changes, reason):
        with pytest.raises(InvalidTokenError, match=reason):
            verifier(self.KEYS, ["RS256"], issuer=None).service_of(signed(OTHER_RSA.private, "RS256", **changes))


class TestKeyFile:
    def test_a_jwks_key_is_found_by_kid_and_the_file_is_reread(self, tmp_path):
        path = tmp_path / "jwks.json"
        path.write_text(jwks(RSA, EC))
        checked = verifier(path, ["RS256", "ES256"])
        by_first = signed(RSA.private, "RS256", {"kid": "key0"})

        assert checked.service_of(by_first) == "ticket"
        ours = ServiceToken("ticket", "user", EC.private, algorithm="ES256", key_id="key1").mint().token
        assert checked.service_of(ours) == "ticket"
        assert checked.service_of(signed(EC.private, "ES256", {"kid": "key1"})) == "ticket"
        for headers in ({"kid": "key7"}, {}, {"kid": "key1"}):
            with pytest.raises(InvalidTokenError):
                checked.service_of(signed(RSA.private, "RS256", headers))

        path.write_text(jwks(OTHER_RSA))
        assert checked.service_of(signed(OTHER_RSA.private, "RS256")) == "ticket"  # the only one needs no id
        with pytest.raises(InvalidTokenError, match="signed by somebody else"):
            checked.service_of(by_first)

    def test_a_jwks_with_a_byte_order_mark_is_read(self, tmp_path):
        path = tmp_path / "jwks.json"
        path.write_text(jwks(RSA), "utf-8-sig")

        assert verifier(path, ["RS256"]).service_of(signed(RSA.private, "RS256")) == "ticket"
        with pytest.raises(ImproperlyConfigured, match="has no key for SERVICE_JWT_ALGORITHMS"):
            verifier(path, ["HS256"])

    @pytest.mark.parametrize("around", ["{}", "[{}]", '[{{"keys": [{}]}}]', '{{"keys": {}}}'])
    @pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
    def test_keys_outside_of_a_jwks_are_an_error_that_shows_the_form(self, tmp_path, around, algorithm):
        path = tmp_path / "jwks.json"
        path.write_text(around.format(json.dumps(json.loads(jwks(RSA))["keys"][0])))

        with pytest.raises(ImproperlyConfigured, match=re.escape('write {"keys": […]} around its keys')):
            verifier(path, [algorithm])

    def test_a_pem_or_a_secret_is_read_from_a_file(self, tmp_path):
        path = tmp_path / "key"
        path.write_text(RSA.public)
        assert verifier(path, ["RS256"]).service_of(signed(RSA.private, "RS256")) == "ticket"

        path.write_text(SECRET + "\n")
        assert verifier(path).service_of(signed()) == "ticket"

    def test_a_short_secret_in_a_jwks_is_refused(self, tmp_path):
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": [{"kty": "oct", "k": "YWJj", "kid": "1"}]}))

        with pytest.raises(ImproperlyConfigured, match="is shorter than 32 bytes"):
            verifier(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "cannot be read: FileNotFoundError"),
            ("{}", "is no JWKS"),
            ("{", "is no JWKS"),
            ("[" * 100_000, "is no JWKS"),
            ('{"keys": [{"kty": "oct"}]}', "is no JWKS"),
            (jwks(EC), "has no key for SERVICE_JWT_ALGORITHMS"),
            ("nonsense", "no PEM of a public key"),
        ],
        # Not the key: it is made each time.
        ids=["missing", "empty", "broken", "deep", "without its k", "of another kind", "nonsense"],
    )
    def test_an_unreadable_or_wrong_key_file_is_an_error(self, tmp_path, text, message):
        path = tmp_path / "key"
        if text is not None:
            path.write_text(text)

        with pytest.raises(ImproperlyConfigured, match=message):
            verifier(path, ["RS256"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key": "short"}, "SERVICE_JWT_KEY is shorter than 32 bytes"),
        ({"algorithms": ["HS256", "HS512"]}, "SERVICE_JWT_KEY is shorter than 64 bytes"),
        ({"key": 7}, "SERVICE_JWT_KEY must be a text, a Path, or a dict"),
        ({"key": RSA.private, "algorithms": ["ES256"]}, "no PEM of a public key"),
        ({"algorithms": []}, "SERVICE_JWT_ALGORITHMS=.* must be a list of HS256"),
        ({"algorithms": ["none"]}, "SERVICE_JWT_ALGORITHMS=.* must be a list of HS256"),
        ({"audience": None}, "SERVICE_JWT_AUDIENCE must be a text, not None"),
        ({"issuer": None}, "SERVICE_JWT_ISSUER must be a text, not None"),
        ({"issuer": []}, "SERVICE_JWT_ISSUER names nobody"),
        ({"key": {"ticket": SECRET}, "issuer": "ticket"}, "leave SERVICE_JWT_ISSUER out"),
        ({"leeway": -1}, "SERVICE_JWT_LEEWAY=-1 must be seconds"),
        ({"leeway": float("nan")}, "SERVICE_JWT_LEEWAY=nan must be seconds"),
        ({"leeway": float("inf")}, "SERVICE_JWT_LEEWAY=inf must be seconds"),
        ({"key": RSA.private, "algorithms": ["RS256"]}, "is a private key: it belongs to who signs"),
        ({"key": EC.private, "algorithms": ["RS256", "ES256"]}, "is a private key: it belongs to who signs"),
    ],
)
def test_an_invalid_jwt_setting_is_named_without_its_secret(settings, message):
    with pytest.raises(ImproperlyConfigured, match=message) as raised:
        verifier(**settings)

    assert SECRET not in str(raised.value)
