"""One table of what is masked and one of what is not, in each place of a record where it can stand."""

import base64
import logging
import math
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared_core import context
from shared_core.logs import DevFormatter, JsonFormatter, TextFormatter, parse_line
from shared_core.logs.redaction import MASK, is_secret_key, mask_text, redact_url

SECRET = "Hunter"
BASIC = base64.b64encode(b"ada:aaaahunter").decode()  # no digit in it
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCHunter"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aWNrZXQifQ.Hunterc2lnbmF0dXJl"
PEM = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY}==\n-----END PRIVATE KEY-----"

MASKED = {
    "bytes": "password=b'Hunter'",
    "bytes key": "{b'password': b'Hunter', b'n': 1}",
    "bytes with spaces": "password=b'my Hunter' n=1",
    "raw": "password = r'Hunter one'",
    "unicode": 'password: u"Hunter one"',
    "format": "password=f'Hunter one'",
    "raw bytes": 'password=Rb"Hunter one"',
    "in JSON": r'{"sent": "password=b\"Hunter one\""}',
    "pydantic": "password=SecretStr('Hunter one') n=1",
    "pydantic in a model": "Login(user='ada', password=pydantic.SecretBytes(b'Hunter one'))",
    "call in a call": "password=SecretStr(str('Hunter'))",
    "tuple": "password=('ada', 'Hunter')",
    "triple quotes": 'password="""Hunter"""',
    "apostrophe": "password=it'sHunter on",
    "apostrophes": "password=it's'Hunter",
    "quote": 'password=a"Hunter',
    "walrus": 'password := "Hunter"',
    "pair": "('password', 'Hunter')",
    "pair of double quotes": '("password", "my Hunter")',
    "pairs": "[('user', 'ada'), ('password', 'Hunter'), ('n', 1)]",
    "pairs of lists": '[["user", "ada"], ["password", "Hunter"]]',
    "headers of ASGI": "[(b'host', b'x'), (b'authorization', b'Token Hunter'), (b'cookie', b'sid=Hunter')]",
    "pair in JSON": r'"[[\"password\", \"Hunter\"]]"',
    "pair that was cut": "[('password', 'Hunter and",
    "items": "dict_items([('api_key', 'Hunter')])",
    "key": PEM,
    "key in one line": PEM.replace("\n", "\\n"),
    "key of RSA": PEM.replace("PRIVATE", "RSA PRIVATE"),
    "key in OpenSSH's form": PEM.replace("PRIVATE", "OPENSSH PRIVATE"),
    "key that is encrypted": PEM.replace(
        "KEY-----\nMII", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,F7\n\nMII"
    ),
    "key of PGP": PEM.replace("KEY-----", "KEY BLOCK-----").replace("PRIVATE", "PGP PRIVATE"),
    "key that was cut": PEM[:100],
    "key in a setting": f"JWT_SIGNING = {PEM!r}",
    "DSN with a slash": "postgres://ada:pa/Hunter@db:5432/x",
    "DSN with more": "postgres://ada:a/b/c?d#Hunter@db/x",
    "DSN with a digit and a slash": "amqp://ada:1a/Hunter@mq",
    "DSN with an at and a slash": "redis://:a@b/Hunter@cache/0",
    "URL with a slash": "https://ada:a/Hunter@host/x",
    "Basic without a digit": f"Basic {BASIC.replace('aHVudGVy', 'SHVudGVy')}",
    "Bearer without a digit": "Bearer abcDefghijklmnopqrstuvHunter",
    "counter that is none": "admin_tokens=Hunter",
    "secretary's password": "secretary_password=Hunter",
    "count's token": "count_token=Hunter",
    "counter with a text": "token_count='Hunter' n=1",
    "yes or no with a text": '{"has_password": "Hunter"}',
    "cookie with JSON": 'Cookie: prefs={"a":1}; sid=Hunter',
    "cookie with an apostrophe": "Cookie: name=O'Brien; sid=Hunter",
    "cookie with a name's quote": """Cookie: "a"="b"; sid=Hunter""",
    "header with a quote": 'Authorization: Token "Hunter"',
    "header with a list": "Authorization: ['Token Hunter']",
    "header of WSGI": "HTTP_AUTHORIZATION: Token Hunter",
    "header that is assigned": "Authorization=Token Hunter",
    "cookie of WSGI": "HTTP_COOKIE: a=b; sid=Hunter",
    "cookie that is assigned": "cookie=a=b; sid=Hunter",
    "cookie in camel case": "setCookie: a=b; sid=Hunter",
    "header of a proxy": "X-Forwarded-Authorization: Token Hunter",
    "header that is folded": "Authorization: Token\n Hunter",
    "header that is folded twice": "Host: x\r\nCookie:\r\n\ta=b;\r\n\tsid=Hunter\r\nAccept: x",
    "header in a quote with a quote": """sent 'Cookie: name=O'Brien; sid=Hunter' on""",
    "header in a literal": "b'GET / HTTP/1.1\\r\\nCookie: a=b; sid=Hunter\\r\\nHost: x'",
    "header whose key is quoted": "{'authorization': Token Hunter}",
    "in a URL": "user%5Bpassword%5D=Hunter&x=1",
    "in a URL, whole": "next=/x%3Fpassword%3DHunter",
    "in a URL, as JSON": "%7B%22password%22%3A%22Hunter%22%7D",
    "in a URL, twice": "next=%252Fx%253Fpassword%253DHunter",
    "DSN in a URL": "next=postgres%3A%2F%2Fada%3AHunter%40db",
    "DSN in JSON with slashes": r'{"url":"postgres:\/\/ada:Hunter@db\/x"}',
    "JSON with quotes as numbers": r"{\u0022password\u0022:\u0022Hunter\u0022}",
    "JSON with letters as numbers": r'{"pass\u0077ord": "Hunter"}',
    "HTML": "&quot;password&quot;: &quot;Hunter&quot;",
    "HTML with numbers": "{&#x27;password&#x27;: &#39;Hunter&#39;}",
    "in a form, as JSON": "body=%7B%22token%22%3A+%7B%22value%22%3A+%22my+Hunter%22%7D%7D",
    "in a form, as pairs": "body=%5B%28%27password%27%2C+%27my+Hunter%27%29%5D",
    "in a form, as an assignment": "body=password+%3D+%27my+Hunter%27",
    "Bearer in a URL": "q=Bearer%20aHunter123",
    "bytes past ASCII": r"{b'Pass\xffword': 'Hunter'}",
    "key of two words": '"API Key": "Hunter"',
    "key of two words, assigned": "API key = Hunter",
    "subscript": "os.environ['DB_PASSWORD'] = 'Hunter'",
    "subscript of a form": "user[password]=Hunter&x=1",
    "subscript of SQL": "SET [password] = 'Hunter'",
    "backticks": "SET `password` = 'Hunter'",
    "value in backticks": "password=`my Hunter`",
    "value of a shell": "password=$'my Hunter'",
    "call of a generic": "password=Secret[str]('my Hunter')",
    "object": "password=<Secret my Hunter>",
    "list over lines": '{\n  "tokens": [\n    "Hunter"\n  ]\n}',
    "object over lines": '{\n  "token": {\n    "value": ["a", "Hunter"]\n  }\n}',
    "list over lines that was cut": '{\n  "tokens": [\n    "Hunter',
    "tuple over lines": "password=(\n  'Hunter'\n)",
    "text over lines": 'password="""a\nHunter\nb"""',
    "block of YAML": "db:\n  password: |\n    Hunter\n  host: x",
    "annotated": "api_key: Optional[str] = 'Hunter'",
    "annotated with a plain name": "token: str = 'Hunter'",
    "annotated with a union": "password: str | None = 'my Hunter'",
    "name of YAML": 'token: "Hunter"',
    "name of JavaScript": "{apiKey: 'Hunter', n: 1}",
    "name in camel case": "accessToken: Hunter",
    "Bearer of two parts": "Bearer 12|HunterHunter1Hunter",
    "Bearer of two parts with a colon": "Bearer 123456:HunterHunter",
    "Bearer in quotes": 'Bearer "aHunter123"',
    "Bearer with a colon": "Bearer: aHunter123",
    "Bearer after a line break": r"Bearer\naHunter123",
    "JWT after a hyphen": f"reset-{JWT}",
    "JWT after an underscore": f"session_{JWT}",
    "JWT after a letter": f"x{JWT}",
    "JWT whose header has a space": JWT.replace("eyJhbGci", "eyAiYWxn"),
    "key in a list of lines": repr(PEM.splitlines()),
    "key in a list that was cut": repr(PEM.splitlines())[:100],
    "key that is quoted and was cut": PEM[:100].replace("\n", "\n> "),
    "key in a URL": PEM.replace(" ", "%20").replace("\n", "%0A"),
    "key in a form": PEM.replace(" ", "+").replace("\n", "%0A"),
    "key that was escaped twice and cut": PEM[:100].replace("\n", "\\\\n"),
    "DSN after an underscore": "x_postgres://ada:Hunter@db",
    "DSN with a long scheme": "a" * 25 + "://ada:Hunter@db",
    "pair with a space": "('password' , 'Hunter')",
    "pair with a comma at its end": "[('password', 'Hunter',)]",
    "pair with a yes or no": '(b"authorization", b"Token Hunter", True)',
    "pair of a bytearray": "(bytearray(b'password'), 'Hunter')",
    "pairs over lines": '[\n  [\n    "password",\n    "Hunter"\n  ]\n]',
    "form with a list": "password[]=Hunter&x=1",
    "form with an object": "user[token][value]=Hunter&x=1",
    "form with a list, in a URL": "next=%2Fx%3Fpassword%5B%5D%3DHunter",
    "item of a list": "tokens[0] = 'Hunter'",
    "item of a dict": "config['token'][\"value\"] = 'Hunter'",
    "unique columns of PostgreSQL": "DETAIL:  Key (token, tenant)=(Hunter, 3) already exists.",
    "unique expression of PostgreSQL": "Key (lower(token::text), tenant)=(Hunter, 3) already exists.",
    "zero-width characters in a key": "pass\u200bword=Hunter",
    "zero-width character after a key": "password\u2060=Hunter",
    "soft hyphen in a key": "pass\u00adword: Hunter",
    "NUL after a key": "password\0=Hunter",
    "colours": "\x1b[31mpassword\x1b[0m=\x1b[32mHunter\x1b[0m",
    "colours of JSON": '\x1b[34;1m"token"\x1b[39;49;00m: \x1b[33m"Hunter"\x1b[39;49;00m',
    "base64 of LDIF": "userPassword:: aHunter",
    "doubled apostrophe": "password='it''s my Hunter' n=1",
    "doubled quote": 'password="a""Hunter"',
    "DSN with digits and without a user": "redis://:1234/Hunter@cache",
    "DSN with a hash": "postgres://ada:#Hunter@db/x",
    "DSN with a question mark": "postgres://ada:?Hunter@db/x",
}

