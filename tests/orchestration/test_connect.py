"""`pixelnova connect check`, run as a user runs it, against the stand-in of Shopify and a real collector."""

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
def stand_in() -> AdminApi:
    """A store whose app is installed with every scope."""
    api = AdminApi(AdminStore(DOMAIN), "static", grant=TokenGrant(CLIENT_ID, CLIENT_SECRET))
    api.scopes = set(SCOPES)
    return api


@pytest.fixture
def command(pixelnova, stand_in, tmp_path):
    """Runs the command; the exit code, and what it printed."""
    shops = tmp_path / "shops.toml"
    shops.write_text(SHOPS)

    def run(*arguments, shop=DOMAIN, **environment):
        with running_admin_api(stand_in) as url:
            env = {"PIXELNOVA_SHOPS": str(shops), "PIXELNOVA_SHOPIFY_URL": url, "COLUMNS": "500"} | environment
            done = pixelnova("connect", "check", shop, *arguments, data=tmp_path / "data", check=False, env=env)
        assert "Traceback" not in done.stderr
        assert CLIENT_SECRET not in done.stdout + done.stderr
        assert not any(token in done.stdout + done.stderr for token in stand_in.grant.granted)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def check(stand_in, tmp_path):
    """What the command prints, without a process of its own: the findings that failed, and all of them as text."""
    shops = tmp_path / "shops.toml"
    shops.write_text(SHOPS)

    def run(collector_url=None, **environment):
        with running_admin_api(stand_in) as url:
            env = {"PIXELNOVA_SHOPIFY_URL": url} | environment
            findings = list(check_connection(load_shops(shops), DOMAIN, collector_url, env))
        said = [f"{one.verdict} {one.part}: {one.found} | {one.remedy}" for one in findings]
        assert all(one.remedy or one.part == "shops.toml" for one in findings if one.verdict == "failed")
        return [one.part for one in findings if one.verdict == "failed"], "\n".join(said)

    return run


@contextmanager
def collecting(monkeypatch, folder, **environment):
    """A real collector of the shop; its URL."""
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


def test_a_connected_store_passes_and_nothing_is_stored(command, stand_in, monkeypatch, tmp_path):
    with collecting(monkeypatch, tmp_path, **GRANTED) as url:
        stand_in.web_pixel = pixel_of(url)
        code, said = command("--collector-url", url, **GRANTED)
    assert code == 0, said
    assert "✗" not in said
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
        assert line in said
    landing = tmp_path / "data" / "landing"
    assert sealed_files(landing) == open_files(landing) == []
    assert not list(landing.glob("webhooks/*/*"))


def test_a_part_that_fails_is_exit_code_1_with_the_remedy_below_it(command, stand_in):
    stand_in.grant.is_installed = False
    code, said = command(**GRANTED)
    assert code == 1
    assert f"✗ token The app is not installed on {DOMAIN} (app_not_installed)\n    install it from the Dev" in said
    assert f"pixelnova: {DOMAIN} is not connected: 1 failed" in said


def test_a_store_that_is_not_in_shops_toml_is_said(command):
    code, said = command(shop="lamp.myshopify.com")
    assert code == 1
    assert f"✗ shops.toml lamp.myshopify.com is not in shops.toml (it has: {DOMAIN})" in said


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
def test_the_part_that_fails_is_named(check, stand_in, trouble, environment, part, complaint):
    for name, value in trouble.items():
        target, _, attribute = name.rpartition(".")
        setattr(getattr(stand_in, target) if target else stand_in, attribute, value)
    failed, said = check(**environment)
    assert failed == [part]
    assert complaint in said


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
        ({}, "give --collector-url"),
    ],
)
def test_what_cannot_be_asked_is_said_and_fails_nothing(check, stand_in, trouble, hint):
    for name, value in trouble.items():
        setattr(stand_in, name, value)
    failed, said = check(**GRANTED)
    assert (failed, hint in said) == ([], True), said


def test_a_token_of_the_environment_is_checked_as_well(check):
    failed, said = check(PIXELNOVA_SHOPIFY_TOKEN_LAMP_SHOP="static")
    assert (failed, "ok token: PIXELNOVA_SHOPIFY_TOKEN_LAMP_SHOP is accepted" in said) == ([], True)


def test_a_collector_with_another_key_or_another_secret_is_found(check, monkeypatch, tmp_path):
    other = tmp_path / "collector"  # it reads its own shops.toml again when that changes
    other.mkdir()
    (other / "shops.toml").write_text(SHOPS)
    with collecting(monkeypatch, other, PIXELNOVA_SHOPIFY_SECRETS="of-another-app") as url:
        (tmp_path / "shops.toml").write_text(SHOPS.replace(KEY, "key-of-tomorrow"))
        failed, said = check(url, **GRANTED)
    assert failed == ["ingest key", "webhook secret"]
    assert "key-of-tomorrow is unknown to the collector" in said
    assert "refuses webhooks signed with the app's secret (HTTP 401)" in said


def test_a_collector_that_does_not_answer_is_found(check):
    failed, said = check("http://127.0.0.1:1", **GRANTED)
    assert failed == ["collector"]
    assert "http://127.0.0.1:1 does not answer" in said
