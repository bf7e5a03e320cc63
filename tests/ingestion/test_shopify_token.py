"""Tokens of Dev Dashboard apps: granted over HTTP by the simulator, renewed in time and after a 401, never shown."""

import logging
from contextlib import contextmanager

import pytest

from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.token_grant import TokenGrant
from ingestion.sources import shopify_token
from ingestion.sources.shopify_api import admin_apis
from ingestion.sources.shopify_errors import ShopifyError
from ingestion.sources.shopify_queries import ACCESS, PRODUCTS
from ingestion.sources.shopify_token import client_id_variable, client_secret_variable, token_variable

CLIENT_ID, CLIENT_SECRET = "5f1e0b7a", "shpss_0a1b2c3d4e5f"


@contextmanager
def granting(shop, token_seconds=86_399.0, **environment):
    """The simulator, and the shop's API with its client credentials."""
    grant = TokenGrant(CLIENT_ID, CLIENT_SECRET, token_seconds)
    simulator = AdminApi(AdminStore(shop.domain, build_catalogue(1)), "static", Bucket(maximum=1e6), grant)
    with running_admin_api(simulator) as url:
        credentials = {
            client_id_variable(shop.domain): CLIENT_ID,
            client_secret_variable(shop.domain): CLIENT_SECRET,
            "PIXELNOVA_SHOPIFY_URL": url,
        }
        [api] = admin_apis([shop], credentials | environment)
        yield grant, api


def test_one_granted_token_serves_many_requests(shop):
    with granting(shop) as (grant, api):
        assert grant.granted == []
        found = [node for page in api.pages("products", PRODUCTS) for node in page]
        api.ask(ACCESS)
    assert len(found) == len(build_catalogue(1).products)
    assert len(grant.granted) == 1


def test_a_token_is_renewed_before_it_expires(shop, monkeypatch):
    with granting(shop) as (grant, api):
        api.ask(ACCESS)
        now = shopify_token.time.monotonic()
        monkeypatch.setattr(shopify_token.time, "monotonic", lambda: now + 86_399 - 700)
        api.ask(ACCESS)
        assert len(grant.granted) == 1
        monkeypatch.setattr(shopify_token.time, "monotonic", lambda: now + 86_399 - 500)
        api.ask(ACCESS)
    assert len(grant.granted) == 2


def test_a_revoked_token_is_renewed_between_pages(shop):
    with granting(shop) as (grant, api):
        pages = api.pages("products", PRODUCTS)
        first = next(pages)
        grant.revoke()
        rest = [node for page in pages for node in page]
    assert len(first) + len(rest) == len(build_catalogue(1).products)
    assert len(grant.granted) == 2


def test_a_second_refusal_fails_with_one_sentence(shop):
    with granting(shop) as (grant, api):
        grant.is_valid = lambda token: False
        with pytest.raises(ShopifyError, match=r"refuses the token \(HTTP 401\): check in the Dev Dashboard"):
            api.ask(ACCESS)
    assert len(grant.granted) == 2


def test_renewal_reports_an_uninstalled_app(shop):
    with granting(shop) as (grant, api):
        api.ask(ACCESS)
        grant.revoke()
        grant.is_installed = False
        with pytest.raises(ShopifyError, match=f"The app is not installed on {shop.domain}"):
            api.ask(ACCESS)


@pytest.mark.parametrize(
    ("environment", "settings", "complaint"),
    [
        ({"SECRET": "shpss_wrong"}, {}, r"does not accept the client id and secret .* \(invalid_client\)"),
        ({"ID": "unknown"}, {}, r"\(application_cannot_be_found\): copy both from the Dev Dashboard"),
        ({"SECRET": ""}, {}, "are incomplete: set PIXELNOVA_SHOPIFY_CLIENT_SECRET_PIXELNOVA_DEMO too"),
        ({"ID": ""}, {}, "are incomplete: set PIXELNOVA_SHOPIFY_CLIENT_ID_PIXELNOVA_DEMO too"),
        ({}, {"is_installed": False}, r"\(app_not_installed\): install it"),
        ({}, {"is_permitted": False}, r"\(shop_not_permitted\): the app and the store must belong to one organization"),
        ({}, {"answer": lambda *_: (404, {"errors": "Not Found"})}, "There is no store"),
        ({}, {"answer": lambda *_: (200, {"token": "other"})}, "lacks the token or its lifetime"),
        ({}, {"answer": lambda *_: (400, b"<h1>Oauth error app_not_installed: The app</h1>")}, "is not installed"),
        ({}, {"answer": lambda *_: (403, {"error": "brand_new"})}, r"\(brand_new, HTTP 403\): check the app"),
    ],
)
def test_a_refused_grant_names_cause_and_remedy(shop, environment, settings, complaint):
    variables = {"ID": client_id_variable(shop.domain), "SECRET": client_secret_variable(shop.domain)}
    with granting(shop, **{variables[name]: value for name, value in environment.items()}) as (grant, api):
        vars(grant).update(settings)
        with pytest.raises(ShopifyError, match=complaint) as raised:
            api.ask(ACCESS)
    assert CLIENT_SECRET not in str(raised.value)


def test_server_errors_of_the_grant_are_retried(shop, monkeypatch):
    monkeypatch.setattr(shopify_token.time, "sleep", lambda seconds: None)
    with granting(shop) as (grant, api):
        grant.server_errors = 3
        assert api.ask(ACCESS)
        grant.server_errors = 99
        grant.revoke()
        with pytest.raises(ShopifyError, match="answers HTTP 502: check the network and run again"):
            api.ask(ACCESS)


def test_static_tokens_take_precedence_and_stores_without_variables_have_no_api(shop):
    assert admin_apis([shop], {}) == []
    with granting(shop, **{token_variable(shop.domain): "static"}) as (grant, api):
        api.ask(ACCESS)
        assert grant.granted == []


def test_neither_secret_nor_token_is_printed_or_logged(shop, caplog):
    caplog.set_level(logging.DEBUG)
    with granting(shop) as (grant, api):
        api.ask(ACCESS)
        grant.revoke()
        api.ask(ACCESS)
        shown = repr(api) + repr(api.token) + caplog.text
    assert len(grant.granted) == 2
    assert not [secret for secret in (CLIENT_SECRET, *grant.granted) if secret in shown]