HARMLESS = [
    "tokenizer=bert",
    "tokenizer: bert-base",
    "max_tokens=4096",
    "maxTokens=4096",
    "max_new_tokens=256 max_output_tokens=3",
    "prompt_tokens=12 completion_tokens=5 total_tokens=17",
    "usage={'input_tokens': 1, 'output_tokens': 2}",
    "token_count=5 tokenCount=5 refresh-token-count=6",
    "tokens_used=5",
    "secretary=Ada secretaries=2",
    "passwords_changed=3 password_changed_at=2026-01-01",
    "password_length=12 PASSWORD_MIN_LENGTH=8",
    "token_expires_in=3600",
    "passwordless=true",
    "tokenized=yes tokenization=word",
    "Changed: ['password', 'email']",
    "('password', 'email', 'name')",
    "the fields 'token', 'secret' are missing",
    "http://user:8000/users/@ada",
    "http://user:8000/?next=a@b",
    "http://[::1]:8000/a@b",
    "https://example.org/a:b/@ada",
    '{"url":"http://user:80","mail":"ada@example.org"}'.replace("@", " at "),
    "Basic authentication, basic HTTP, Basic internationalization",
    "bearer tokens, Bearer authentication, Bearer JavaScript",
    "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PUBLIC KEY-----",
    "a PEM starts with -----BEGIN PRIVATE KEY----- and has an end",
    "it's, isn't, can't",
    "session_idle_timeout=5 possession_id=7 obsession_id=x sec_retries=2 adj_wt=x",
    "secretly=x undersecretary=Ada secretion=x cookiecutter=x tokenizable=x detokenized=x",
    "cookie_consent=all token_type=bearer signature_algorithm=RS256 jwt_alg=HS256",
    "tokens_per_second=5 token_usage=7 max_token=4096 password_attempts=3",
    "has_password=True is_secret=no token_ttl=300 token_expired=False",
    "password=None",
    "token='', n=1",
    'password=""',
    "secret=False",
    "{'password': None, 'token': null, 'tokens': 5}",
    "tokens=5 passwords=2",
    "100%, 5 %2B 3, a\\/b &quot;x&quot;",
    "C%2B%2B+%3D+C + 1",
    "see http://h/x?next=http%3A%2F%2Fhost%3A80%2Fusers",
    "Basic python3 course, Basic auth2.0",
    "invalid token: it's expired",
    "Missing tokens:\n- refresh\n- access",
    "Straße: \U0001f469\u200d\U0001f680 100\xa0%",
    "\x1b[31mfailed\x1b[0m: token_count=5",
    "Key (email, tenant)=(ada, 3) already exists.",
    "Token[int]: it has expired",
    "redis://:6379/0, a@b",
    "http://user:8000/#a@b",
]


