import pytest
from django.core.exceptions import ImproperlyConfigured

from shared_core.service_settings import (
    accepted_tokens,
    allowed_hosts,
    behind_gateway,
    cache_config,
    get_service_settings,
    secret,
    service_urls,
)

STRONG = "Qe7w1oZ9hZp3vT5yN8sXkR2uLdBfGcJm4A6tYb0W"
VARIABLES = (
    "ENVIRONMENT SECRET_KEY SECRET_KEY_FILE USER_SERVICE_URL FILE_SERVICE_URL USER_API_SERVICE_URL TICKET_SERVICE_URL "
    "COMMUNICATION_SERVICE_URL SERVICE_ACCEPTED_TOKENS SERVICE_ACCEPTED_TOKENS_DIR SERVICE_AUTH_TOKEN ALLOWED_HOSTS "
    "CACHE_URL"
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)


class TestSecret:
    def test_a_secret_comes_from_a_variable_or_a_file(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SECRET_KEY", STRONG)
        assert secret("SECRET_KEY") == STRONG

        (tmp_path / "key").write_text(f"{STRONG}\n")
        monkeypatch.delenv("SECRET_KEY")
        monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
        assert secret("SECRET_KEY") == STRONG

    @pytest.mark.parametrize("environment", ["dev", "test"])
    def test_a_secret_has_its_unsafe_default_in_development_and_tests(self, monkeypatch, environment):
        monkeypatch.setenv("ENVIRONMENT", environment)

        assert secret("SECRET_KEY", unsafe="unsafe") == "unsafe"
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set, nor SECRET_KEY_FILE"):
            secret("SECRET_KEY")

    @pytest.mark.parametrize("environment", [None, "staging", "production"])
    def test_a_missing_or_weak_secret_is_an_error_in_production(self, monkeypatch, environment):
        if environment:
            monkeypatch.setenv("ENVIRONMENT", environment)

        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
            secret("SECRET_KEY", unsafe=STRONG)
        for weak in ("hunter2", STRONG, "a" * 50, "changeme" * 6, f"django-insecure-{STRONG}"):
            monkeypatch.setenv("SECRET_KEY", weak)
            with pytest.raises(ImproperlyConfigured, match=r"SECRET_KEY is too weak for .*token_urlsafe") as raised:
                secret("SECRET_KEY", unsafe=STRONG)
            assert weak not in str(raised.value)

    def test_an_unreadable_secret_file_or_two_sources_are_an_error(self, monkeypatch):
        monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere")
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE=/nowhere cannot be read: FileNotFoundError"):
            secret("SECRET_KEY")
        monkeypatch.setenv("SECRET_KEY", STRONG)
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY and SECRET_KEY_FILE are both set"):
            secret("SECRET_KEY")


class TestServiceUrls:
    def test_service_urls_returns_the_named_services_or_all(self, monkeypatch, tmp_path):
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

    def test_every_missing_service_url_is_named(self):
        with pytest.raises(
            ImproperlyConfigured, match="USER_SERVICE_URL, FILE_SERVICE_URL must be set, as http://user"
        ):
            service_urls("user", "file")

    @pytest.mark.parametrize(
        "url",
        [
            "user:8000",
            "ftp://user",
            "http://",
            "http://u:hunter2@h:x",
            "http://u:hunter2@h",
            "http://h?hunter2",
            "//h",
            "http://h?",
            "http://h\\x",
        ],
    )
    def test_an_invalid_service_url_is_named_without_its_value(self, monkeypatch, url):
        monkeypatch.setenv("USER_SERVICE_URL", url)

        with pytest.raises(ImproperlyConfigured, match=r"^USER_SERVICE_URL: .*\. Write it as http://user") as raised:
            service_urls("user")

        assert "hunter2" not in str(raised.value)


class TestAcceptedTokens:
    def test_without_variables_no_token_is_accepted(self):
        assert accepted_tokens() == {}

    def test_accepted_tokens_come_from_a_variable_with_several_per_service(self, monkeypatch):
        monkeypatch.setenv(
            "SERVICE_ACCEPTED_TOKENS",
            " ticket=the-newest-token==, ticket=the-one-that-was-before ,file=a-word-that-nobody-says",
        )

        assert accepted_tokens() == {
            "ticket": ["the-newest-token==", "the-one-that-was-before"],
            "file": ["a-word-that-nobody-says"],
        }

    @pytest.mark.parametrize("environment", ["production", "test"])
    @pytest.mark.parametrize("text", ["ticket=hunter2", "ticket=hunter2;file=x", f"a={STRONG},b={STRONG}"])
    def test_a_short_or_shared_token_is_an_error_without_its_value(self, monkeypatch, environment, text):
        monkeypatch.setenv("ENVIRONMENT", environment)
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", text)

        with pytest.raises(
            ImproperlyConfigured, match=r"a token of (ticket has fewer than 16|b is another service's too).*token_url"
        ) as raised:
            accepted_tokens()

        assert not any(secret in str(raised.value) for secret in ("hunter2", STRONG))

    def test_accepted_tokens_come_from_a_folder_with_a_file_per_service(self, monkeypatch, tmp_path):
        for name in ("ticket", "file", ".hidden"):
            (tmp_path / "tokens" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "tokens" / name).touch()
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS_DIR", str(tmp_path / "tokens"))

        assert accepted_tokens() == {"*": [tmp_path / "tokens"]}

    @pytest.mark.parametrize("text", ["hunter2", "ticket=", "=hunter2"])
    def test_an_invalid_variable_or_folder_is_an_error_without_its_value(self, monkeypatch, text):
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


def test_behind_gateway_secures_every_environment_but_development(monkeypatch):
    assert behind_gateway() == {
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
    }

    monkeypatch.setenv("ENVIRONMENT", "dev")
    assert behind_gateway() == {}


class TestAllowedHosts:
    def test_allowed_hosts_come_from_the_variable(self, monkeypatch):
        monkeypatch.setenv("ALLOWED_HOSTS", " tickets.example.org, .example.com,ticket,[::1],127.0.0.1 ,")

        assert allowed_hosts() == ["tickets.example.org", ".example.com", "ticket", "[::1]", "127.0.0.1"]

    def test_unset_allowed_hosts_are_localhost_in_development_and_an_error_elsewhere(self, monkeypatch):
        with pytest.raises(ImproperlyConfigured, match="ALLOWED_HOSTS is not set: write the names"):
            allowed_hosts()
        monkeypatch.setenv("ENVIRONMENT", "dev")

        assert allowed_hosts() == ["localhost", "127.0.0.1", "[::1]"]

    @pytest.mark.parametrize(
        "host", ["http://ticket", "ticket:8000", "ticket/", "a b", "*.example.org", "ti\u0661ket", "."]
    )
    def test_an_invalid_host_is_named(self, monkeypatch, host):
        monkeypatch.setenv("ALLOWED_HOSTS", f"ticket,{host}")

        with pytest.raises(ImproperlyConfigured, match="is no name of a host: without scheme, port and path") as raised:
            allowed_hosts()
        assert repr(host) in str(raised.value)


class TestCacheConfig:
    def test_without_cache_url_the_cache_is_djangos_default(self):
        assert cache_config("ticket")["default"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache"

    @pytest.mark.parametrize(
        "url", ["redis://:hunter2@cache:6379/0", "rediss://cache", "redis://[::1]:6379", "unix:///run/redis.sock?db=1"]
    )
    def test_services_that_share_a_redis_keep_their_keys_apart(self, monkeypatch, url):
        monkeypatch.setenv("CACHE_URL", url)
        monkeypatch.setattr("shared_core.service_settings.find_spec", lambda name: name == "redis")

        assert cache_config("ticket") == {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": url,
                "KEY_PREFIX": "ticket",
            }
        }

    @pytest.mark.parametrize(
        "url", ["cache:6379", "http://cache", "redis://", "unix://", "redis://:hunter2@cache:port"]
    )
    def test_an_invalid_cache_url_is_an_error_without_its_password(self, monkeypatch, url):
        monkeypatch.setenv("CACHE_URL", url)

        with pytest.raises(ImproperlyConfigured, match="CACHE_URL must be a redis://") as raised:
            cache_config("ticket")
        assert "hunter2" not in str(raised.value)

    def test_a_missing_redis_package_is_named(self, monkeypatch):
        monkeypatch.setenv("CACHE_URL", "redis://cache")
        monkeypatch.setattr("shared_core.service_settings.find_spec", lambda name: None)

        with pytest.raises(ImproperlyConfigured, match="CACHE_URL needs the package redis"):
            cache_config("ticket")


class TestServiceSettings:
    @pytest.fixture(autouse=True)
    def _database(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/n")
        for part in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "DIRECT_HOST", "DIRECT_PORT"):
            monkeypatch.delenv(f"DB_{part}", raising=False)

    @pytest.fixture
    def production(self, monkeypatch):
        monkeypatch.setenv("SECRET_KEY", STRONG)
        monkeypatch.setenv("ALLOWED_HOSTS", "ticket")
        monkeypatch.setenv("SERVICE_ACCEPTED_TOKENS", "gateway=a-token-of-its-own")

    def test_development_needs_no_variables_besides_the_database(self, monkeypatch):
        monkeypatch.setenv("ENVIRONMENT", "dev")
        settings = get_service_settings("ticket", apps=["apps.tickets"], middleware=["one.More"])

        assert settings["DEBUG"] is True
        assert settings["INSTALLED_APPS"] == ["shared_core", "apps.tickets"]
        assert [path.rpartition(".")[2] for path in settings["MIDDLEWARE"]] == [
            "RequestContextMiddleware",
            "SecurityMiddleware",
            "ServiceAuthMiddleware",
            "More",
        ]
        assert settings["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is True
        assert settings["TEST_RUNNER"] == "shared_core.testing.PoolerTestRunner"
        assert settings["SERVICE_ACCEPTED_TOKENS"] == {}
        assert "SECURE_HSTS_SECONDS" not in settings
        assert "SERVICE_AUTH_TOKEN" not in settings
        assert settings["SECRET_KEY"] != get_service_settings("user")["SECRET_KEY"]

    @pytest.mark.parametrize("environment", [None, "staging", "prod", "test"])
    def test_debug_is_on_only_in_development(self, monkeypatch, production, environment):
        if environment:
            monkeypatch.setenv("ENVIRONMENT", environment)

        assert get_service_settings("ticket")["DEBUG"] is False

    def test_production_settings_are_secure_behind_a_gateway(self, production):
        settings = get_service_settings("ticket")

        assert settings["SECRET_KEY"] == STRONG
        assert settings["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
        assert settings["SERVICE_ACCEPTED_TOKENS"] == {"gateway": ["a-token-of-its-own"]}

    def test_an_environment_that_is_unknown_is_an_error(self, monkeypatch, production):
        monkeypatch.setenv("ENVIRONMENT", "live")

        with pytest.raises(ImproperlyConfigured, match="ENVIRONMENT='live' is none of"):
            get_service_settings("ticket")

    def test_calls_requires_service_urls_and_a_strong_token(self, monkeypatch, production):
        with pytest.raises(ImproperlyConfigured, match="SERVICE_AUTH_TOKEN is not set"):
            get_service_settings("ticket", calls=["user", "file"])
        monkeypatch.setenv("SERVICE_AUTH_TOKEN", "short")
        with pytest.raises(ImproperlyConfigured, match="SERVICE_AUTH_TOKEN is too weak"):
            get_service_settings("ticket", calls=["user", "file"])
        monkeypatch.setenv("SERVICE_AUTH_TOKEN", "a-token-of-its-own")
        with pytest.raises(ImproperlyConfigured, match="USER_SERVICE_URL, FILE_SERVICE_URL must be set"):
            get_service_settings("ticket", calls=["user", "file"])
        monkeypatch.setenv("USER_SERVICE_URL", "http://user:8000")
        monkeypatch.setenv("FILE_SERVICE_URL", "http://file:8000")
        settings = get_service_settings("ticket", calls=["user", "file"])

        assert (settings["USER_SERVICE_URL"], settings["SERVICE_AUTH_TOKEN"]) == (
            "http://user:8000",
            "a-token-of-its-own",
        )

    @pytest.mark.parametrize("name", ["", "Ticket", "a b", "a" * 64, None, "-a"])
    def test_an_invalid_service_name_is_refused(self, name):
        with pytest.raises(ValueError, match="is no name of a service"):
            get_service_settings(name)

    @pytest.mark.parametrize("given", ["apps", "calls", "middleware"])
    def test_a_string_in_place_of_a_list_is_refused(self, given):
        with pytest.raises(ValueError, match=r"'apps.tickets' must be a list: write \[\"apps.tickets\"\]"):
            get_service_settings("ticket", **{given: "apps.tickets"})
