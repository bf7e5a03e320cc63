"""Users who log in by OIDC see only their own shop: through a provider's login, and by Streamlit's signed cookie."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from itsdangerous import URLSafeTimedSerializer

from tests.child_process import free_port
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
server_metadata_url = "{{provider}}/.well-known/openid-configuration"
"""
ACCESS = f"""
login = "oidc"
[users]
"Anna@example.com" = ["{TWO_YEARS}"]
"bob@example.com" = ["{MIXED}"]
"""


@contextmanager
def dashboard_with_login(data: Path, home: Path, provider: str, port: int = 0) -> Iterator[str]:
    (home / "access.toml").write_text(ACCESS)
    (home / ".streamlit").mkdir()
    (home / ".streamlit" / "secrets.toml").write_text(SECRETS.format(port=port, provider=provider))
    environment = {"HOME": str(home), "PIXELNOVA_DASHBOARD_ACCESS": str(home / "access.toml")}
    with dashboard(data, port, **environment) as address:
        yield address


@pytest.fixture
def provider() -> Iterator[str]:
    """The address of an OpenID provider that knows two persons, one without a verified address."""
    users = [
        {"sub": "anna", "email": "anna@example.com", "email_verified": True},
        {"sub": "bob", "email": "bob@example.com", "email_verified": False},
    ]
    port = free_port()
    claims = [part for user in users for part in ("--user-claims", json.dumps(user))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *claims]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while "Started" not in (line := process.stdout.readline()):
            assert line, "The provider did not start."
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def address(published_stores, tmp_path) -> Iterator[str]:
    with dashboard_with_login(published_stores, tmp_path, provider="http://127.0.0.1:9") as address:
        yield address


@pytest.fixture
def open_as(chromium, address) -> Callable[..., str]:
    """Opens the overview in the browser with this identity; returns its text once the awaited text is shown."""

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


def test_only_users_with_a_verified_address_see_a_shop_and_only_their_own(open_as):
    anna, bob = ({"email": f"{name}@example.com", "email_verified": True} for name in ("anna", "bob"))
    for shop in (TWO_YEARS, MIXED):
        assert "€" not in open_as(anna, "¥349,650", shop)
        assert "¥349,650" not in open_as(bob, "€500.00", shop)
    for claims in ({"email": "eve@example.com", "email_verified": True}, {"email": "anna@example.com"}, {}):
        assert "¥" not in open_as(claims, "You have no access to any shop", TWO_YEARS)
    login = re.compile("Log in|The login needs Authlib")
    assert "¥" not in open_as(None, login, TWO_YEARS)
    assert "¥" not in open_as(anna, login, TWO_YEARS, secret="another secret of forty characters or so")


def test_login_through_a_provider_shows_the_shop_of_that_person_until_logout(
    chromium, published_stores, tmp_path, provider
):
    with dashboard_with_login(published_stores, tmp_path, provider, free_port()) as address:
        for person, shown in (("anna", "¥349,650"), ("bob", "You have no access to any shop")):
            context = chromium.new_context()
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("button", name=person, exact=True).click()
            page.get_by_role("button", name="Log out").wait_for()
            page.goto(f"{address}/?period=all")  # Streamlit returns to the start, without the query
            page.get_by_text(shown).first.wait_for()
            assert "€" not in page.locator("body").inner_text()
            page.get_by_role("button", name="Log out").click()
            page.wait_for_url(f"{provider}/oauth2/end_session?**")
            page.goto(address)
            page.get_by_role("button", name="Log in").wait_for()
            assert "¥" not in page.locator("body").inner_text()
            context.close()