class Text:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def made(message="Sent", *args, exc_info=None, **extras):
    record = logging.LogRecord("apps", logging.INFO, "views.py", 7, message, args, exc_info)
    vars(record).update(extras)
    return record


PLACES = {
    "message": made,
    "argument": lambda text: made("Sent %s on", text),
    "bad argument": lambda text: made("Sent %d on", text),
    "extra": lambda text: made(note=text),
    "list": lambda text: made(note=[text, 1]),
    "dict": lambda text: made(note={"a": [{"b": text}]}),
    "bytes": lambda text: made(note=text.encode()),
    "bytes in a list": lambda text: made(note=[text.encode()]),
    "object": lambda text: made(note=Text(text)),
    "object in a tuple": lambda text: made(note=(Text(text), 1)),
    "exception": lambda text: made(exc_info=(ValueError, ValueError(text), None)),
    "stack": lambda text: made(stack_info=text),
}


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
@pytest.mark.parametrize("name", MASKED)
def test_a_secret_is_masked_wherever_it_stands(name, formatter):
    text = MASKED[name]
    assert SECRET.lower() in text.lower() or "Basic" in text
    for place, make in PLACES.items():
        line = formatter().format(make(text))

        assert SECRET not in line, place
        assert BODY[:20] not in line, place
        assert BASIC[:8] not in line, place
        assert MASK in line, place
    with context.bind(note=text):
        assert SECRET not in formatter().format(made())


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_wherever_it_stands(text):
    assert mask_text(text) == text
    for place in ("message", "extra", "stack"):
        parsed = parse_line(TextFormatter().format(PLACES[place](text)))
        assert text in [parsed["message"], *parsed["fields"].values()], place
    for place, make in PLACES.items():
        assert MASK not in TextFormatter().format(make(text)), place


