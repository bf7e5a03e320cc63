"""`pixelnova connect check`, run as a user runs it, against a simulated Admin API and a real collector."""

import json
from contextlib import contextmanager

import pytest

from ingestion.connection import check_connection
from ingestion.landing import open_files, sealed_files
from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.token_grant import TokenGrant
from orchestration.processes import running_collector

DOMAIN, KEY = "lamp-shop.myshopify.com", "key-of-the-lamp-shop"
CLIENT_ID, CLIENT_SECRET = "0a1b2c3d", "shpss_of_the_lamp_shop"
SHOPS = f"""[[shops]]
domain = "{DOMAIN}"
name = "Lamp shop"
timezone = "Europe/Berlin"
currency = "EUR"
ingest_keys = ["{KEY}"]
orders = true
"""
GRANTED = {
    "PIXELNOVA_SHOPIFY_CLIENT_ID_LAMP_SHOP": CLIENT_ID,
    "PIXELNOVA_SHOPIFY_CLIENT_SECRET_LAMP_SHOP": CLIENT_SECRET,
}
SCOPES = {"read_products", "read_orders", "read_all_orders", "read_pixels"}


@pytest.fixture
def admin_api() -> AdminApi:
    """A store whose app is installed with every scope."""
    api = AdminApi(AdminStore(DOMAIN), "static", grant=TokenGrant(CLIENT_ID, CLIENT_SECRET))
    api.scopes = set(SCOPES)
    return api


@pytest.fixture
def command(pixelnova, admin_api, tmp_path):
    """Runs the command; returns its exit code and its output."""
    shops = tmp_path / "shops.toml"
    shops.write_text(SHOPS)

    def run(*arguments, shop=DOMAIN, **environment):
        with running_admin_api(admin_api) as url:
            env = {"PIXELNOVA_SHOPS": str(shops), "PIXELNOVA_SHOPIFY_URL": url, "COLUMNS": "500"} | environment
            done = pixelnova("connect", "check", shop, *arguments, data=tmp_path / "data", check=False, env=env)
        assert "Traceback" not in done.stderr
        assert CLIENT_SECRET not in done.stdout + done.stderr
        assert not any(token in done.stdout + done.stderr for token in admin_api.grant.granted)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def check(admin_api, tmp_path):
    """Runs the check in process; returns the parts that failed, and all findings as text."""
    shops = tmp_path / "shops.toml"
    shops.write_text(SHOPS)

    def run(collector_url=None, **environment):
        with running_admin_api(admin_api) as url:
            env = {"PIXELNOVA_SHOPIFY_URL": url} | environment
            findings = list(check_connection(load_shops(shops), DOMAIN, collector_url, env))
        lines = [f"{finding.verdict} {finding.part}: {finding.found} | {finding.remedy}" for finding in findings]
        failed = [finding for finding in findings if finding.verdict == "failed"]
        assert all(finding.remedy or finding.part == "shops.toml" for finding in failed)
        return [finding.part for finding in failed], "\n".join(lines)

    return run


@contextmanager
def collecting(monkeypatch, folder, **environment):
    """Run a real collector for the shop; yields its URL."""
    for name, value in {
        "PIXELNOVA_DATA": folder / "data",
        "PIXELNOVA_SHOPS": folder / "shops.toml",
        **environment,
    }.items():
        monkeypatch.setenv(name, str(value))
    with running_collector() as url:
        yield url


def pixel_of(url: str, key: str = KEY) -> dict:
    return {"id": "gid://shopify/WebPixel/1", "settings": json.dumps({"collectorUrl": url, "ingestKey": key})}


def test_connected_store_passes_and_stores_nothing(command, admin_api, monkeypatch, tmp_path):
    with collecting(monkeypatch, tmp_path, **GRANTED) as url:
        admin_api.web_pixel = pixel_of(url)
        code, output = command("--collector-url", url, **GRANTED)
    assert code == 0, output
    assert "✗" not in output
    for line in (
        "✓ shops.toml",
        "✓ token granted for the client credentials, valid for 24.0 hours",
        "✓ API version 2026-10 is served",
        "✓ scopes read_products, read_orders",
        "✓ pixel the app pixel sends to",
        f"✓ ingest key {KEY} is accepted",
        "✓ webhook secret the collector accepts",
        "? collector",  # without https
    ):
        assert line in output
    landing = tmp_path / "data" / "landing"
    assert sealed_files(landing) == open_files(landing) == []
    assert not list(landing.glob("webhooks/*/*"))


