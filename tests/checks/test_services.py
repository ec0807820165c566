import re
import sys
import types
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from shared_core.checks.services import check_callers, check_middleware, check_urls, check_user_id
from shared_core.clients import HTTPClient, ServiceClient, UnsafeURL
from shared_core.middleware import RequestContextMiddleware
from shared_core.origins import fault_of_base

CONTEXT = "shared_core.middleware.RequestContextMiddleware"
AUTH = "shared_core.auth.ServiceAuthMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
TOKEN = "Jb5nHs8PcD4gUe6K"


class OurContextMiddleware(RequestContextMiddleware):
    pass


class PlanetClient(ServiceClient):
    service = "planet-of-this-test"


class FarPlanetClient(PlanetClient):
    service = "far-planet-of-this-test"


class NoClient(ServiceClient):
    """For others to derive from."""


def ids(messages):
    return [message.id.removeprefix("shared_core.") for message in messages]


@pytest.fixture(autouse=True)
def nothing_set(settings):
    """No setting of this suite."""
    for name in ("SERVICE_ACCEPTED_TOKENS", "SERVICE_JWT_KEY", "SIMPLE_JWT", "NINJA_JWT"):
        if hasattr(settings, name):
            delattr(settings, name)


class TestServiceUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://user:8000",
            "https://user.example.com/api/v1",
            "http://[::1]:8000",
            "http://127.0.0.1:1/",
            "",
            None,
            5,
            "user:8000",
            "user",
            "//user",
            "ftp://user",
            "http://",
            "http:///path",
            "http://user:port",
            "http://user:99999",
            "http://[::1",
            "http://me:sesame@user",
            "http://user?x=1",
            "http://user#x",
            "http://user?",
            " http://user",
            "http://user\n",
            "http://us er",
            "http://user\\x",
        ],
    )
    def test_a_url_is_accepted_if_and_only_if_the_client_accepts_it(self, url):
        try:
            is_base = url is not None and HTTPClient(url)._base() == url
        except (TypeError, UnsafeURL):
            is_base = False

        assert (fault_of_base(url) == "") is is_base

    @pytest.mark.parametrize("url", ["http://me:sesame@user", "sesame", ""])
    def test_an_invalid_url_is_reported_without_its_value(self, settings, url):
        settings.USER_API_SERVICE_URL = url
        (message,) = [one for one in check_urls() if one.id == "shared_core.E204"]

        assert "USER_API_SERVICE_URL" in message.msg
        assert "sesame" not in str(message)
        assert message.hint == '`USER_API_SERVICE_URL = "http://user-api:8000"`'

    def test_a_client_without_its_url_setting_is_reported(self, settings):
        missed = {message.msg.partition(": ")[2]: message.hint for message in check_urls()}

        line = f"{__name__}.FarPlanetClient needs FAR_PLANET_OF_THIS_TEST_SERVICE_URL."
        assert missed[line] == '`FAR_PLANET_OF_THIS_TEST_SERVICE_URL = "http://far-planet-of-this-test:8000"`'
        assert f"{__name__}.PlanetClient needs PLANET_OF_THIS_TEST_SERVICE_URL." in missed
        assert not any("NoClient" in line for line in missed)

    @pytest.mark.parametrize("url", ["http://planet:8000", None])
    def test_a_url_that_is_set_is_not_reported_as_missing(self, settings, url):
        settings.PLANET_OF_THIS_TEST_SERVICE_URL = url

        found = [message.id for message in check_urls() if " PLANET_OF" in message.msg]
        assert found == ([] if url else ["shared_core.E204"])

    def test_clients_imported_by_the_views_are_checked(self, settings, monkeypatch):
        code = "from shared_core.clients import ServiceClient\nclass Lazy(ServiceClient): service = 'lazy-of-this-test'"
        module = types.ModuleType("urls_of_this_test")

        class Finder:
            def find_spec(self, name, *_):
                if name == module.__name__:
                    exec(code, vars(module))
                    sys.modules[name] = module

        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        settings.ROOT_URLCONF = module.__name__

        assert any("LAZY_OF_THIS_TEST_SERVICE_URL" in message.msg for message in check_urls())

    @pytest.mark.parametrize("urls", ["nowhere.urls", None, ""])
    def test_urls_are_checked_even_if_the_urlconf_cannot_be_imported(self, settings, urls):
        settings.ROOT_URLCONF = urls
        settings.PLANET_OF_THIS_TEST_SERVICE_URL = "planet"

        assert "E204" in ids(check_urls())


class TestMiddleware:
    @pytest.mark.parametrize(
        ("middleware", "expected"),
        [
            ([CONTEXT], []),
            ([CONTEXT, AUTH, SECURITY], []),
            ([f"{__name__}.OurContextMiddleware", AUTH], []),
            ((CONTEXT, SECURITY), []),
            ([], ["W208"]),
            ([SECURITY], ["W208"]),
            ([AUTH], ["W208"]),
            ([SECURITY, CONTEXT], ["W208"]),
            ([SECURITY, f"{__name__}.OurContextMiddleware"], ["W208"]),
            (["nowhere.Middleware", CONTEXT], ["W208"]),
            ([f"{__name__}.TOKEN", "nowhere.Middleware"], ["W208"]),
            ([AUTH, CONTEXT], ["W209"]),
            (["shared_core.auth.guards.ServiceAuthMiddleware", CONTEXT], ["W209"]),
            ([SECURITY, AUTH, CONTEXT], ["W208", "W209"]),
        ],
    )
    def test_middleware_in_the_wrong_order_is_reported(self, settings, middleware, expected):
        settings.MIDDLEWARE = middleware

        assert ids(check_middleware()) == expected


