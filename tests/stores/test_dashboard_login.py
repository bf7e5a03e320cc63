"""Who has logged in by OIDC sees their own shop: by the identity that Streamlit keeps, signed, in the browser.

The exchange with a provider is Streamlit's and Authlib's own, and not part of these tests.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from itsdangerous import URLSafeTimedSerializer

from tests.dashboard_process import IDLE, dashboard
from tests.stores.test_dashboard import MIXED, TWO_YEARS

COOKIE = "_streamlit_user"
SECRET = "a secret of forty characters for the test"
SECRETS = f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "pixelnova"
client_secret = "of the provider"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
"""
ACCESS = f"""
login = "oidc"
[users]
"Anna@example.com" = ["{TWO_YEARS}"]
"bob@example.com" = ["{MIXED}"]
"""


@pytest.fixture
def address(published_stores, tmp_path) -> Iterator[str]:
    (tmp_path / "access.toml").write_text(ACCESS)
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text(SECRETS)
    environment = {"HOME": str(tmp_path), "PIXELNOVA_DASHBOARD_ACCESS": str(tmp_path / "access.toml")}
    with dashboard(published_stores, **environment) as address:
        yield address


@pytest.fixture
def open_as(chromium, address) -> Callable[..., str]:
    """Opens the overview with this identity in the browser; returns its text once it has the awaited one."""

    def open_as(claims: dict | None, awaited: str | re.Pattern, shop: str = "", secret: str = SECRET) -> str:
        context = chromium.new_context()
        if claims is not None:
            identity = json.dumps({"origin": address, "is_logged_in": True, "provider": "default", **claims})
            value = URLSafeTimedSerializer(secret, salt=COOKIE).dumps(identity)
            context.add_cookies([{"name": COOKIE, "value": value, "url": address}])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{address}/?period=all&shop={shop}")
        page.get_by_text(awaited).first.wait_for()
        page.wait_for_function(IDLE)
        text = page.locator("body").inner_text()
        context.close()
        return text

    return open_as


def test_only_who_has_logged_in_with_a_verified_address_sees_a_shop_and_it_is_their_own(open_as):
    anna, bob = ({"email": f"{name}@example.com", "email_verified": True} for name in ("anna", "bob"))
    for shop in (TWO_YEARS, MIXED):
        assert "€" not in open_as(anna, "¥349,650", shop)
        assert "¥349,650" not in open_as(bob, "€500.00", shop)
    for claims in ({"email": "eve@example.com", "email_verified": True}, {"email": "anna@example.com"}, {}):
        assert "¥" not in open_as(claims, "No shop is visible", TWO_YEARS)
    login = re.compile("Log in|The login needs Authlib")
    assert "¥" not in open_as(None, login, TWO_YEARS)
    assert "¥" not in open_as(anna, login, TWO_YEARS, secret="another secret of forty characters or so")
