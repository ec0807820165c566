import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.service_settings import accepted_tokens, behind_gateway, secret, service_urls

STRONG = "k" * 50
VARIABLES = (
    "ENVIRONMENT SECRET_KEY SECRET_KEY_FILE USER_SERVICE_URL FILE_SERVICE_URL USER_API_SERVICE_URL TICKET_SERVICE_URL "
    "COMMUNICATION_SERVICE_URL SERVICE_ACCEPTED_TOKENS SERVICE_ACCEPTED_TOKENS_DIR"
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)


class TestSecret:
    def test_it_comes_from_the_environment_or_a_file(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SECRET_KEY", STRONG)
        assert secret("SECRET_KEY") == STRONG

        (tmp_path / "key").write_text(f"{STRONG}\n")
        monkeypatch.delenv("SECRET_KEY")
        monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
        assert secret("SECRET_KEY") == STRONG

    @pytest.mark.parametrize("environment", ["dev", "test"])
    def test_it_has_a_default_in_development_and_tests(self, monkeypatch, environment):
        monkeypatch.setenv("ENVIRONMENT", environment)

        assert secret("SECRET_KEY", unsafe="unsafe") == "unsafe"
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set, nor SECRET_KEY_FILE"):
            secret("SECRET_KEY")

    @pytest.mark.parametrize("environment", [None, "staging", "production"])
    def test_and_nowhere_else(self, monkeypatch, environment):
        if environment:
            monkeypatch.setenv("ENVIRONMENT", environment)

        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
            secret("SECRET_KEY", unsafe=STRONG)
        for weak in ("hunter2", STRONG):
            monkeypatch.setenv("SECRET_KEY", weak)
            with pytest.raises(ImproperlyConfigured, match=r"SECRET_KEY is too weak for .*token_urlsafe") as raised:
                secret("SECRET_KEY", unsafe=STRONG)
            assert weak not in str(raised.value)

    def test_what_is_wrong_is_named(self, monkeypatch):
        monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere")
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE=/nowhere cannot be read: FileNotFoundError"):
            secret("SECRET_KEY")
        monkeypatch.setenv("SECRET_KEY", STRONG)
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY and SECRET_KEY_FILE are both set"):
            secret("SECRET_KEY")


class TestServiceUrls:
    def test_those_that_are_named_or_all(self, monkeypatch, tmp_path):
        monkeypatch.setenv("USER_SERVICE_URL", "http://user:8000")
        monkeypatch.setenv("USER_API_SERVICE_URL", "https://[::1]:8443/base")
        (tmp_path / ".env").write_text("FILE_SERVICE_URL=http://file:8000\n")

        assert service_urls("user") == {"USER_SERVICE_URL": "http://user:8000"}
        assert service_urls("user-api") == {"USER_API_SERVICE_URL": "https://[::1]:8443/base"}
        assert service_urls() == {
            "FILE_SERVICE_URL": "http://file:8000",
            "USER_API_SERVICE_URL": "https://[::1]:8443/base",
            "USER_SERVICE_URL": "http://user:8000",
        }

    def test_each_that_is_missing_is_named(self):
        with pytest.raises(
            ImproperlyConfigured, match="USER_SERVICE_URL, FILE_SERVICE_URL must be set, as http://user"
        ):
            service_urls("user", "file")

    @pytest.mark.parametrize(
        "url", ["user:8000", "ftp://user", "http://", "http://u:hunter2@h:x", "http://h?hunter2", "//h"]
    )
    def test_what_is_no_url_is_named_without_its_value(self, monkeypatch, url):
        monkeypatch.setenv("USER_SERVICE_URL", url)

        with pytest.raises(ImproperlyConfigured, match="USER_SERVICE_URL must be an http:// or https://") as raised:
            service_urls("user")

        assert "hunter2" not in str(raised.value)


class TestAcceptedTokens:
    def test_nobody_is_accepted_by_default(self):
        assert accepted_tokens() == {}

    def test_they_come_in_a_variable_several_for_a_service(self, monkeypatch):
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", " ticket=new==, ticket=old ,file=other")

        assert accepted_tokens() == {"ticket": ["new==", "old"], "file": ["other"]}

    def test_or_in_a_folder_a_file_for_each_service(self, monkeypatch, tmp_path):
        for name in ("ticket", "file", ".hidden"):
            (tmp_path / "tokens" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "tokens" / name).touch()
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS_DIR", str(tmp_path / "tokens"))

        assert accepted_tokens() == {"file": [tmp_path / "tokens" / "file"], "ticket": [tmp_path / "tokens" / "ticket"]}

    @pytest.mark.parametrize("text", ["hunter2", "ticket=", "=hunter2"])
    def test_what_is_wrong_is_named_without_its_value(self, monkeypatch, text):
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", text)
        with pytest.raises(ImproperlyConfigured, match="write service=token, separated by commas") as raised:
            accepted_tokens()
        assert "hunter2" not in str(raised.value)

        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS_DIR", "/nowhere")
        with pytest.raises(ImproperlyConfigured, match="are both set"):
            accepted_tokens()
        monkeypatch.delenv("SERVICE_ACCEPTED_TOKENS")
        with pytest.raises(ImproperlyConfigured, match="SERVICE_ACCEPTED_TOKENS_DIR=/nowhere: No such file"):
            accepted_tokens()


def test_a_service_behind_a_gateway_is_secured_but_in_development(monkeypatch):
    assert behind_gateway()["SESSION_COOKIE_SECURE"] is True
    assert behind_gateway()["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")

    monkeypatch.setenv("ENVIRONMENT", "dev")
    assert behind_gateway() == {}