@dataclass
class Login:
    user: str
    password: object


class SecretStr:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return f"SecretStr({self.text!r})"


CONTAINERS = {
    "bytes key": {b"password": SECRET},
    "bytes in bytes": {b"password": SECRET.encode()},
    "pairs": [("user", "ada"), ("password", SECRET)],
    "pairs of lists": [["user", "ada"], ["password", SECRET]],
    "pair": ("password", SECRET),
    "headers of ASGI": {"scope": {"headers": [(b"host", b"x"), (b"authorization", SECRET.encode())]}},
    "headers in a tuple": ((b"Cookie", SECRET),),
    "pair of a container": [("tokens", {"a": [SECRET]})],
    "set": {("password", SECRET)},
    "items": {"password": SECRET}.items(),
    "deque": deque([("password", SECRET)]),
    "dataclass": Login("ada", SECRET),
    "dataclass with pydantic's": [Login("ada", SecretStr(f"my {SECRET}"))],
    "dataclass with bytes": {"a": Login("ada", SECRET.encode())},
    "the service's own": {b"ssn": SECRET, "deep": [("ssn", SECRET)]},
    "bytearray": bytearray(f"password={SECRET}".encode()),
    "generic": [[("a", [("b", [("token", SECRET)])])]],
    "triple": ("authorization", SECRET, True),
    "triples of HPACK": [
        (b"authorization", SECRET.encode(), False),
        (b"cookie", SECRET.encode(), 3),
        ["token", SECRET, None],
    ],
    "pair of a bytearray": [(bytearray(b"password"), SECRET)],
    "key that holds it": {"deep": [{f"password={SECRET}": 1}, {("password", SECRET): 2}]},
    "DSN as a key": {f"postgres://ada:{SECRET}@db/x": "down"},
    "JWT as a key": {JWT: {"user": 7}},
    "key in lines": PEM.splitlines(),
    "key in lines of bytes": {"key": tuple(line.encode() for line in PEM.splitlines(keepends=True))},
    "key in lines that was cut": PEM.splitlines()[:2],
    "counter": {"token_count": SECRET},
    "counter of bytes": [{"has_password": SECRET.encode()}],
    "counter of an object": {"max_tokens": SecretStr(SECRET)},
    "counter of a list": {"token_count": [5, SECRET]},
    "counter of an object in a list": {"token_usage": [{"a": 5, "b": SECRET}]},
    "counter in a pair": [("token_count", SECRET)],
}


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_secret_is_masked_in_containers_and_they_stay_as_they_are(name, formatter):
    value = CONTAINERS[name]
    before = repr(value)
    written = [
        formatter(mask_keys=["ssn"]).format(record)
        for record in (made(note=value), made(note={"a": [value]}), made("Sent %d", [value]), made(**{"a b": value}))
    ]
    with context.bind(note=value):
        written.append(formatter(mask_keys=["ssn"]).format(made()))

    assert [line for line in written if SECRET in line] == []
    assert repr(value) == before


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter, DevFormatter])
@pytest.mark.parametrize("value", [SECRET, SECRET.encode(), [SECRET], {"a": SECRET}, SecretStr(SECRET)])
def test_under_a_counters_key_only_a_count_is_written(value, formatter):
    assert SECRET not in formatter().format(made(token_count=value))
    with context.bind(has_password=value):
        assert SECRET not in formatter().format(made())


