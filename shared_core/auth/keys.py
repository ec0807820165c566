"""Recognises public and private keys, which must not be taken for a secret: whoever knows the public key could sign.

PEM, whole or in part · DER (SubjectPublicKeyInfo, PKCS #1, PKCS #8, SEC 1, X.509), or a part that names its algorithm ·
OpenSSH · JWK and JWKS, at any depth of any notation · a point of a curve, its compressed form or its coordinates · the
modulus of an RSA key; each of them also in base64, base64url, base32, base85, hexadecimal or decimal digits, UTF-16, or
quoted as in URLs and programs, several times over, in lines or not, after a label or not.

The list is closed. Not recognised is what looks like any random secret: 32 bytes of an Ed25519 key, one coordinate of a
point, or a modulus of 1024 bits.
"""

import json
import math
import re
from base64 import a85decode, b32decode, b64decode, b85decode
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from urllib.parse import unquote_to_bytes

_PEM = re.compile(rb"BEGIN[^a-z]{0,40}(?:KEY|CERTIFICATE|PARAMETERS)")  # with its dashes or without
# RFC 4253 §6.6: the length of a name, and the name. The second is OpenSSH's own form of private keys.
_OPENSSH = re.compile(rb"\x00\x00\x00[\x07-\x40](?:ssh-|ecdsa-|sk-)|openssh-key-v1\x00")

