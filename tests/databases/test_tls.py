"""Certificates: a pooler that asks for TLS, and a client that looks whom it talks to."""

import shutil
import signal

import pytest
from django.db import OperationalError

from shared_core.databases import get_database_config
from tests.clients.fixtures import CERTIFICATE
from tests.databases.test_traps import execute
from tests.stack import servers
from tests.stack.process import Process

pytestmark = pytest.mark.slow

# Of somebody else; its key is kept nowhere.
OTHER = """
-----BEGIN CERTIFICATE-----
MIIDFTCCAf2gAwIBAgIUNTygRovwI04lR0AXKPTM3ZxbREUwDQYJKoZIhvcNAQEL
BQAwEDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTI0MDIzMDQxWhgPMjEyNjEwMzEw
MjMwNDFaMBAxDjAMBgNVBAMMBW90aGVyMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A
MIIBCgKCAQEAyIJjEkmKzpf8UlDoM5UqDnNs0wtwksg5JMAAiTdRI6XDhVjbr4J2
VbM8buARSOG0TLp4w2V5aLIEDkp4qqgz7aUTCwo60tUb2/muyuMP9L8A2Pz7XTQw
W/3dlUG0PpqLoVjk2/CWs1cQDoFatVicUYByq0QBgS9kFHeZ3vk3jDnOJYVJ8ti1
I7+zY77OkL1g2QutR2b3KpIue/LVoI7Hn+Gs0Sm6uM7ntzElxID7DZmdFhn1cJ7r
RPVz4GLJf3CRlOK6t2Auz2Hh55xXMhP8jE1oPmlSkU0pvtV1OKzlYO/nWmqgnTMO
9TPZmNRHp+9fjkWIU4IxrYgPc85SLVQ4GQIDAQABo2UwYzAdBgNVHQ4EFgQUqbgO
JF5sVsAX465uZQazqUJNG8wwHwYDVR0jBBgwFoAUqbgOJF5sVsAX465uZQazqUJN
G8wwDwYDVR0TAQH/BAUwAwEB/zAQBgNVHREECTAHggVvdGhlcjANBgkqhkiG9w0B
AQsFAAOCAQEADfc6GjUxgOcc1czRIr3+CUtuJPjEvzDC/7pTXVMMuf9jSD2WC6+k
B61tzhex0lvA7m0ovWJ8AD1q5QHyL6UrXmxWixubbt6qpmLy48A+cHqFoSWetT0Q
kYzBVfl0aWFvV9wiIviZ5FWas7YF4H1OY8idqLMkDXGvatrCiwqNZmmNCm0MP5bW
B9d6pKz9JTrL48l+d0U3Moh1xfeF8thwlL70iq8gN2g/+mGTJiyOvdovl4I6DxmY
z8nAVL/dKOIUbWfS5SCZoB8nLZXDcasaY8HqdhIMtD71Y1pKCvzsPPnY7oFdrPWt
0dgmvG8S1LYZ5zhRsjRsMmzoBe99nQbVeA==
-----END CERTIFICATE-----
"""


@pytest.fixture(scope="module")
def secure(stack):
    """Start a second PgBouncer beside the stack's, which speaks TLS only; return its port."""
    certificate = stack.folder / "tls.pem"
    shutil.copy(CERTIFICATE, certificate)
    servers.give_to_ordinary_user(certificate)
    plain = (stack.folder / "pgbouncer.ini").read_text()

    def make(port):
        settings = stack.folder / "tls.ini"
        lines = [line for line in plain.splitlines() if not line.startswith("listen_port")]
        tls = {
            "listen_port": port,
            "client_tls_sslmode": "require",
            "client_tls_key_file": certificate,
            "client_tls_cert_file": certificate,
        }
        settings.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in tls.items())]) + "\n")
        servers.give_to_ordinary_user(settings)
        command = [servers.find_pgbouncer(), str(settings)]
        return Process(
            command,
            log=stack.folder / "tls.log",
            cwd=stack.folder,
            user=servers.ordinary_user(),
            stop_signal=signal.SIGQUIT,
        )

    process, port = servers.start(make, stack._login)
    yield port
    process.stop()


@pytest.fixture
def connect(monkeypatch, tmp_path, stack, alias, secure):
    """Return a function that asks by TLS, with DB_SSL* so."""

    def connect(**variables):
        monkeypatch.chdir(tmp_path)
        for name, value in {**stack.environment, "DB_PORT": str(secure), **variables}.items():
            monkeypatch.setenv(name, str(value))
        using = alias("secure", **get_database_config()["default"])
        return execute(using, "SELECT 'answered'")

    return connect


def test_a_trusted_certificate_of_the_pooler_is_accepted(connect):
    assert connect(DB_SSLMODE="verify-full", DB_SSLROOTCERT=CERTIFICATE) == "answered"


def test_an_untrusted_certificate_is_refused(connect, tmp_path):
    other = tmp_path / "other.pem"
    other.write_text(OTHER)

    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(DB_SSLMODE="verify-full", DB_SSLROOTCERT=other)


def test_a_certificate_for_another_host_name_is_refused(connect):
    with pytest.raises(OperationalError, match="does not match host name"):
        connect(DB_SSLMODE="verify-full", DB_SSLROOTCERT=CERTIFICATE, DB_HOST="localhost")


def test_a_connection_without_tls_is_refused_by_the_pooler(connect):
    with pytest.raises(OperationalError, match=r"SSL required|no SSL"):
        connect(DB_SSLMODE="disable")