def test_a_text_is_masked_by_the_service_s_own_keys_too():
    text = "ssn=1234, 'Bank-Account': 'my 56', pin='78', (\"pin\", \"90\")"
    formatter = TextFormatter(mask_keys=["ssn", "bank_account", "pin"])

    for record in (made(text), made("Sent %s", text), made(note=text), made(note=[text]), made(note={"x": Text(text)})):
        line = formatter.format(record)
        assert [secret for secret in ("1234", "56", "78", "90") if secret in line.partition("apps")[2]] == []


def test_keys_of_extras_may_be_bytes():
    record = made()
    vars(record).update({b"password": SECRET, b"ssn": SECRET})

    assert SECRET not in TextFormatter(mask_keys=["ssn"]).format(record)


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 5, "usage": {"prompt_tokens": 12, "token_count": 3}},
        {"fields": ["password", "email"]},
        ["password", "email"],
        [("tokenizer", "bert"), ("secretary", "Ada")],
        [("password", "a", "b")],
        {"passwords_changed": 3},
        {"password": None, "token": "", "secret": False, "cookie": b"", "credentials": [], "auth": {}, "tokens": 5},
        [("password", None), ("tokens", 5, True)],
        {"token_count": None, "token_ttl": timedelta(days=3), "token_expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {
            "has_password": True,
            "max_tokens": math.inf,
            "token_limit": Decimal("1.5"),
            "token_usage": {"input": 3, "a": [4]},
        },
        ["a PEM starts with -----BEGIN PRIVATE KEY-----", "and has an end"],
        ["-----BEGIN CERTIFICATE-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "-----END CERTIFICATE-----"],
    ],
)
def test_containers_without_a_secret_stay(value):
    assert MASK not in TextFormatter().format(made(note=value))
    if isinstance(value, dict):
        assert MASK not in TextFormatter().format(made(**value))