class TestCallers:
    @pytest.fixture(autouse=True)
    def guarded(self, settings):
        settings.MIDDLEWARE = [CONTEXT, AUTH]

    @pytest.mark.parametrize("tokens", [None, {}, {"ticket": []}])
    def test_a_guarded_service_without_callers_is_reported(self, settings, tokens):
        settings.SERVICE_ACCEPTED_TOKENS = tokens
        assert ids(check_callers()) == ["W206"]

        settings.MIDDLEWARE = [CONTEXT]

        assert ids(check_callers()) == []

    def test_callers_with_tokens_are_accepted(self, settings, tmp_path):
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}2\n")
        settings.SERVICE_ACCEPTED_TOKENS = {"ticket": [TOKEN], "file": [file], "user": []}

        assert ids(check_callers()) == []

    def test_callers_with_a_jwt_key_are_accepted(self, settings):
        settings.SERVICE_JWT_KEY = "k" * 32
        settings.SERVICE_JWT_ALGORITHMS = ["HS256"]
        settings.SERVICE_JWT_AUDIENCE = "user"
        settings.SERVICE_JWT_ISSUER = "ticket"

        assert ids(check_callers()) == []

    @pytest.mark.parametrize(
        ("setting", "value", "text"),
        [
            ("SERVICE_ACCEPTED_TOKENS", "", "must be a dict"),
            ("SERVICE_ACCEPTED_TOKENS", [TOKEN], "must be a dict"),
            ("SERVICE_ACCEPTED_TOKENS", {"ticket": TOKEN}, r"\['ticket'\] must be a list"),
            ("SERVICE_ACCEPTED_TOKENS", {"ticket": ["short"]}, r"\['ticket'\] is no text of 16"),
            (
                "SERVICE_ACCEPTED_TOKENS",
                {"ticket": [TOKEN], "file": [TOKEN]},
                "'file' a token that another service has",
            ),
            ("SERVICE_ACCEPTED_TOKENS", {"ticket": [Path("/nowhere/token")]}, "/nowhere/token cannot be read"),
            ("SERVICE_ACCEPTED_TOKENS", {TOKEN: "ticket"}, r"\[entry 1\] must be a list"),
            ("SERVICE_ACCEPTED_TOKENS", {TOKEN: ["ticket"]}, r"\[entry 1\] is no text of 16"),
            ("SERVICE_JWT_KEY", "short", "SERVICE_JWT_ALGORITHMS=None must be a list"),
            ("SERVICE_JWT_KEY", "", "SERVICE_JWT_ALGORITHMS=None must be a list"),
        ],
    )
    def test_invalid_caller_settings_are_reported_without_a_token(self, settings, setting, value, text):
        setattr(settings, setting, value)
        (message,) = check_callers()

        assert message.id == "shared_core.E207"
        assert re.search(text, message.msg)
        assert TOKEN not in str(message)
        assert "short" not in message.msg


class TestUserId:
    @pytest.mark.parametrize("setting", ["SIMPLE_JWT", "NINJA_JWT"])
    def test_a_user_id_field_that_users_lack_is_reported(self, settings, setting):
        for right in ({}, {"USER_ID_FIELD": "pk"}, {"USER_ID_FIELD": "username", "USER_ID_CLAIM": "user_id"}):
            setattr(settings, setting, right)
            assert ids(check_user_id()) == []
        setattr(settings, setting, {"USER_ID_FIELD": "user_id", "USER_ID_CLAIM": "id"})

        (message,) = check_user_id()

        assert message.id == "shared_core.E210"
        assert f"{setting} says 'user_id', auth.User has id, password, last_login," in message.msg
        assert message.hint == f'`{setting} = {{"USER_ID_FIELD": "id", …}}`'

    @pytest.mark.parametrize("field", ["book", "book_id"])
    def test_a_user_id_field_may_be_a_foreign_key_or_its_column(self, settings, field):
        settings.SIMPLE_JWT = {"USER_ID_FIELD": field}
        settings.AUTH_USER_MODEL = "library.Loan"

        assert ids(check_user_id()) == []

    def test_the_default_user_id_field_id_is_checked(self, settings, monkeypatch):
        settings.NINJA_JWT = {"ALGORITHM": "HS256"}
        monkeypatch.setattr(User._meta.get_field("id"), "name", "uuid")
        monkeypatch.setattr(User._meta.get_field("id"), "attname", "uuid")

        (message,) = check_user_id()

        assert "NINJA_JWT says 'id', auth.User has uuid," in message.msg
        assert message.hint == '`NINJA_JWT = {"USER_ID_FIELD": "uuid", …}`'

    @pytest.mark.parametrize("model", ["nowhere.User", "User"])
    def test_the_user_id_field_is_not_checked_without_a_user_model(self, settings, model):
        settings.SIMPLE_JWT = {"USER_ID_FIELD": "nothing"}
        settings.AUTH_USER_MODEL = model

        assert ids(check_user_id()) == []

    @pytest.mark.parametrize("written", [None, "text", {"USER_ID_FIELD": "pk"}])
    def test_jwt_settings_that_are_not_a_dict_are_ignored(self, settings, written):
        settings.SIMPLE_JWT = written

        assert ids(check_user_id()) == []
