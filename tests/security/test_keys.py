"""Public keys that are given for a secret: whoever knows the key, as everybody may, would sign as any service."""

import json
import secrets
from base64 import a85encode, b32encode, b64encode, b85encode, encodebytes, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.core.exceptions import ImproperlyConfigured

from shared_core.auth.keys import is_key
from shared_core.clients import ServiceToken
from tests.auth.verifying import checked

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = {
    "RSA": RSA,
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "X25519": x25519.X25519PrivateKey.generate(),
}
ENCODINGS = {"PEM": Encoding.PEM, "DER": Encoding.DER}
OPENSSH = {"RSA", "P-256", "P-521", "Ed25519"}


def certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ticket")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, RSA.public_key(), 7, now, now + timedelta(days=1))
    return builder.sign(RSA, SHA256())


def jwk():
    return jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)


def forms():
    """Yield each form that a key has, as bytes, by name."""
    for kind, private in PRIVATE.items():
        public = private.public_key()
        for name, encoding in ENCODINGS.items():
            yield f"{kind} {name}", public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
            for protection in (NoEncryption(), BestAvailableEncryption(b"a")):
                what = f"{kind} {name} private {type(protection).__name__}"
                yield what, private.private_bytes(encoding, PrivateFormat.PKCS8, protection)
        if kind in OPENSSH:
            line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            yield f"{kind} OpenSSH", line
            yield f"{kind} OpenSSH with a comment", line + " anna@münchen\n".encode()
            yield f"{kind} OpenSSH's body", line.split()[1]
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            yield f"{kind} OpenSSH private", b"".join(pem.splitlines()[1:-1])
    for kind in ("P-256", "P-521"):
        point = PRIVATE[kind].public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        yield f"{kind} point", b64encode(point)
        yield (
            f"{kind} SEC 1",
            PRIVATE[kind].private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        )
    for name, encoding in ENCODINGS.items():
        yield f"PKCS #1 {name}", RSA.public_key().public_bytes(encoding, PublicFormat.PKCS1)
        yield f"certificate {name}", certificate().public_bytes(encoding)
        private = RSA.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        yield f"PKCS #1 private {name}", private
    ours = jwk()
    yield "JWK", json.dumps(ours).encode()
    yield "JWKS", json.dumps({"keys": [ours]}, indent=2).encode()
    yield "n and e", json.dumps({"n": ours["n"], "e": ours["e"]}).encode()
    yield "n", ours["n"].encode()
    modulus = RSA.public_key().public_numbers().n
    yield "openssl -modulus", f"Modulus={modulus:X}\n".encode()
    yield "openssl -text", ":".join(f"{byte:02x}" for byte in b"\0" + modulus.to_bytes(256)).encode()
    yield ".NET", f"<RSAKeyValue><Modulus>{b64encode(modulus.to_bytes(256)).decode()}</Modulus></RSAKeyValue>".encode()


FORMS = dict(forms())