@pytest.mark.parametrize(
    "key",
    [
        "tokenizer",
        "max_tokens",
        "maxTokens",
        "prompt_tokens",
        "secretary",
        "token_count",
        "passwords_changed",
        "usage.total_tokens",
    ],
)
def test_keys_that_only_look_like_a_secrets_are_none(key):
    assert not is_secret_key(key)
    assert is_secret_key(key, [key])


@pytest.mark.parametrize(
    "key",
    [
        *(
            "tokens",
            "SERVICE_ACCEPTED_TOKENS",
            "admin_tokens",
            "refresh_tokens",
            "secretary_password",
            "tokenizer_token",
        ),
        *(
            "token_iso",
            "secret_arn",
            "tokenSecret",
            "pAsSwOrD",
            "count_token",
            "new_tokens",
            "domaintokens",
            "PASSWORDS",
        ),
    ],
)
def test_keys_that_hold_such_a_word_and_a_secrets_are(key):
    assert is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=it's on", "password=*** on"),
        ("'password=abc', 'n': 1", "'password=***', 'n': 1"),
        ("password=b'a b', n=1", "password=***, n=1"),
        ("password=SecretStr('a b'), n=1", "password=***, n=1"),
        ("[('password', 'a b'), ('n', 1)]", "[('password', ***), ('n', 1)]"),
        ("[(b'cookie', b'a b'), (b'n', 1)]", "[(b'cookie', ***), (b'n', 1)]"),
        (f"key: {PEM}, n=1", "key: ***, n=1"),
        ("redis://:p@a/0,redis://:q@b/0 c@d", "redis://***@a/0,redis://***@b/0 c@d"),
        ("https://ada:p@host/x?mail=a@b", "https://***@host/x?mail=a@b"),
        ('token="\npassword: "hunter2"\nn=1', "token=***\nn=1"),
        ("token=''hunter2 on", "token=***"),
        ("postgres://ada:pa/ss@host/db?x=1", "postgres://***@host/db?x=1"),
        ("a postgres://ada:pa/ss@host/db b@c", "a postgres://***@host/db b@c"),
        ("Authorization: None", "Authorization: None"),
        ("password=\u201cmy x\u201d, n=1", "password=***, n=1"),
        ("sent 'Cookie: a=b; sid=x', n=1", "sent 'Cookie: ***', n=1"),
        ('{"sent": "GET Cookie: a=\\"b\\"; sid=x", "n": 1}', '{"sent": "GET Cookie: ***", "n": 1}'),
        ("  Cookie: a\n    b\n  n: 1", "  Cookie: ***\n  n: 1"),
        ("fetch(cookie='a=b', n=1)", "fetch(cookie=***, n=1)"),
        ('{"tokens": [\n "x",\n {"a": "]"}\n], "n": 1}', '{"tokens": ***, "n": 1}'),
        ("password: |\n  a\n  b\nn: 1", "password: ***\nn: 1"),
        ("user%5Bpassword%5D=x&n=%41", "user[password]=***&n=A"),
        ("token_count='x', n=1", "token_count=***, n=1"),
        ("(b'cookie', b'x', True), 1", "(b'cookie', ***, True), 1"),
        (f"reset-{JWT}/", "reset-***/"),
        ("tokens[0]='x', n=1", "tokens[0]=***, n=1"),
        ("Key (token, tenant)=(x, 3) already exists.", "Key (token, tenant)=*** already exists."),
        ("pass\u200bword=x, n=1", "password=***, n=1"),
        ("password='it''s', n='1'", "password=***, n='1'"),
        ("password='', n=''", "password='', n=''"),
        ("my.api_key: str = 'x', n=1", "my.api_key: ***, n=1"),
    ],
)
def test_what_stands_around_a_secret_stays(text, shown):
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/x?Hunter", "https://h/x?***"),
        ("https://h/x?a=1&Hunter", "https://h/x?a=***&***"),
        ("https://h/x?a=1;Hunter", "https://h/x?a=***&***"),
        ("https://h/x;jsessionid=Hunter/y;v=1", "https://h/x;jsessionid=***/y;v=1"),
        ("https://h/x", "https://h/x"),
        ("ada:Hunter@h/x", "***"),
        ("http:/ada:Hunter@h/x", "***"),
        ("http:ada:Hunter@h/x", "***"),
        ("/users/@ada", "/users/@ada"),
    ],
)
def test_a_query_without_names_and_a_matrix_parameter_are_not_shown(url, shown):
    assert redact_url(url) == shown


