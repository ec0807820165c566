"""Recognises public and private keys, which must not be taken for a secret: whoever knows the public key could sign.

PEM, whole or in part · DER (SubjectPublicKeyInfo, PKCS #1, PKCS #8, SEC 1, X.509) · OpenSSH · JWK and JWKS · a point of
a curve · the modulus of an RSA key; each of them also in base64, base64url or hexadecimal digits, in lines or not.

Not recognised is what looks like any random secret: 32 bytes of an Ed25519 key, or one coordinate of a point.
"""

import json
import math
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress

_PEM = re.compile(rb"BEGIN[^a-z]{0,40}(?:KEY|CERTIFICATE|PARAMETERS)")  # with its dashes or without
# RFC 4253 §6.6: the length of a name, and the name. The second is OpenSSH's own form of private keys.
_OPENSSH = re.compile(rb"\x00\x00\x00[\x07-\x40](?:ssh-|ecdsa-|sk-)|openssh-key-v1\x00")

_WORD = re.compile(r"[A-Za-z0-9+/_-]{32,}", re.ASCII)  # of base64, base64url or hexadecimal digits
_BETWEEN = re.compile(r"\\[nrt]|[^A-Za-z0-9+/_-]", re.ASCII)  # line breaks, also written as \n, colons and the like
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]+)", re.ASCII)
_MOST_TIMES = 3  # encoded: what is inside a PEM is base64 already

_SEQUENCE = 0x30
# INTEGER, BIT STRING, OCTET STRING, SEQUENCE, [0] and [1]: what keys and certificates are made of.
_PARTS = frozenset({0x02, 0x03, 0x04, _SEQUENCE, 0xA0, 0xA1})
_POINTS = frozenset({65, 97, 133})  # bytes, uncompressed: of P-256 and secp256k1, P-384, P-521
_MODULI = frozenset({2048, 3072, 4096})  # bits


def is_key(data: bytes) -> bool:
    """Say whether ``data`` is a public or private key, or an encoding of one.

    A random secret is none, with one exception: of those that are 256, 384 or 512 bytes long, 4 in 100 look like the
    modulus of an RSA key.
    """
    return any(
        _PEM.search(one) or _OPENSSH.match(one) or is_jwk(one.decode(errors="ignore")) or _is_number_or_der(one)
        for one in _readings(data, _MOST_TIMES)
    )


def is_jwk(text: str) -> bool:
    """Say whether ``text`` is a JWK, a JWKS or a list of these: no secret, for it may be public."""
    try:
        said = json.loads(text.strip().removeprefix("\ufeff"))
    except ValueError:
        return False
    except RecursionError:
        return True  # whatever it is, nobody has drawn it by lot
    each = said if isinstance(said, list) else [said]
    return any(isinstance(one, dict) and not one.keys().isdisjoint({"kty", "keys"}) for one in each)


def _readings(data: bytes, times: int) -> Iterator[bytes]:
    """Yield ``data``, and what it is an encoding of."""
    yield data
    if times:
        text = data.decode("ascii", errors="ignore")
        for word in {_BETWEEN.sub("", text), *_WORD.findall(text)}:
            yield from _readings(_decoded(word), times - 1)


def _decoded(word: str) -> bytes:
    with suppress(ValueError):  # of half a byte
        if digits := _HEX.fullmatch(word):
            return bytes.fromhex(digits[1])
    word = word.replace("-", "+").replace("_", "/")
    with suppress(ValueError):
        return b64decode(word + "=" * (-len(word) % 4), validate=True)
    return b""


def _is_number_or_der(data: bytes) -> bool:
    return _is_der(data) or _is_point(data) or _is_modulus(int.from_bytes(data))


def _is_der(data: bytes) -> bool:
    """Say whether ``data`` is one SEQUENCE of what keys are made of, to its last byte; random bytes are not."""
    outer = _elements(data)
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        return False
    inner = _elements(outer[0][1])
    return len(inner) >= 2 and all(tag in _PARTS for tag, _ in inner)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each element of DER (X.690 §8.1); none where ``data`` is not made of such."""
    elements = []
    while data:
        tag, length, begin = data[0], data[1] if len(data) > 1 else len(data), 2
        if length & 0x80:  # that many bytes of length follow
            begin += length & 0x7F
            length = int.from_bytes(data[2:begin])
        if len(data) < begin + length:
            return []
        elements.append((tag, data[begin : begin + length]))
        data = data[begin + length :]
    return elements


def _is_point(data: bytes) -> bool:
    """Say whether ``data`` is a point that lies on a curve (SEC 1 §2.3.3); of random bytes, none does."""
    if len(data) not in _POINTS or data[0] != 0x04:
        return False
    try:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # of the extra
    except ImportError:
        return False  # without it, nobody verifies by such a key
    for curve in (ec.SECP256R1(), ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1()):
        with suppress(ValueError):
            ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
            return True
    return False


def _is_modulus(number: int) -> bool:
    """Say whether ``number`` may be the product of two large primes: it is odd, and has no small factor."""
    return number.bit_length() in _MODULI and math.gcd(number, math.factorial(1000)) == 1
