"""A small stand-in of Shopify's Admin GraphQL API that executes Shopify's own schema over the simulated catalogue.

GraphQL requests flow in over HTTP; pages of products and variants flow out. A wrong token is answered with 401, and
a field or argument that Shopify does not have with a GraphQL error.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from graphql import GraphQLResolveInfo, build_schema, graphql_sync

from ingestion.simulator.catalogue import Catalogue, Product, Variant

MAX_PAGE = 250
START_SECONDS = 10

Node = dict[str, Any]


class AdminApi:
    """The ASGI application: one shop, one token."""

    def __init__(self, catalogue: Catalogue, domain: str, token: str) -> None:
        """Answer for the shop `domain` to whoever has `token`."""
        self._token = token.encode()
        self._schema = build_schema(Path(__file__).with_suffix(".graphql").read_text())
        products = [_product_node(product, domain) for product in catalogue.products]
        variants = [
            _variant_node(product, variant, node)
            for product, node in zip(catalogue.products, products, strict=True)
            for variant in product.variants
        ]
        self._root = {
            "products": lambda info, **arguments: _page(products, info, **arguments),
            "productVariants": lambda info, **arguments: _page(variants, info, **arguments),
        }

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = self._answer(scope, body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})

    def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, Node]:
        if not scope["path"].endswith("/graphql.json"):
            return 404, {"errors": "Not Found"}
        if dict(scope["headers"]).get(b"x-shopify-access-token") != self._token:
            return 401, {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
        request = msgspec.json.decode(body)
        result = graphql_sync(self._schema, request["query"], self._root, variable_values=request.get("variables"))
        return 200, result.formatted


def _page(
    nodes: Sequence[Node], info: GraphQLResolveInfo, first: int | None = None, after: str | None = None, **_: Any
) -> Node:
    if not first or first > MAX_PAGE:
        raise ValueError(f"you must provide first, at most {MAX_PAGE}")
    start = int(after) if after else 0
    end = start + first
    return {
        "nodes": nodes[start:end],
        "pageInfo": {"hasNextPage": end < len(nodes), "endCursor": str(min(end, len(nodes)))},
    }


def _product_node(product: Product, domain: str) -> Node:
    created_at = product.created_at.isoformat()
    return {
        "id": f"gid://shopify/Product/{product.id}",
        "title": product.title,
        "handle": product.handle,
        "vendor": product.vendor,
        "productType": product.product_type,
        "status": product.status,
        "createdAt": created_at,
        "updatedAt": created_at,
        "publishedAt": created_at if product.is_published else None,
        "onlineStoreUrl": f"https://{domain}/products/{product.handle}" if product.is_published else None,
        "featuredMedia": {
            "__typename": "MediaImage",
            "preview": {"image": {"url": product.image_url, "altText": product.title}},
        },
    }


def _variant_node(product: Product, variant: Variant, product_node: Node) -> Node:
    compare_at = variant.compare_at_cents
    return {
        "id": f"gid://shopify/ProductVariant/{variant.id}",
        "title": variant.title,
        "sku": variant.sku,
        "position": variant.position,
        "price": f"{variant.price_cents / 100:.2f}",
        "compareAtPrice": None if compare_at is None else f"{compare_at / 100:.2f}",
        "availableForSale": variant.inventory > 0,
        "inventoryQuantity": variant.inventory,
        "inventoryPolicy": "DENY",
        "createdAt": product.created_at.isoformat(),
        "updatedAt": product.created_at.isoformat(),
        "product": product_node,
    }


@contextmanager
def running_admin_api(catalogue: Catalogue, domain: str, token: str) -> Iterator[str]:
    """The stand-in on a free loopback port, in a thread of this process, for as long as the block runs; its URL."""
    config = uvicorn.Config(
        AdminApi(catalogue, domain, token), host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="admin-api", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the stand-in of the Admin API did not start")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
