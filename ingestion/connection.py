"""Checks that a store is connected: shops.toml, token, API version, scopes, webhooks, pixel, collector.

Reads shops.toml and the environment and queries Shopify and the collector; changes nothing on either side. Returns one
finding per part with its remedy, never a secret or token.
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import httpx

from ingestion.collector.server import webhook_secrets
from ingestion.shops import Shop, ShopsFileError, find_shop
from ingestion.sources.shopify_api import AdminApi, admin_apis
from ingestion.sources.shopify_errors import ShopifyError
from ingestion.sources.shopify_queries import ACCESS, API_VERSION, WEB_PIXEL, WEBHOOKS
from ingestion.sources.shopify_token import (
    ClientCredentials,
    client_id_variable,
    client_secret_variable,
    token_variable,
)

EVENTS_PATH = "/v1/events/"
WEBHOOKS_PATH = "/v1/webhooks/shopify"
PRIVACY_TOPICS = ("customers/data_request", "customers/redact", "shop/redact")
TIMEOUT_SECONDS = 15.0
DEV_DASHBOARD = "in the Dev Dashboard (the app, Versions), release, and accept the change in the store"


@dataclass(frozen=True)
class Finding:
    """The result for one part. verdict: `failed` fails the whole check; `unknown` cannot be checked from here."""

    verdict: Literal["ok", "failed", "unknown"]
    part: str
    found: str
    remedy: str = ""


def check_connection(
    shops: Sequence[Shop], domain: str, collector_url: str | None, environment: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Check one store, part by part; a failed part skips only the parts that depend on it.

    Args:
        domain: of the store, such as my-store.myshopify.com.
        collector_url: where browsers reach the collector; None skips the collector checks.
    """
    try:
        shop = find_shop(list(shops), domain)
    except ShopsFileError as error:
        yield Finding("failed", "shops.toml", f"{error}")
        return
    yield Finding("ok", "shops.toml", f"{shop.name}: {shop.timezone}, {shop.currency}")
    yield from _admin_api(shop, collector_url, environment)
    yield from _collector(shop, collector_url, environment)