def test_failed_part_exits_with_1_and_prints_its_remedy(command, admin_api):
    admin_api.grant.is_installed = False
    code, output = command(**GRANTED)
    assert code == 1
    assert f"✗ token The app is not installed on {DOMAIN} (app_not_installed)\n    install it from the Dev" in output
    assert f"pixelnova: {DOMAIN} is not connected: 1 check failed" in output


def test_store_missing_in_shops_toml_is_reported(command):
    code, output = command(shop="lamp.myshopify.com")
    assert code == 1
    assert f"✗ shops.toml lamp.myshopify.com is not in shops.toml (it has: {DOMAIN})" in output


@pytest.mark.parametrize(
    ("trouble", "environment", "part", "complaint"),
    [
        ({}, {}, "token", "set PIXELNOVA_SHOPIFY_CLIENT_ID_LAMP_SHOP and PIXELNOVA_SHOPIFY_CLIENT_SECRET_LAMP_SHOP"),
        ({}, {"PIXELNOVA_SHOPIFY_TOKEN_LAMP_SHOP": "wrong"}, "token", "refuses the token (HTTP 401) | put a valid one"),
        ({}, GRANTED | {"PIXELNOVA_SHOPIFY_CLIENT_ID_LAMP_SHOP": "?"}, "token", "copy both from the Dev Dashboard"),
        ({"grant.is_permitted": False}, GRANTED, "token", "must belong to one organization"),
        ({"scopes": {"read_products"}}, GRANTED, "scopes", "missing: read_orders | add the scope in the Dev Dashboard"),
        ({"supported_versions": ["2027-04", "2027-07"]}, GRANTED, "API version", "no longer supports 2026-10"),
        ({"served_version": "2027-04"}, GRANTED, "token", "serves API version 2027-04"),
        ({"web_pixel": pixel_of("https://a.example", "another-key")}, GRANTED, "pixel", "ingest key 'another-key'"),
        ({"web_pixel": {"id": "1", "settings": "not JSON"}}, GRANTED, "pixel", "ingest key None"),
    ],
)
def test_failed_part_is_named(check, admin_api, trouble, environment, part, complaint):
    for name, value in trouble.items():
        target, _, attribute = name.rpartition(".")
        setattr(getattr(admin_api, target) if target else admin_api, attribute, value)
    failed, output = check(**environment)
    assert failed == [part]
    assert complaint in output


@pytest.mark.parametrize(
    ("trouble", "hint"),
    [
        ({}, "unknown pixel: the app has no pixel in this store"),
        (
            {"scopes": SCOPES - {"read_pixels"}},
            "a custom pixel cannot be checked from here: paste the output of `pixelnova pixel --shop",
        ),
        ({"scopes": SCOPES - {"read_all_orders"}}, "only the last 60 days of orders"),
        ({"scopes": SCOPES - {"read_products"} | {"write_products"}}, "not used by Pixelnova: write_products"),
        (
            {"webhooks": [{"id": "1", "topic": "ORDERS_CREATE", "uri": "https://a.example"}]},
            "of this store: orders_create",
        ),
        ({}, "compliance_topics = ['customers/data_request', 'customers/redact', 'shop/redact']"),
        ({}, "pass --collector-url"),
    ],
)
def test_parts_that_cannot_be_checked_do_not_fail(check, admin_api, trouble, hint):
    for name, value in trouble.items():
        setattr(admin_api, name, value)
    failed, output = check(**GRANTED)
    assert (failed, hint in output) == ([], True), output


def test_static_token_is_checked(check):
    failed, output = check(PIXELNOVA_SHOPIFY_TOKEN_LAMP_SHOP="static")
    assert (failed, "ok token: PIXELNOVA_SHOPIFY_TOKEN_LAMP_SHOP is accepted" in output) == ([], True)


def test_collector_with_another_key_or_secret_is_reported(check, monkeypatch, tmp_path):
    other = tmp_path / "collector"  # a separate folder: a collector reloads shops.toml when that changes
    other.mkdir()
    (other / "shops.toml").write_text(SHOPS)
    with collecting(monkeypatch, other, PIXELNOVA_SHOPIFY_SECRETS="of-another-app") as url:
        (tmp_path / "shops.toml").write_text(SHOPS.replace(KEY, "key-of-tomorrow"))
        failed, output = check(url, **GRANTED)
    assert failed == ["ingest key", "webhook secret"]
    assert "key-of-tomorrow is unknown to the collector" in output
    assert "refuses webhooks signed with the app's secret (HTTP 401)" in output


def test_unreachable_collector_is_reported(check):
    failed, output = check("http://127.0.0.1:1", **GRANTED)
    assert failed == ["collector"]
    assert "http://127.0.0.1:1 does not answer" in output