def test_a_url_whose_password_has_a_slash_is_not_shown():
    assert SECRET not in redact_url(f"postgres://ada:pa/{SECRET}@host/db")


@pytest.mark.slow
@pytest.mark.parametrize(
    "pump",
    [
        *(
            "password=it's",
            "password=b'",
            "password=f(",
            "password=a(",
            "('password', ",
            "[['password', 'x'",
            "('token',",
        ),
        *(
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\n" + "A" * 20,
            "-----BEGIN ",
            "-----END PRIVATE KEY-----",
        ),
        *(
            "-----BEGIN PRIVATE KEY-----\na: b\n",
            "-----BEGIN PRIVATE KEY-----a:",
            "-----BEGIN PRIVATE KEY-----a: b ",
            "-----BEGIN PRIVATE KEY-----\\na:",
            "a:-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----" + "A" * 20,
            "a://b:c/",
            "a://b:c",
            "a://b:c/@",
            "Basic YTpi",
            "Basic aaaa ",
            "Bearer aA",
        ),
        *(
            "password=a'b",
            "token=\"'",
            "tokenizer=",
            "max_tokens=",
            "secretary",
            "aB",
            "\\'token\\',",
            "Cookie: a=b'",
            "'cookie=",
            "cookie",
            "cookie ",
            "authorization:\n ",
            "cookie: 'a=b; ",
            "xeyJaaaaaa",
            "eyJaaaaaaaa.a.",
            "xeyJaaaaaaaa-",
            "%70assword%3D",
            "%2525",
            "&amp;amp;",
            "\\u0022token\\u0022:",
            "\\/",
            "token=[",
            "token={'",
            'token=[\n"',
            "token=('\\",
            "token: |\n a\n",
            "api_key: Optional[",
            "API Key=",
            '"API Key": ',
            "['token']=",
            "('token' , ",
            "token=`",
            "token=<a",
            "token=\u201c",
            "Bearer '",
            "Bearer:",
            "token_count=",
            "has_",
            "token_count='",
            "('",
            '[["token", ',
            "token[a]",
            "token[a][",
            "Key (token, ",
            "(token)=(",
            "password='a''",
            "\u200b",
            "\x1b[",
            "\x1b[0",
            "password\u200b=",
            "redis://:",
            "redis://:1/",
        ),
    ],
)
def test_masking_is_linear(pump):
    for text in (
        pump * (300_000 // len(pump)),
        pump * (300_000 // len(pump)) + "'\n",
        "x=" + pump * (150_000 // len(pump)),
    ):
        began = time.thread_time()
        mask_text(text)
        is_secret_key(text)

        assert time.thread_time() - began < 3  # at most 0.3 on a machine that does nothing else; quadratic is above 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("('token', [", "];)"),
        ("('token', (", ");)"),
        ("('token', \u201c ", "\u201d x"),
        ("('cookie', a ", "\nx"),
        ("'Cookie: a', ", ""),
        ("token=\u201c ", ""),
        ("token_count=None'", ""),
        ("%3D+", ""),
        ("+", "%3D"),
    ],
)
def test_masking_of_what_is_nested_is_linear(opened, closed):
    times = 240_000 // len(opened + closed)
    began = time.thread_time()
    mask_text(opened * times + closed * times)

    assert time.thread_time() - began < 4  # at most 0.8 on a machine that does nothing else; quadratic is above 8


@pytest.mark.parametrize("key", [JWT, f"postgres://ada:{SECRET}@db", f"password={SECRET}"])
def test_a_secret_is_masked_in_the_name_of_a_field(key):
    line = TextFormatter().format(made(**{key: 1}))
    with context.bind(**{key: 1}):
        bound = TextFormatter().format(made())

    assert SECRET not in line + bound
    assert len(parse_line(line)["fields"]) == len(parse_line(bound)["fields"]) == 1
