import pytest

from shared_core.origins import InvalidURLError, check_base, is_internal, join, origin_of

BASE = "http://user-service:8000/api"


@pytest.mark.parametrize(
    ("base", "url", "joined"),
    [
        (BASE, "users/42", f"{BASE}/users/42"),
        (BASE, "/users/42", f"{BASE}/users/42"),
        (f"{BASE}/", "/users/42", f"{BASE}/users/42"),
        (BASE, "", BASE),
        (BASE, "/", f"{BASE}/"),
        (BASE, "?page=2", f"{BASE}?page=2"),
        (BASE, "/users?next=//evil/../x", f"{BASE}/users?next=//evil/../x"),
        (BASE, "users/@me", f"{BASE}/users/@me"),
        (BASE, "users:batch", f"{BASE}/users:batch"),
        (BASE, "files/a b..c...d", f"{BASE}/files/a b..c...d"),
        (BASE, "files/a%2Fb", f"{BASE}/files/a%2Fb"),
        (BASE, "files/100%2525", f"{BASE}/files/100%2525"),
        (BASE, "users/é", f"{BASE}/users/é"),
        (BASE, f"{BASE}/users", f"{BASE}/users"),
        (BASE, "HTTP://USER-service:8000/api/users", "HTTP://USER-service:8000/api/users"),
        ("http://user", "http://user:80/x", "http://user:80/x"),
        (None, "https://example.org/a/../b", "https://example.org/a/../b"),
    ],
)
def test_a_path_is_joined_under_the_base(base, url, joined):
    assert join(base, url) == joined


@pytest.mark.parametrize(
    "url",
    [
        "//evil/x",
        "///evil/x",
        "/%2f%2fevil/x",
        "/\\evil/x",
        "\\\\evil/x",
        "/%5cevil",
        "..",
        "../x",
        "/users/../../x",
        "/users/%2e%2e/x",
        "/users/%2E./x",
        "/users/..%2fx",
        "/users/..%5cx",
        "/users/%252e%252e/x",
        "/users/%25252e%25252e/x",
        "/users/%2525252525252525252e./x",
        "/users/..;a=b/x",
        "/users/.. /x",
        "/users\r\nX-Evil: 1",
        "/users\n",
        "/users\t/x",
        "/users/%0d%0aX-Evil:1",
        "/users\0",
        "http://evil/api/users",
        "https://user-service:8000/api/users",
        "http://user-service:8001/api/users",
        "http://user-service/api/users",
        "http://user-service:8000/apis",
        "http://user-service:8000/",
        "http://user-service:8000/api/../admin",
        "http://user-service:8000/api/%2e%2e/admin",
        "http://user-service:8000@evil/api/users",
        "http://anna:pw@user-service:8000/api/users",
        "http://user-service:8000\\@evil/api/users",
        "http:/user-service:8000/api",
        "ftp://user-service:8000/api/users",
        "file:///etc/passwd",
    ],
)
def test_a_path_that_leaves_the_base_is_refused(url):
    with pytest.raises(InvalidURLError):
        join(BASE, url)


@pytest.mark.parametrize(
    "url",
    [
        "/users",
        "users",
        "//host/x",
        "ftp://host/x",
        "http://",
        "http:///x",
        "http://anna@host/",
        "http://ho st/",
        "http://host%2eevil/",
        "http://host:port/",
        "http://host:99999/",
        "http://[::1/",
        "http://host\\x/",
        "http://host/\r\n",
        " http://host/",
    ],
)
def test_without_a_base_only_an_absolute_http_url_is_accepted(url):
    with pytest.raises(InvalidURLError):
        join(None, url)


@pytest.mark.parametrize(
    "url", ["user-service:8000", "http://h/?a=1", "http://h/#a", "http://a:b@h/", "http://h/a/../b"]
)
def test_a_base_url_with_a_query_userinfo_or_parent_path_is_refused(url):
    with pytest.raises(InvalidURLError):
        check_base(url)


@pytest.mark.parametrize("url", [None, 42, b"/users"])
def test_a_url_that_is_not_a_string_is_a_type_error(url):
    with pytest.raises(TypeError, match="url"):
        join(BASE, url)


def test_origins_are_compared_in_normal_form():
    assert origin_of("http://User.:80/x") == origin_of("http://user/y")
    assert str(origin_of("https://[::1]:8443/")) == "https://[::1]:8443"
    assert str(origin_of("https://api:443/")) == "https://api"


@pytest.mark.parametrize(
    "host",
    [
        "user-service",
        "user_service",
        "localhost",
        "localhost.",
        "db.local",
        "api.internal",
        "user.default.svc",
        "user.default.svc.cluster.local",
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
    ],
)
def test_a_private_host_is_internal(host):
    assert is_internal(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "evil.svc.example.org",
        "local.evil.org",
        "8.8.8.8",
        "172.32.0.1",
        "169.254.169.254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "2001:db8::1",
        "3627734734",
        "0xd83ad6ce",
        "0xd8.0x3a.0xd6.0xce",
        "0330.072.0326.0316",
        "evil。com",
        "0.0.0.0",
        "",
    ],
)
def test_a_public_host_is_not_internal(host):
    assert not is_internal(host)