def _admin_api(shop: Shop, collector_url: str | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    apis = admin_apis([shop], environment)
    if not apis:
        remedy = (
            f"set {client_id_variable(shop.domain)} and {client_secret_variable(shop.domain)} (Dev Dashboard, the app, "
            f"Settings), or {token_variable(shop.domain)} of an app created in the store's admin"
        )
        if shop.catalogue:
            yield Finding("unknown", "token", f"none; products come from {shop.catalogue}", remedy)
        else:
            yield Finding("failed", "token", "none; products are known from events only", remedy)
        return
    [api] = apis
    try:
        api.token.value()
        access = api.ask(ACCESS)
    except ShopifyError as error:
        found, _, remedy = str(error).partition(": ")
        yield Finding("failed", "token", found, remedy or "see docs/operations.md, When something is wrong")
        return
    yield Finding("ok", "token", _token_state(api, shop, environment))
    yield from _version(access["publicApiVersions"])
    scopes = {scope["handle"] for scope in access["currentAppInstallation"]["accessScopes"]}
    yield from _scopes(shop, scopes)
    yield from _webhooks(api, collector_url)
    yield _pixel(api, shop, scopes, collector_url)


def _token_state(api: AdminApi, shop: Shop, environment: Mapping[str, str]) -> str:
    if isinstance(api.token, ClientCredentials):
        return f"granted for the client credentials, valid for {api.token.seconds_left() / 3600:.1f} hours"
    unused = " (the client credentials are not used)" if environment.get(client_id_variable(shop.domain)) else ""
    return f"{token_variable(shop.domain)} is accepted{unused}"


def _version(versions: Sequence[dict]) -> Iterator[Finding]:
    supported = sorted(version["handle"] for version in versions if version["supported"])
    if API_VERSION in supported:
        yield Finding("ok", "API version", f"{API_VERSION} is served; Shopify supports {', '.join(supported)}")
    else:
        yield Finding(
            "failed",
            "API version",
            f"Shopify no longer supports {API_VERSION}; it supports {', '.join(supported)}",
            "update Pixelnova",
        )


def _scopes(shop: Shop, scopes: set[str]) -> Iterator[Finding]:
    # A write scope includes the read scope.
    granted = scopes | {f"read_{scope.removeprefix('write_')}" for scope in scopes if scope.startswith("write_")}
    needed = ["read_products", *(["read_orders"] if shop.orders else [])]
    missing = [scope for scope in needed if scope not in granted]
    if missing:
        yield Finding("failed", "scopes", f"missing: {', '.join(missing)}", f"add the scope {DEV_DASHBOARD}")
    else:
        yield Finding("ok", "scopes", f"{', '.join(needed)}")
    if shop.orders and "read_all_orders" not in granted:
        yield Finding(
            "unknown",
            "scopes",
            "without read_all_orders, Shopify returns only the last 60 days of orders",
            "ask Shopify for it in the Dev Dashboard (the app, API access requests), if you need older orders",
        )
    useful = {*needed, "read_orders", "read_all_orders", "read_pixels", "write_pixels", "read_customer_events"}
    more = sorted(scopes - useful)
    if more:
        yield Finding("unknown", "scopes", f"not used by Pixelnova: {', '.join(more)}", f"remove them {DEV_DASHBOARD}")


def _webhooks(api: AdminApi, collector_url: str | None) -> Iterator[Finding]:
    try:
        nodes = api.ask(WEBHOOKS)["webhookSubscriptions"]["nodes"]
    except ShopifyError as error:
        yield Finding("unknown", "webhooks", str(error))
        return
    here = f"{collector_url.rstrip('/')}{WEBHOOKS_PATH}" if collector_url else f"https://…{WEBHOOKS_PATH}"
    elsewhere = sorted({node["uri"] for node in nodes if collector_url and node["uri"] != here})
    topics = ", ".join(sorted(node["topic"].lower() for node in nodes)) or "none"
    if elsewhere:
        yield Finding(
            "unknown",
            "webhooks",
            f"of this store: {topics}; some are sent elsewhere: {', '.join(elsewhere)}",
            f"point those meant for Pixelnova to {here}",
        )
    else:
        yield Finding("ok", "webhooks", f"of this store: {topics}")
    yield Finding(
        "unknown",
        "webhooks",
        f"the API does not list the app's own webhooks, such as the mandatory {', '.join(PRIVACY_TOPICS)}",
        f"in shopify.app.toml, [[webhooks.subscriptions]]: compliance_topics = {list(PRIVACY_TOPICS)}, uri = {here!r}",
    )


def _pixel(api: AdminApi, shop: Shop, scopes: set[str], collector_url: str | None) -> Finding:
    paste = (
        f"a custom pixel cannot be checked from here: paste the output of `pixelnova pixel --shop {shop.domain} "
        f"--collector-url {collector_url or 'https://…'}` (Shopify's admin, Settings, Customer events), connect it, "
        "and look for the shop's events after the next refresh"
    )
    if not scopes & {"read_pixels", "write_pixels"}:
        return Finding("unknown", "pixel", "the app may not read its pixel (no scope read_pixels)", paste)
    try:
        pixel = api.ask(WEB_PIXEL)["webPixel"]
    except ShopifyError as error:
        if "no web pixel" not in str(error).lower():
            return Finding("unknown", "pixel", str(error), paste)
        pixel = None
    if pixel is None:
        return Finding("unknown", "pixel", "the app has no pixel in this store", paste)
    settings = _settings(pixel["settings"])
    key, url = settings.get("ingestKey"), str(settings.get("collectorUrl", "")).rstrip("/")
    remedy = "set collectorUrl and ingestKey with webPixelUpdate (docs/operations.md)"
    if key not in shop.ingest_keys:
        return Finding("failed", "pixel", f"the app pixel's ingest key {key!r} is not in shops.toml", remedy)
    if collector_url and url != collector_url.rstrip("/"):
        return Finding("failed", "pixel", f"the app pixel sends to {url or 'nowhere'}, not to {collector_url}", remedy)
    return Finding("ok", "pixel", f"the app pixel sends to {url} with an ingest key of the store")


def _settings(text: object) -> dict:
    try:
        settings = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _collector(shop: Shop, url: str | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    if url is None:
        yield Finding("unknown", "collector", "not checked", "pass --collector-url, the address that browsers use")
        return
    start = "start `pixelnova collect` and let the TLS proxy forward this address to it"
    with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        try:
            ready = client.get("/readyz")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            yield Finding("failed", "collector", f"{url} does not answer ({type(error).__name__})", start)
            return
        if ready.status_code != 200:
            yield Finding(
                "failed",
                "collector",
                f"{url}/readyz answers HTTP {ready.status_code}: {ready.text[:200].strip()}",
                start,
            )
            return
        try:
            yield _is_secure(url)
            for key in shop.ingest_keys:
                yield _ingest_key(client, key)
            yield _webhook_secret(client, shop, environment)
        except httpx.HTTPError as error:
            yield Finding("failed", "collector", f"{url} stopped answering ({type(error).__name__})", start)


def _is_secure(url: str) -> Finding:
    if url.startswith("https://"):
        return Finding("ok", "collector", f"{url} is ready")
    return Finding(
        "unknown",
        "collector",
        f"{url} is ready, but browsers do not send events from a shop to an address without https",
        "put a TLS proxy in front of it (docs/operations.md)",
    )


def _ingest_key(client: httpx.Client, key: str) -> Finding:
    """Sends an empty batch: the collector looks up the key and stores nothing."""
    answer = client.post(f"{EVENTS_PATH}{key}", content=b"[]", headers={"content-type": "text/plain"})
    if answer.status_code == 204:
        return Finding("ok", "ingest key", f"{key} is accepted")
    if answer.status_code == 401:
        return Finding(
            "failed", "ingest key", f"{key} is unknown to the collector", "start the collector with this shops.toml"
        )
    response = f"HTTP {answer.status_code}: {answer.text[:200]}"
    return Finding("failed", "ingest key", f"{key} got {response}", "check the log of the collector")


def _webhook_secret(client: httpx.Client, shop: Shop, environment: Mapping[str, str]) -> Finding:
    """Sends a signed webhook of an unknown topic: 404 if the signature is valid, 401 if it is not."""
    variable = client_secret_variable(shop.domain)
    secret = environment.get(variable, "").strip().encode()
    known = [secret] if secret else webhook_secrets(environment)
    if not known:
        return Finding(
            "failed", "webhook secret", "none is set here", f"set {variable} for this check and for the collector"
        )
    body = b"{}"
    signature = base64.b64encode(hmac.new(known[0], body, hashlib.sha256).digest()).decode()
    answer = client.post(
        WEBHOOKS_PATH,
        content=body,
        headers={
            "x-shopify-hmac-sha256": signature,
            "x-shopify-topic": "pixelnova/connect_check",
            "x-shopify-shop-domain": shop.domain,
            "x-shopify-webhook-id": "pixelnova-connect-check",
        },
    )
    if answer.status_code == 404:
        return Finding("ok", "webhook secret", "the collector accepts webhooks signed with the app's secret")
    return Finding(
        "failed",
        "webhook secret",
        f"the collector refuses webhooks signed with the app's secret (HTTP {answer.status_code})",
        f"start the collector with {variable} (or PIXELNOVA_SHOPIFY_SECRETS) in its environment",
    )
