"""Masks secrets, which must never be written in a log line or an error's text.

A key is secret by its name, whatever its spelling: ``password``, ``X-Api-Key``, ``accessToken``, ``DB_PASSWORD``. In a
text, the value after such a key is masked, and whatever looks like a secret: a JWT, a bearer token, a URL's userinfo.
"""

import base64
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

MASK = "***"

KeyKind = Literal["own", "secret", "secrets", "counter"]
_SECRET_KINDS = frozenset({"own", "secret", "secrets"})

# Matched in each word of a key, lower-cased, and in two of them that make one of these.
_SECRET_WORD = re.compile(
    r"password|passwd|passphrase|secret|token|authorization|credential|cookie|jwt|signature|pwd"
    r"|(?:api|private|signing)_?key|(?<!pos)(?<!ob)session_?ids?(?![a-z])|^dsn$|^auth$"
)
# Where a key's capitals tell no words apart: pAsSwOrD.
_SECRET_WHOLE = re.compile(
    r"(?:^|_)[a-z0-9]*(?:password|passwd|passphrase|secret|token|credential|authorization|cookie|apikey|jwt)s?(?:_|$)"
)
# Words that only begin like a secret's, or hold one.
_HARMLESS_WORD = re.compile(
    r"(?<![a-z0-9])(?:(?:de|re|un)?tokeni[sz][a-z]*|(?:under)?secretar(?:y|ies|ial|iat)|secret(?:ly|ive|iveness|ion|ions)"
    r"|passwordless|cookiecutters?)(?![a-z0-9])"
)
# What counts secrets, or says when or whether they change: such a key takes a number, a date or a yes and no.
_COUNT = re.compile(
    r"\A(?:has|is)_|(?<![a-z0-9])(?:(?:max|min|num|n|avg|prompt|completion|total|input|output|cached|reasoning)_(?:[a-z]+_)?tokens?"
    r"|tokens_(?:used|total|left|remaining|in|out)|tokens?_(?:usage|budget)|tokens_per_[a-z]+"
    r"|[a-z0-9]+_(?:count|counts|counter|limit|length|size|changed|changed_at|expires_in|expires_at|expired|valid"
    r"|enabled|attempts|ttl|lifetime|timeout|max_age|age_days))\Z"
)
# What names a secret's kind: such a key takes a word.
_KIND = re.compile(
    r"(?<![a-z0-9])(?:(?:token|credential|cookie|secret|signature|password)s?_(?:type|kind|consent|policy)"
    r"|(?:signature|jwt|token|password)_(?:alg|algorithm|method|version))\Z"
)
_COUNTED = re.compile(r"[-+]?[0-9][0-9.,:eE+TZ_ -]{0,31}|true|false|yes|no|on|off|null|none", re.IGNORECASE)
_NEXT_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")

# What a text must hold for anything in it to be masked: to look for this takes a fraction of looking for all below.
_HINT = re.compile(
    r"ey[JA]|://|bearer|basic|passw|passphrase|secret|token|key|auth|credential|session|cookie|jwt|signature|pwd|dsn",
    re.IGNORECASE,
)
# What is not seen between the letters of a name: zero-width characters, soft hyphens, colours of a terminal.
_INVISIBLE = r"[\0\u00ad\u200b-\u200f\u2060-\u2064\ufeff]|\x1b\[[0-9;]{0,20}m"
_IS_INVISIBLE = re.compile(_INVISIBLE)
_INVISIBLE_ESCAPED = r"\\{1,8}(?:(?:x|u00)(?:00|1b\[[0-9;]{0,20}m)|u(?:00ad|200[b-f]|206[0-4]|feff))"
# Characters that are written in another way: in a URL, in JSON, in a literal of Python, in HTML. Only printable ones
# are decoded, of which names, quotes and signs are made; bytes past ASCII are left out.
_ENCODED = re.compile(
    r"%([2-7][0-9a-f])|\\{1,8}u00([2-7][0-9a-f])|\\{1,8}x([2-9a-f][0-9a-f])|\\{1,8}(/)|&#x([2-7][0-9a-f]);|&#([0-9]{2,3});"
    r"|&(quot|apos|amp|lt|gt);"
    rf"|{_INVISIBLE_ESCAPED}|{_INVISIBLE}"
    # A form's spaces: pluses next to a character that is encoded. Others stay.
    r"|(?<=%[2-7][0-9a-f])\+++|(?<!\+)\+++(?=%[2-7][0-9a-f])",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"\\{1,8}n")  # as a literal or JSON has it