_WORD = re.compile(r"[A-Za-z0-9+/_-]{32,}", re.ASCII)  # of base64, base64url or hexadecimal digits
_BETWEEN = re.compile(r"\\[nrt]|[^A-Za-z0-9+/_-]", re.ASCII)  # line breaks, also written as \n, colons and the like
_ESCAPED = re.compile(rb"\\(?:(?:x|u00)([0-9a-fA-F]{2})|(.))", re.DOTALL)  # in JSON, Python and shells
_CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]+)", re.ASCII)
_BASE32 = re.compile(r"[A-Z2-7]{32,}=*", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{309,}", re.ASCII)  # of 1024 bits or more: no secret is written so
_MOST_READINGS = 2000  # more than any key has

# RFC 7517, in JSON, in JSON in JSON, in Python, in YAML: a member of a JWK, and a value that only that has.
_JWK = re.compile(
    r"""\b(?:kty["'\\\s]*[:=][\s"'\\]*(?:RSA|EC|OKP|oct)|"""
    r"""crv["'\\\s]*[:=][\s"'\\]*(?:P-?256|P-?384|P-?521|secp256k1|Ed25519|Ed448|X25519|X448))\b""",
    re.IGNORECASE,
)

# What DER has of keys and of nothing else: the OIDs of RSA, of EC and of RFC 8410 (X25519, X448, Ed25519, Ed448), and
# the exponent 65537. Found by chance in one of 2^40 places.
_IN_DER = re.compile(
    rb"\x2a\x86\x48\x86\xf7\x0d\x01\x01|\x2a\x86\x48\xce\x3d\x02\x01|\x06\x03\x2b\x65[\x6e-\x71]|\x02\x03\x01\x00\x01"
)

_SEQUENCE = 0x30
# INTEGER, BIT STRING, OCTET STRING, SEQUENCE, [0] and [1]: what keys and certificates are made of.
_PARTS = frozenset({0x02, 0x03, 0x04, _SEQUENCE, 0xA0, 0xA1})
_COORDINATES = frozenset({32, 48, 66})  # bytes: of P-256 and secp256k1, P-384, P-521
_MODULI = frozenset({2048, 3072, 4096})  # bits
_SMALL_FACTORS = math.factorial(1000)
_LONGEST_NUMBER = 4300  # digits, that Python reads
_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n"


def is_key(data: bytes) -> bool:
    """Say whether ``data`` is a public or private key, or an encoding of one.

    A random secret is none, but for 1 in 20,000, with three exceptions. Of those that are 256, 384 or 512 bytes long, 4
    in 100 look like the modulus of an RSA key. Of those that are 33 or 49 bytes long, 6 in 1,000 are a compressed point
    of a curve. Of those that are written in base85, 1 in 3,000 looks like a key.
    """
    return any(_is_one(reading) for reading in _readings(data))


def _is_one(data: bytes) -> bool:
    text = data.decode("ascii", errors="ignore")
    return bool(
        _PEM.search(data)
        or _OPENSSH.match(data)
        or _IN_DER.search(data)
        or _JWK.search(text)
        or is_jwk(data.decode(errors="ignore"))
        or _is_der(data)
        or _is_der(data.rstrip())
        or _is_point(data)
        or _is_modulus(int.from_bytes(data), _MODULI)
        or any(_is_modulus(int(digits), None) for digits in _DECIMAL.findall(text) if len(digits) < _LONGEST_NUMBER)
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


def _readings(data: bytes) -> Iterator[bytes]:
    """Yield ``data``, and what it is an encoding of, and what that is an encoding of, and so on."""
    waiting, seen = deque([data]), set[bytes]()
    while waiting and len(seen) < _MOST_READINGS:
        reading = waiting.popleft()
        if reading in seen or not reading:
            continue
        seen.add(reading)
        yield reading
        # What is no text is an encoding of nothing; UTF-16 is one, and a comment may be in any alphabet.
        if _is_text(reading.replace(b"\0", b"")):
            waiting.extend(_decoded(reading))


def _is_text(data: bytes) -> bool:
    return len(data.translate(None, _TEXT)) * 10 <= len(data)


def _decoded(data: bytes) -> Iterator[bytes]:
    """Yield what ``data`` may be an encoding of."""
    if b"\0" in data:
        yield data.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if b"%" in data:
        yield unquote_to_bytes(data)
    if b"\\" in data:
        yield _ESCAPED.sub(_unescaped, data)
    text = data.decode("ascii", errors="ignore")
    words = _WORD.findall(text)
    for word in dict.fromkeys((_BETWEEN.sub("", text), *words)):
        if (digits := _HEX.fullmatch(word)) and len(digits[1]) % 2 == 0:
            yield bytes.fromhex(digits[1])
        else:
            yield _of_base64(word)
    if len(words) > 1:
        yield b"".join(map(_of_base64, words))  # two coordinates, or lines each with a label
    # Only where more than chance says so: a random secret is written in these digits too.
    yield from filter(_is_certain, _of_other_digits(text))


def _is_certain(data: bytes) -> bool:
    return bool(data) and (_is_text(data) or bool(_IN_DER.search(data)))


def _of_other_digits(text: str) -> Iterator[bytes]:
    for decode in (b85decode, a85decode):
        with suppress(ValueError):
            yield decode("".join(text.split()).removeprefix("<~").removesuffix("~>"))
    for word in _BASE32.findall(_BETWEEN.sub("", text)):
        with suppress(ValueError):
            yield b32decode(word + "=" * (-len(word) % 8))
    for word in _WORD.findall(text):
        # After a label that is glued to it, base64 begins at another place.
        yield from (_of_base64(word[begin:]) for begin in (1, 2, 3))


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] else _CONTROL.get(found[2], found[2])


def _of_base64(word: str) -> bytes:
    word = word.replace("-", "+").replace("_", "/")
    # A last character alone is less than a byte: of a word that was cut.
    word = word[:-1] if len(word) % 4 == 1 else word
    with suppress(ValueError):
        return b64decode(word + "=" * (-len(word) % 4), validate=True)
    return b""


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
    """Say whether ``data`` is a point that lies on a curve (SEC 1 §2.3.3), or its two coordinates.

    Of random bytes, none is, but for a compressed one: each second number is a coordinate.
    """
    size, is_whole = len(data), data[:1] == b"\x04"
    if not (
        (is_whole and (size - 1) // 2 in _COORDINATES) or (data[:1] in {b"\x02", b"\x03"} and size - 1 in _COORDINATES)
    ):
        if size % 2 or size // 2 not in _COORDINATES:
            return False
        data = b"\x04" + data
    try:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # of the extra
    except ImportError:
        return False  # without it, nobody verifies by such a key
    for curve in (ec.SECP256R1(), ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1()):
        with suppress(ValueError):
            ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
            return True
    return False


def _is_modulus(number: int, sizes: Collection[int] | None) -> bool:
    """Say whether ``number`` may be the product of two large primes: it is odd, and has no small factor."""
    return (sizes is None or number.bit_length() in sizes) and math.gcd(number, _SMALL_FACTORS) == 1