def variants():
    """Yield each form of a public key that is no encoding of its bytes alone, as bytes, by name."""
    ec_key, ed_key = PRIVATE["P-256"].public_key(), PRIVATE["Ed25519"].public_key()
    jwks = {
        "RSA": jwk(),
        "EC": jwt.algorithms.ECAlgorithm.to_jwk(ec_key, as_dict=True),
        "OKP": jwt.algorithms.OKPAlgorithm.to_jwk(ed_key, as_dict=True),
    }
    for kind, one in jwks.items():
        text = json.dumps(one)
        written = {
            "repr": repr(one),
            "JSON in JSON": json.dumps(text),
            "JSON in JSON in JSON": json.dumps(json.dumps(text)),
            "in an object": json.dumps({"cnf": {"jwk": one}}),
            "in lists": json.dumps([[one]]),
            "with a comma too many": f"{text[:-1]},}}",
            "YAML": "\n".join(f"{name}: {value}" for name, value in one.items()),
            "JWKS's repr": repr({"keys": [one]}),
            "two in lines": f"{text}\n{text}",
            "in capitals": text.replace("kty", "KTY"),
            "without its kty": json.dumps({name: value for name, value in one.items() if name != "kty"}),
            "quoted": quote(text, safe=""),
        }
        for name, form in written.items():
            yield f"{kind} JWK {name}", form.encode()
    yield "x and y", json.dumps({name: jwks["EC"][name] for name in "xy"}).encode()
    for kind in ("P-256", "P-521"):
        point = PRIVATE[kind].public_key()
        compressed = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        whole = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        for name, data in {"compressed": compressed, "coordinates": whole[1:]}.items():
            yield f"{kind} {name} hex", data.hex().encode()
            yield f"{kind} {name} base64", b64encode(data)
    yield "n in decimal", str(RSA.public_key().public_numbers().n).encode()
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # as some have
    yield "n of 1024 bits in decimal", str(small.public_numbers().n).encode()
    yield "DER of 1024 bits", b64encode(small.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    for kind in ("RSA", "P-256", "Ed25519"):
        pem, der = FORMS[f"{kind} PEM"], FORMS[f"{kind} DER"]
        yield f"{kind} PEM base32", b32encode(pem)
        yield f"{kind} DER base32", b32encode(der)
        yield f"{kind} PEM base85", b85encode(pem)
        yield f"{kind} PEM ascii85", a85encode(pem)
        yield f"{kind} PEM quoted", quote(pem.decode()).encode()
        yield f"{kind} body quoted", quote("".join(body(pem).decode().split()), safe="").encode()
        yield f"{kind} DER and a line break", b64encode(der + b"\n")
        yield f"{kind} DER's repr", repr(der).encode()
        yield f"{kind} PEM in UTF-16, hex", pem.decode().encode("utf-16").hex().encode()
        yield f"{kind} PEM in UTF-16, base64", b64encode(pem.decode().encode("utf-16-be"))
        times = der
        for number in range(1, 7):
            times = b64encode(times)
            yield f"{kind} DER, {number} times in base64", times
        for label in (b"key=", b"public:", b"public", b"k", b"ke", b"key", b"MY_KEY_"):
            yield f"{kind} body after {label.decode()}", label + b"".join(body(pem).split())
    yield "RSA body without its first line", b"\n".join(body(FORMS["RSA PEM"]).splitlines()[1:])


def without_dashes(data):
    return data.replace(b"-----", b"")


def body(data):
    return b"\n".join(data.strip().splitlines()[1:-1])


def on_one_line(data):
    return data.replace(b"\n", rb"\n")


WRITTEN = {
    "base64": b64encode,
    "base64 in lines": encodebytes,
    "base64 without padding": lambda data: b64encode(data).rstrip(b"="),
    "base64url": urlsafe_b64encode,
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "0x": lambda data: b"0x" + data.hex().encode(),
    "hex with colons": lambda data: data.hex(":").encode(),
    "hex in lines": lambda data: data.hex("\n", 30).encode(),
    "quoted": lambda data: b'"' + b64encode(data) + b'"',
    "base64 twice": lambda data: b64encode(b64encode(data)),
    "hex in base64": lambda data: encodebytes(data.hex().encode()),
}
OF_PEM = {"as it is": bytes, "without dashes": without_dashes, "body": body, "on one line": on_one_line}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_key_is_known_in_each_form_that_it_is_written_in(written):
    assert [form for form, data in FORMS.items() if not is_key(WRITTEN[written](data))] == []


@pytest.mark.parametrize("written", OF_PEM)
def test_a_pem_is_known_though_a_part_of_it_is_lost(written):
    texts = {form: OF_PEM[written](data) for form, data in FORMS.items() if "PEM" in form}

    assert len(texts) > 15
    for change in (bytes, lambda text: b" " + text.replace(b"\n", b"\r\n"), lambda text: text.replace(b"\n", b" ")):
        assert [form for form, text in texts.items() if not is_key(change(text))] == []
        assert [form for form, text in texts.items() if not is_key("\ufeff".encode() + change(text))] == []


def test_a_key_is_known_in_other_notations():
    assert [form for form, data in variants() if not is_key(data)] == []


def verify(key):
    return checked(key, ["HS256"], "user", "ticket", 0)


ATTACKS = {
    "PKCS #1 body": body(FORMS["PKCS #1 PEM"]),
    "PEM in base64": b64encode(FORMS["RSA PEM"]),
    "PEM without dashes": without_dashes(FORMS["RSA PEM"]),
    "DER in hex": FORMS["RSA DER"].hex().encode(),
    "JWK in base64": urlsafe_b64encode(FORMS["JWK"]),
    "n": FORMS["n"],
    "ssh-rsa": FORMS["RSA OpenSSH"],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_key_is_accepted_as_the_secret_of_hs256(tmp_path, attack):
    text = ATTACKS[attack].decode()
    path = tmp_path / "key"
    path.write_text(text)
    jwks = tmp_path / "jwks.json"
    k = urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    jwks.write_text(json.dumps({"keys": [{"kty": "oct", "k": k}]}))

    for given in (text, path, jwks):
        with pytest.raises(ImproperlyConfigured, match="is a public or private key") as raised:
            verify(given)
        assert text not in str(raised.value)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_key_is_what_our_client_signs_by_with_hs256(attack):
    text = ATTACKS[attack].decode()

    with pytest.raises(ValueError, match="is a public or private key") as raised:
        ServiceToken("ticket", "user", text)
    assert text not in str(raised.value)


def test_a_secret_of_random_bytes_is_hardly_ever_one():
    written = (
        lambda data: data,
        b64encode,
        encodebytes,
        urlsafe_b64encode,
        lambda data: urlsafe_b64encode(data).rstrip(b"="),
        lambda data: data.hex().encode(),
        lambda data: data.hex().upper().encode(),
        lambda data: b64encode(data.hex().encode()),
        lambda data: b64encode(b64encode(data)),
        b32encode,
    )
    lengths = [length for length in range(32, 256) if length not in {33, 49}] * 3 + [32, 48, 50, 64] * 300
    refused = [length for length in lengths for write in written if is_key(write(secrets.token_bytes(length)))]

    assert len(refused) < 6  # of 20,000: by chance, a part of a secret looks like a part of a key


def test_random_bytes_as_long_as_a_modulus_are_mostly_none():
    """256 random bytes are a modulus, as far as anybody can tell, where they are odd and have no small factor."""
    refused = sum(is_key(secrets.token_bytes(256)) for _ in range(1000))

    assert refused < 100


def test_few_random_bytes_as_long_as_a_compressed_point_are_one():
    """Each second number is a coordinate, and 2 of 256 first bytes say which of two points it is."""
    refused = sum(is_key(b64encode(secrets.token_bytes(33))) for _ in range(2000))

    assert refused < 60


@pytest.mark.parametrize(
    "secret",
    [
        "a shared secret of more than 32 bytes",
        "BEGIN here and you will find the key to it all",
        "my-public-key-is-not-this-but-a-long-secret",
        "0" * 64,
        "=" * 64,
        "A" * 43,
        "ssh-rsa is what I write into my secret",
        "kty is what I write into my secret, and crv",
        "31415926535897932384626433832795028841971693993751",
    ],
)
def test_nor_is_a_text_that_somebody_thought_of(secret):
    assert not is_key(secret.encode())


def test_without_cryptography_keys_are_known_too(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric", None)

    missed = [form for form, data in FORMS.items() if not is_key(b64encode(data))]
    assert missed == ["P-256 point", "P-521 point"]
