"""dlt source `shopify`: a shop's catalogue from the Admin GraphQL API.

Shops with a token flow in; the tables products and variants flow out, one row per node, under Shopify's field names.
Without a token a shop has no rows here, and the warehouse knows of its products what its events say.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dlt
import requests
from dlt.extract import DltResource
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import APIKeyAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from ingestion.shops import Shop
from ingestion.sources import SCHEMA_CONTRACT

API_VERSION = "2026-10"
PAGE_SIZE = 250  # the most that Shopify gives
TOKEN_VARIABLE = "PIXELNOVA_SHOPIFY_TOKEN_"
URL_VARIABLE = "PIXELNOVA_SHOPIFY_URL"  # for the stand-in; Shopify's own address otherwise

PRODUCTS_QUERY = """
query PixelnovaProducts($first: Int!, $after: String) {
  products(first: $first, after: $after, sortKey: ID) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id title handle vendor productType status
      createdAt updatedAt publishedAt onlineStoreUrl
      featuredMedia { preview { image { url } } }
    }
  }
}
"""

# Variants are asked for by themselves: nested in products they would page inside a page.
VARIANTS_QUERY = """
query PixelnovaVariants($first: Int!, $after: String) {
  productVariants(first: $first, after: $after, sortKey: ID) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id title sku position price compareAtPrice
      availableForSale inventoryQuantity inventoryPolicy
      createdAt updatedAt
      product { id }
    }
  }
}
"""


class ShopifyError(Exception):
    """Shopify did not answer, or refused; the message names the shop and the remedy."""


@dataclass(frozen=True)
class AdminApi:
    """Where one shop's Admin API is, and what opens it."""

    shop: str
    url: str
    token: str = field(repr=False)

    def nodes(self, connection: str, query: str) -> Iterator[dict[str, Any]]:
        """All nodes of a top-level connection, page after page.

        Raises:
            ShopifyError: no answer, a refusal, or any GraphQL error: never a short list.
        """
        client = RESTClient(
            base_url=self.url,
            auth=APIKeyAuth(name="X-Shopify-Access-Token", api_key=self.token),
            session=Client(request_max_attempts=3, request_backoff_factor=0.5).session,
            paginator=JSONResponseCursorPaginator(
                cursor_path=f"data.{connection}.pageInfo.endCursor",
                cursor_body_path="variables.after",
                has_more_path=f"data.{connection}.pageInfo.hasNextPage",
            ),
        )
        pages = client.paginate(
            "graphql.json",
            method="POST",
            json={"query": query, "variables": {"first": PAGE_SIZE}},
            data_selector=f"data.{connection}.nodes",
            hooks={"response": [self._refuse_errors]},
        )
        try:
            for page in pages:
                yield from page
        except requests.RequestException as error:
            raise ShopifyError(
                f"The Admin API of {self.shop} cannot be reached at {self.url} ({type(error).__name__}): check the "
                "network and run again; nothing was published."
            ) from error

    def _refuse_errors(self, response: requests.Response, *_: Any, **__: Any) -> None:
        if response.status_code in (401, 403):
            raise ShopifyError(
                f"The Admin API of {self.shop} refuses the token (HTTP {response.status_code}): put a valid one with "
                f"scope read_products into {token_variable(self.shop)}."
            )
        response.raise_for_status()
        errors = response.json().get("errors")
        if errors:
            raise ShopifyError(f"The Admin API of {self.shop} answers with an error: {errors}")


def token_variable(domain: str) -> str:
    """The environment variable that holds a shop's Admin API token, e.g. PIXELNOVA_SHOPIFY_TOKEN_MY_SHOP."""
    return TOKEN_VARIABLE + domain.removesuffix(".myshopify.com").upper().replace("-", "_")


def admin_apis(shops: Sequence[Shop], environment: Mapping[str, str] = os.environ) -> list[AdminApi]:
    """The Admin APIs of those shops for which the environment holds a token."""
    apis = []
    for shop in shops:
        token = environment.get(token_variable(shop.domain))
        if token:
            base = environment.get(URL_VARIABLE, f"https://{shop.domain}").rstrip("/")
            apis.append(AdminApi(shop.domain, f"{base}/admin/api/{API_VERSION}", token))
    return apis


def _text(*names: str) -> dict[str, Any]:
    return {name: {"data_type": "text"} for name in names}


def _timestamp(*names: str) -> dict[str, Any]:
    return {name: {"data_type": "timestamp"} for name in names}


PRODUCT_COLUMNS = {
    **_text("shop", "id", "title", "handle", "vendor", "product_type", "status", "online_store_url", "image_url"),
    **_timestamp("created_at", "updated_at", "published_at"),
}
VARIANT_COLUMNS = {
    **_text("shop", "id", "product_id", "title", "sku", "inventory_policy", "price", "compare_at_price"),
    "position": {"data_type": "bigint"},
    "available_for_sale": {"data_type": "bool"},
    "inventory_quantity": {"data_type": "bigint"},
    **_timestamp("created_at", "updated_at"),
}


@dlt.source(name="shopify", schema_contract=SCHEMA_CONTRACT, max_table_nesting=0)
def shopify_source(apis: Sequence[AdminApi] = ()) -> tuple[DltResource, DltResource]:
    """Tables raw_shopify.products and raw_shopify.variants. One row per (shop, id); money as Shopify's text."""

    @dlt.resource(name="products", write_disposition="merge", primary_key=("shop", "id"), columns=PRODUCT_COLUMNS)
    def products() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for api in apis:
            for node in api.nodes("products", PRODUCTS_QUERY):
                media = node.pop("featuredMedia") or {}
                image = (media.get("preview") or {}).get("image") or {}
                yield {"shop": api.shop, **node, "imageUrl": image.get("url")}

    @dlt.resource(name="variants", write_disposition="merge", primary_key=("shop", "id"), columns=VARIANT_COLUMNS)
    def variants() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for api in apis:
            for node in api.nodes("productVariants", VARIANTS_QUERY):
                product = node.pop("product")
                yield {"shop": api.shop, **node, "productId": product["id"]}

    return products, variants