_ENTITIES = {"quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">"}
_DECODED_TIMES = 3  # a text within a text within a text
# user:password up to the last @, whatever is between; what follows the colon may be a port, too.
_LOOSE_USERINFO = r"""[^\s/?#@:"'\[]*+:(?!(?<!//:)(?:\d++[/?#]|\d*+(?:[\s"',;)]|\Z)))(?:(?:(?!://)[^\s"'<>@])*+@)+"""
# RFC 9110 §11.6.2: a scheme and credentials, or a word of prose. Some tokens are of two parts: 12|abc, 123:abc.
_CREDENTIALS = re.compile(
    r"""\b(Bearer|Basic)((?:(?:\s|\\{1,8}[nrt])++[:=]?|[:=]|(?=\\*["']))\s*+\\*["']?|\+)([A-Za-z0-9._~+/=|:-]{4,})""",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"[0-9]")
# Capitals within a long word, of which tokens are made.
_MIXED = re.compile(r"[a-z][A-Z][A-Za-z._~+/=-]{14}")
# RFC 7519: three parts in base64url, the first of which is a JSON object, whatever stands before it.
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.)([A-Za-z0-9_-]*?)"
    r"ey[JA][A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+"
)
# RFC 7468 §10, RFC 9580: up to its end; of one that was cut, what is base64, also in a list of lines. Nothing but
# base64 goes past a further "-----", so that no text is read once for each BEGIN.
_PEM = re.compile(
    r"-----BEGIN[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----"
    r"(?:[^-]*+(?:-(?!----)[^-]*+)*+-----END[ +][A-Z0-9 +]{0,60}-----"
    r"|(?:[\s>,\"'\[\]]|\\++(?:u000[ad]|[nrt])?|%0[AD])*+"
    r"(?:[A-Za-z0-9-]{1,20}:(?:(?!-----)[^\r\n\\])*+(?:\s|\\[nrt])++)*+"
    r"[A-Za-z0-9+/=]{16}[A-Za-z0-9+/=\s\\>,\"'%]*+)"
)
# A line that only begins a private key, also as Python writes its bytes: one of a list of lines.
_KEY_BEGINS = re.compile(r"""(?:b['"])?-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr])*+['"]?""")
_IN_URL = [
    # A DSN, whose password may have an @ and a slash that are not quoted, as they must be.
    re.compile(rf"(?<=[A-Za-z0-9+.-])(?<!http)(?<!https)://{_LOOSE_USERINFO}", re.IGNORECASE),
    # RFC 3986 §3.2.1: what stands before the last @ of the authority.
    re.compile(r"(?<=[A-Za-z0-9+.-])://[^\s/?#]*@"),
    re.compile(rf"(?<=[A-Za-z0-9+.-])://{_LOOSE_USERINFO}"),
]
# A header that authenticates, as a client or a server names it, and WSGI: HTTP_AUTHORIZATION.
_HEADER = re.compile(
    r"(?<![\w.-])(?:([\w.-]*?(?:authorization|cookie))[^\S\r\n]*+(?:=[=>]?|:=?)|(X-Api-Key)[^\S\r\n]*+:)[^\S\r\n]*+",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(r"(?:authorization|cookie)\Z", re.IGNORECASE)
_QUOTE = re.compile(r"""(?:(?<=[\s=:,(\[{>])|(?<=[\s=:,(\[{][bBrRuUfF])|\A)(\\*+["'])|(?<!\\)(\\*+["'])(?!\w)""")
_LONGEST_BEFORE_HEADER = 100  # characters within which the quote begins in which a header stands
_LINE = re.compile(r"[^\r\n]*+")
_UNTIL_QUOTE = re.compile(r"""[^\r\n"']*+""")
_QUOTES_OF_HEADER = frozenset({"'", '"'})
_FURTHER_LINE = re.compile(r"\r?\n([^\S\r\n]+)[^\r\n]++")
# A quoted value, after which only what ends an item may stand.
_QUOTED_ITEM = re.compile(
    r"""[bBrRuUfF]{0,2}(?:"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'|(\\{1,16}["'])(?:(?!\1)[^\r\n])*+\1)"""
    r"""(?=[^\S\r\n]*+(?:[,)\]}>\r\n]|\Z))"""
)
# A name to which something is assigned: name=, name :=, name =>, name:, "name":, \"name\": as it stands in JSON in
# JSON, ["name"] =, name[0] =, and the first of two in a pair, ("name", …).
_ASSIGNED = re.compile(
    r"""(?<![\w.-])([\w.-]++)(?:(\\*["'`])?+(\]|\)++)?+(\[[][\w"'-]{0,99}\])?+\s*+(=[=>]?+|::?+=?+)\s*+"""
    r"""|\\*["']\)?\s*(,)\s*)"""
)
# Words before the last one of a name: "API Key": or API key =.
_WORDS_BEFORE = re.compile(r"""(?:["'`]((?:[\w-]{1,30}\ ){1,3})|(?<![\w-])([\w-]{1,30})\ )\Z""")
_ONE_NAME = re.compile(r"[\w-]++")
_MAY_BE_PAIR = re.compile(r"""["']\)?\s{0,40},""")
_SECOND_WORDS = frozenset({"key", "keys", "id", "ids"})
# What stands before the name in a pair. A list of two is none unless it is in another: ["password", "email"].
_PAIR = re.compile(r"""(?:\(|[\[,]\s{0,40}\[)\s{0,40}(?:bytearray\()?[A-Za-z]{0,2}\\*["']\Z""")
_PAIR_ENDS = re.compile(
    r"""\s*+(?:,\s*+(?:(?:True|False|None|true|false|null|-?[0-9]+)\s*+,?\s*+)?)?[)\]]|\Z|\r|\n(?!\s*+[^\s)\]])"""
)
# The value of what is no pair is looked at again, for what is assigned in it. A longer one is masked as a pair's.
_LONGEST_READ_TWICE = 200  # characters
# The type that stands between a name and what it is given: api_key: Optional[str] = …
_ANNOTATION = re.compile(
    r"[A-Za-z_][\w.]{0,60}(?:\[[^\]\r\n=]{0,80}\]{1,3})?(?:\s{0,3}\|\s{0,3}[\w.]{1,60}){0,4}[^\S\r\n]{0,3}=(?!=)[^\S\r\n]*+"
)
# A further one where its value would stand, as in `token="api_key": "…"`.
_ASSIGNED_NEXT = re.compile(r"""(?:[A-Za-z]{0,2}\\*["'])?([\w.-]++)(?:\\*["'])?[^\S\r\n]*(?:=[=>]?|:=?)[^\S\r\n]*""")
_SCHEME = re.compile(r"(?:(?:Bearer|Basic)\s+)?", re.IGNORECASE)
# What is no secret, whatever it is assigned to.
_NOTHING = re.compile(
    r"""(?:(?:None|null|True|False|true|false)(?=[\s,;&)\]}"'\\]|\Z)|""(?=[\s,;&)\]}'\\]|\Z)|''(?=[\s,;&)\]}"\\]|\Z)"""
    r"""|(?:\[\]|\{\}|\(\))(?=[\s,;&)\]}"'\\]|\Z))"""
)
_NO_HEADER = re.compile(
    rf"""{_NOTHING.pattern}[^\S\r\n]*+(?:[,)\]}}\r\n]|\Z)|\*\*\*[^\S\r\n]*+(?:[,)\]}}>\r\n"'\\]|\Z)"""
)
_NUMBER = re.compile(r"""[0-9]{1,9}(?=[\s,;&)\]}"'\\]|\Z)""")
_PLURAL = re.compile(r"(?:token|password|secret|cookie|credential|signature)s\Z", re.IGNORECASE)
_QUOTES = frozenset("\"'`\u201c")
# A list, object, tuple or call begins.
_OPENING = re.compile(r"(?:[A-Za-z_][\w.]{0,60}(?:\[[\w., ]{0,40}\])?(?=\())?[\[{(]")
_PIECE = re.compile(
    r"""([\[{(])|([\]})])|"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'|\\.|[^\[\](){}"'\\]++|["'\\]""", re.DOTALL
)
_BLOCK = re.compile(
    r"[|>][+-]?[0-9]?[^\S\r\n]*+(?:(?=\r?\n)|\\{1,8}[rn][^\r\n]*+)"
)  # of YAML: the lines indented further
_VALUE = re.compile(
    # A literal: of Python, b'…', of C#, @"…", or of a shell, $'…'.
    r"""(?:[bBrRuUfF]{1,2}(?=\\{0,16}["'])|[@$](?=["']))?"""
    # Quoted in a text that is quoted itself: up to a quote with as many backslashes.
    r"""(?:(\\{1,16})(["'])(?:(?!(?<!\\)\1\2)[^\r\n])*+(?:\1\2)?"""
    # Quoted; where the quote does not end, the rest of the line.
    r"""|"{3}(?:[^"\\]|\\.|"(?!""))*+(?:"{3})?|'{3}(?:[^'\\]|\\.|'(?!''))*+(?:'{3})?"""
    r"""|"(?:[^"\\]|\\.|""(?=\w))*+"|'(?:[^'\\]|\\.|''(?=\w))*+'|`[^`\r\n]*+`|\u201c[^\u201d\r\n]*+\u201d?|["'][^\r\n]*)"""
    # What stands at the end of it, without a space, was within a quote that began in another line.
    r"""(?:(?<=["'])\w[^\r\n]*+)?"""
    # What Python writes of an object.
    r"""|<[A-Za-z_][^<>\r\n]*+>"""
    # A word; a quote within it is a part of it.
    r"""|[^\s&,;)\]}"']+(?:["']+(?=\w)[^\s&,;)\]}"']+)*+"""
)
_MATRIX = re.compile(r";([^;/=]*+)=[^;/]*+")  # RFC 3986 §3.3: /x;jsessionid=…
_PASSWORD_AT_END = re.compile(r"(?:passw(?:or)?d|passphrase|pwd)\Z", re.IGNORECASE)
_CAPITAL_WITHIN = re.compile(r"[a-z][A-Z]")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def is_secret_key(key: str, more: Collection[str] = ()) -> bool:
    """Return whether the value under ``key`` must be masked; see `key_kind`."""
    return key_kind(key, more) in _SECRET_KINDS


def key_kind(key: str, more: Collection[str] = ()) -> KeyKind | None:
    """Return what the name says of the value under it; None: no secret.

    Args:
        key: The name of a log field, header, query parameter or setting, in any spelling.
        more: Names that the service adds, compared whole in the same way (``"ssn"`` is also ``SSN``).

    Returns:
        "own": one of ``more``, under which nothing is written. "secret". "secrets": a number is how many there are.
        "counter": how many there are, or when they change. What `is_count` does not know is masked under it.
    """
    # What is long is not kept: keys of data come from anywhere.
    return (_key_kind if len(key) <= 128 else _key_kind.__wrapped__)(key, tuple(more))


@lru_cache(maxsize=4096)
def _key_kind(key: str, more: tuple[str, ...]) -> KeyKind | None:
    normalized = _normalized(key)
    if any(normalized == _normalized(name) for name in more):
        return "own"
    words = _words(key)
    if not _names_a_secret(key, words) or _KIND.search(words) is not None:
        return None
    if _COUNT.search(words) is not None:
        return "counter"
    return "secrets" if _PLURAL.search(key) is not None else "secret"


def is_count(value: str) -> bool:
    """Say whether ``value`` is what a counter's key takes: a number, a date, or a yes or no."""
    return _COUNTED.fullmatch(value) is not None


def _words(key: str) -> str:
    return _NEXT_WORD.sub("_", key).lower()


def _names_a_secret(key: str, words: str) -> bool:
    if _SECRET_WORD.search(_HARMLESS_WORD.sub("", words)) is not None:
        return True
    whole = key.lower()
    return whole != words and _SECRET_WHOLE.search(_HARMLESS_WORD.sub("", _SEPARATORS.sub("_", whole))) is not None


def _normalized(key: str) -> str:
    return _SEPARATORS.sub("", key.lower())


def mask_text(text: str, more: tuple[str, ...] = ()) -> str:
    """Return ``text`` with what is, or may be, a secret in it replaced by ``***``; ``more`` is as of `key_kind`.

    That is:

    - a JWT, and a private key in PEM,
    - credentials after ``Bearer`` or ``Basic``: with a digit, long with capitals within, or ``user:password``
      in base64,
    - the userinfo of a URL or DSN,
    - the value of a header that authenticates,
    - what is assigned to a name that `is_secret_key` knows: ``password=…``, ``"api_key": "…"``, also with its quotes
      escaped, and as a pair, ``("api_key", "…")``. After a colon without quotes it is masked if the name ends in
      ``password`` or has an underscore or a hyphen (``API_TOKEN: …``, ``X-Auth-Token: …``): prose has ``token:`` too.

    A value is a literal (``"…"``, ``b'…'``), a call (``SecretStr('…')``), a flat list, object or tuple, or one word. If
    a quote does not end, or a list holds another, it is the rest of the line.
    """
    # Nearly all texts have none of these, which are found many times faster than the hint.
    if text.isalnum():
        return text
    is_encoded = ("%" in text or "\\" in text or "&" in text) and ("\\n" in text or _ENCODED.search(text) is not None)
    if (
        not is_encoded
        and ":" not in text
        and "=" not in text
        and ("." not in text or ("eyJ" not in text and "eyA" not in text))
        and "-----" not in text
        and ("," not in text or _MAY_BE_PAIR.search(text) is None)
    ):
        lowered = text.lower()
        if "bearer" not in lowered and "basic" not in lowered:
            return text
    if not (is_encoded or text.isprintable()) and (not text.isascii() or "\x1b" in text or "\0" in text):
        is_encoded = _IS_INVISIBLE.search(text) is not None
    masked = _masked(text, more) if _HINT.search(text) is not None or (more and _has_own(text, more)) else text
    if is_encoded:
        # A secret that shows only when the text is decoded costs its encoding, too. Line breaks stay as they were.
        is_one_line = "\n" not in masked
        shadow = _LINE_BREAK.sub("\n", masked) if is_one_line else masked
        for _ in range(_DECODED_TIMES):
            before, shadow = shadow, _ENCODED.sub(_decoded, shadow)
            if shadow == before == masked:
                break
            if (_HINT.search(shadow) is not None or _has_own(shadow, more)) and (
                again := _masked(shadow, more)
            ) != shadow:
                shadow = again
                masked = again.replace("\n", "\\n") if is_one_line else again
            if shadow == before:
                break
    return masked


def _has_own(text: str, more: tuple[str, ...]) -> bool:
    """Say whether ``text`` may hold one of the names that the service adds."""
    normalized = _normalized(text) if more else ""
    return any(_normalized(name) in normalized for name in more)


def _decoded(found: re.Match[str]) -> str:
    in_url, in_json, in_python, slash, hexadecimal, decimal, name = found.groups()
    if found.lastindex is None:
        return " " if found[0][0] == "+" else ""
    if slash or name:
        return slash or _ENTITIES[name.lower()]
    code = int(decimal) if decimal else int(in_url or in_json or in_python or hexadecimal, 16)
    if code >= 128 and in_python:
        return ""
    return chr(code) if 32 <= code < 127 else found[0]


def _masked(text: str, more: tuple[str, ...]) -> str:
    text = _CREDENTIALS.sub(_without_credentials, text)
    if "eyJ" in text or "eyA" in text:
        text = _JWT.sub(rf"\1{MASK}", text)
    if "-----BEGIN" in text:
        text = _PEM.sub(MASK, text)
    if "://" in text:
        for pattern in _IN_URL:
            text = pattern.sub(f"://{MASK}@", text)
    return _without_assigned(_without_headers(text), more)


def _without_headers(text: str) -> str:
    kept: list[str] = []
    begin = at = 0
    while (found := _HEADER.search(text, at)) is not None:
        at = found.end()
        if not is_secret_key(found[1] or found[2]) or _NO_HEADER.match(text, at):
            continue
        end = _end_of_header(text, found.start(), at)
        if end > at:
            kept += text[begin:at], MASK
            begin = at = end
    return "".join([*kept, text[begin:]]) if kept else text


def _end_of_header(text: str, start: int, at: int) -> int:
    """Return where a header's value ends: with its line, or with the quote in which the header stands."""
    if (quoted := _QUOTED_ITEM.match(text, at)) is not None:
        return quoted.end()
    quote = _open_quote(text[max(start - _LONGEST_BEFORE_HEADER, 0) : start])
    end = at
    # No further than to the quote: many headers may stand in one line.
    while quote and text[(end := _UNTIL_QUOTE.match(text, end).end()) : end + 1] in _QUOTES_OF_HEADER:  # type: ignore[union-attr]  # it matches nothing too
        end += 1
        begin, follows = end - len(quote), text[end : end + 1]
        is_end = not follows or follows in ",)]}:>\\" or follows.isspace()
        if is_end and text.endswith(quote, at, end) and text[begin - 1] != "\\":
            return begin
    return _end_of_block(text, start, _LINE.match(text, at).end())  # type: ignore[union-attr]  # likewise


def _open_quote(before: str) -> str:
    """Return the quote that is open at the end of a line's part."""
    quote = ""
    at = max(before.rfind("\n"), before.rfind("\r")) + 1
    while (found := _QUOTE.search(before, at)) is not None:
        at = found.end()
        if not quote:
            quote = found[1] or ""
        elif quote == (found[1] or found[2]):
            quote = ""
    return quote


def _end_of_block(text: str, start: int, end: int) -> int:
    """Return where the lines end that continue the line from ``start`` to ``end``, for they are indented further."""
    begin = max(text.rfind("\n", max(start - 1000, 0), start), text.rfind("\r", max(start - 1000, 0), start)) + 1
    indent = len(text[begin:start]) - len(text[begin:start].lstrip())
    while (further := _FURTHER_LINE.match(text, end)) is not None and len(further[1]) > indent:
        end = further.end()
    return end


def _without_assigned(text: str, more: tuple[str, ...]) -> str:
    kept: list[str] = []
    begin = at = 0
    while (found := _ASSIGNED.search(text, at)) is not None:
        at = found.end()
        name, quote, bracket, subscript, sign, comma = found.groups()
        if comma:
            before = text[max(found.start() - 100, 0) : found.start()]
            if not (is_secret_key(name, more) and _PAIR.search(before)):
                continue
        else:
            is_quoted = (
                bool(quote or bracket)
                or "=" in sign
                or (_begins_with_quote(text, at) and "\n" not in text[found.start(5) : at])
                or ((typed := _ANNOTATION.match(text, at)) is not None and _begins_with_quote(text, typed.end()))
            )
            if quote or is_quoted or subscript:
                name = _name_of(text, found, more)
                is_quoted = is_quoted or name != found[1]
            if not _takes_a_secret(name, more, text, at, is_quoted=is_quoted):
                continue
        if _is_nothing(name, more, text, at):
            continue
        end = at
        at = _SCHEME.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        is_long = False
        while (further := _ASSIGNED_NEXT.match(text, at)) is not None and is_secret_key(further[1], more):
            at = _SCHEME.match(text, further.end()).end()  # type: ignore[union-attr]  # likewise
            is_long = True
        if sign == ":" and (annotation := _ANNOTATION.match(text, at)) is not None:
            at = annotation.end()
        value_ends = _end_of_value(text, found.start(), at, name)
        is_long_second = value_ends - at > _LONGEST_READ_TWICE
        if comma and not (value_ends and (is_long_second or _PAIR_ENDS.match(text, value_ends))):  # three are no pair
            at = end
            continue
        if value_ends:
            at = value_ends
        elif not is_long:  # nothing is assigned; what looked like a further name may be the secret
            at = end
            continue
        kept += text[begin:end], MASK
        begin = at
    return "".join([*kept, text[begin:]])


def _name_of(text: str, found: re.Match[str], more: tuple[str, ...]) -> str:
    """Return the name that something is assigned to; of several, the one that names a secret."""
    name, quote, bracket, subscript, _, _ = found.groups()
    names: list[str] = []
    if subscript:
        names = [name, *_ONE_NAME.findall(subscript)]
    elif bracket and bracket[0] == ")" and text.startswith("(", found.end()):
        # PostgreSQL names columns: Key (token, lower(name)) = (…) already exists.
        begin = text.rfind(" (", max(found.start() - 1000, 0), found.start())
        names = _ONE_NAME.findall(text, begin, found.end(1)) if begin >= 0 else []
    elif text[found.start() - 1 : found.start()] == " " and (quote or name.lower() in _SECOND_WORDS):
        return _with_words_before(text, found.start(), name, is_quoted=bool(quote))
    return next((one for one in names if is_secret_key(one, more)), names[-1] if names else name)


def _is_nothing(name: str, more: tuple[str, ...], text: str, at: int) -> bool:
    """Say whether no secret stands at ``at``: None, an empty text, a number of tokens, or a header that is masked."""
    kind = key_kind(name, more)
    pattern = _NO_HEADER if _HEADER_NAME.search(name) is not None else _NOTHING
    return kind != "own" and (
        pattern.match(text, at) is not None or (kind == "secrets" and _NUMBER.match(text, at) is not None)
    )


def _begins_with_quote(text: str, at: int) -> bool:
    return text[at : at + 1] in _QUOTES or (text[at + 1 : at + 2] in {'"', "'"} and text[at : at + 1] in "bBrRuUfF\\@$")


def _with_words_before(text: str, start: int, name: str, *, is_quoted: bool) -> str:
    before = _WORDS_BEFORE.search(text, max(start - 100, 0), start)
    if before is None or (is_quoted and not before[1]):
        return name
    return f"{before[1] or before[2]} {name}"


def _end_of_value(text: str, start: int, at: int, name: str) -> int:
    """Return where the value ends that begins at ``at``; 0 if there is none."""
    if (opening := _OPENING.match(text, at)) is not None:
        return _end_of_container(text, opening.end())
    if (block := _BLOCK.match(text, at)) is not None:
        return _end_of_block(text, start, block.end())
    if not _begins_with_quote(text, at) and _HEADER_NAME.search(name):
        return end if (end := _end_of_header(text, start, at)) > at else 0
    value = _VALUE.match(text, at)
    return value.end() if value is not None else 0


def _end_of_container(text: str, at: int) -> int:
    """Return where the list, object or tuple ends that begins before ``at``; one that was cut ends with the text."""
    depth = 1
    while depth and (piece := _PIECE.match(text, at)) is not None:
        at = piece.end()
        depth += 1 if piece[1] else -1 if piece[2] else 0
    return at


def _without_credentials(found: re.Match[str]) -> str:
    scheme, between, text = found.groups()
    name, equals, value = text.partition("=")
    if equals and name.isidentifier() and value.strip("=") and _DIGIT.search(name) is None:
        return found[0]  # of what comes next: token_type=bearer n=1
    is_secret = (
        _is_userinfo(text) or (len(text) >= 12 and "." not in text and _DIGIT.search(text) is not None)
        if scheme.lower() == "basic"
        else len(text) >= 6 and _DIGIT.search(text) is not None
    )
    return f"{scheme}{between}{MASK}" if is_secret or _MIXED.search(text) is not None else found[0]


def _is_userinfo(text: str) -> bool:
    """Say whether ``text`` is ``user:password`` in base64, RFC 7617 §2, also if it was cut."""
    text = text.rstrip("=")
    try:
        return b":" in base64.b64decode(
            text[: len(text) // 4 * 4] if len(text) % 4 == 1 else text + "=" * (-len(text) % 4), validate=True
        )
    except ValueError:
        return False


def _takes_a_secret(name: str, more: tuple[str, ...], text: str, at: int, *, is_quoted: bool) -> bool:
    """Say whether what stands at ``at`` in ``text``, and is assigned to ``name``, is to be masked."""
    kind = key_kind(name, more)
    if kind is None or kind == "counter":
        return is_quoted and kind is not None and _is_no_count(text, at)
    if is_quoted or kind == "own" or _PASSWORD_AT_END.search(name) is not None:
        return True
    return "." not in name and ("_" in name or "-" in name or _CAPITAL_WITHIN.search(name) is not None)


def _is_no_count(text: str, at: int) -> bool:
    if _OPENING.match(text, at) is not None or _NOTHING.match(text, at) is not None:
        return False
    value = _VALUE.match(text, at)
    return value is not None and not is_count(value[0].strip("\\\"'"))


def begins_key(text: str) -> bool:
    """Say whether ``text`` is the first line of a private key in PEM."""
    return _KEY_BEGINS.fullmatch(text) is not None


def redact_url(url: str) -> str:
    """Return ``url`` without userinfo and fragment, and with the values of its query and matrix parameters masked.

    A query is masked whole: a signed link's parameters are secrets under names that nobody can list.
    Text that is not a URL comes back as ``***``.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port  # raises where that is a password with a slash in it
    except ValueError:
        return MASK
    # user:password@host, http:/user:password@host, or ////host
    if not parts.netloc and (parts.path.startswith("//") or (parts.scheme and "@" in parts.path)):
        return MASK
    # What has no name is a value.
    query = "&".join(f"{name}={MASK}" if equals else MASK for name, equals, _ in _pairs_of(parts.query))
    path = _MATRIX.sub(_without_matrix, parts.path)
    return urlunsplit((parts.scheme, host, path, query, ""))


def _pairs_of(query: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in re.split("[&;]", query)] if query else []


def _without_matrix(found: re.Match[str]) -> str:
    return f";{found[1]}={MASK}" if is_secret_key(found[1]) else found[0]
