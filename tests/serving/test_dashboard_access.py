"""Who sees which shops: only people in the access file, identified only by the proxy or the login that it names."""

import pytest

from serving.dashboard.access import AccessFileError, LoopbackOnly, load_access, refuse_open_address

HEADER = """
login = "header"
header = "X-Forwarded-Email"
proxies = ["127.0.0.1", "10.0.0.0/8"]
[users]
"Anna@example.com" = ["A.myshopify.com"]
"owner@example.com" = "all"
"""


@pytest.fixture
def access(tmp_path):
    def access(text):
        (tmp_path / "access.toml").write_text(text)
        return load_access(tmp_path / "access.toml")

    return access


def test_persons_see_their_shops_only(access):
    given = access(HEADER)
    assert given.shops_of("anna@EXAMPLE.com ") == frozenset({"a.myshopify.com"})
    assert given.shops_of("owner@example.com") is None
    assert given.shops_of("stranger@example.com") == given.shops_of(None) == frozenset()


def test_only_the_proxy_may_set_the_identity(access):
    given = access(HEADER)
    headers = {"x-forwarded-email": "owner@example.com"}
    assert given.identity_from(headers, "10.1.2.3") == "owner@example.com"
    assert given.identity_from(headers, "203.0.113.7") is None
    assert given.identity_from(headers, None) is None
    assert given.identity_from({}, "127.0.0.1") is None


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('login = "header"\n[users]\na = "all"\n', "name the header"),
        ('login = "header"\nheader = "X"\n[users]\na = "all"\n', "name the addresses"),
        ('login = "header"\nheader = "X"\nproxies = ["here"]\n[users]\na = "all"\n', "addresses or networks"),
        ('login = "password"\n[users]\na = "all"\n', "oidc"),
        ('login = "oidc"\n', "no users"),
        ('login = "oidc"\n[users]\na = "some"\n', "list of domains"),
        ('login = "oidc"\nuser = 1\n[users]\na = "all"\n', "unknown"),
        ("login =", "correct it"),
    ],
)
def test_mistakes_name_the_remedy(access, text, remedy):
    with pytest.raises(AccessFileError, match=remedy):
        access(text)


def test_without_an_access_file_only_loopback_is_served(access):
    for address in ("127.0.0.1", "localhost", "::1"):
        refuse_open_address(address, None)
    for address in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(LoopbackOnly, match="PIXELNOVA_DASHBOARD_ACCESS"):
            refuse_open_address(address, None)
    refuse_open_address("0.0.0.0", access(HEADER))
