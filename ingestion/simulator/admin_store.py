"""The data behind a simulated Admin API: products, variants, collections, orders and deletions, all mutable.

Converts a catalogue and placed orders to GraphQL nodes under Shopify's names, for admin_api.py to serve.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ingestion.simulator.catalogue import Catalogue, Product, Variant
from ingestion.simulator.shoppers import PlacedOrder

Node = dict[str, Any]


class AdminStore:
    """One shop. Changes update `updatedAt` as Shopify does: a variant's change also updates its product."""

    def __init__(
        self,
        domain: str,
        catalogue: Catalogue | None = None,
        orders: Iterable[PlacedOrder] = (),
        currency: str = "USD",
    ) -> None:
        """Start with a catalogue and orders, or empty. currency: of the shop, and so of its products' costs."""
        self.domain, self.currency = domain, currency
        self.products: dict[str, Node] = {}
        self.variants: dict[str, dict[str, Node]] = {}  # by product
        self.collections: dict[str, Node] = {}
        self.members: dict[str, list[str]] = {}  # product ids by collection
        self.orders: dict[str, Node] = {}
        self.deletions: list[Node] = []
        if catalogue:
            self._add_catalogue(catalogue)
        for order in orders:
            self.orders[f"gid://shopify/Order/{order.id}"] = _order_node(order)

    def add_product(self, node: Node, variants: Iterable[Node]) -> None:
        """Add a product, or replace it."""
        self.products[node["id"]] = node
        self.variants[node["id"]] = {variant["id"]: variant for variant in variants}

    def update_product(self, product_id: str, at: datetime, **fields: Any) -> None:
        """Change fields of a product."""
        self.products[product_id] |= {**fields, "updatedAt": _text(at)}

    def update_variant(self, product_id: str, variant_id: str, at: datetime, **fields: Any) -> None:
        """Change fields of a variant."""
        self.variants[product_id][variant_id] |= {**fields, "updatedAt": _text(at)}
        self.update_product(product_id, at)

    def remove_variant(self, product_id: str, variant_id: str, at: datetime) -> None:
        """Remove a variant."""
        del self.variants[product_id][variant_id]
        self.update_product(product_id, at)

    def delete_product(self, product_id: str, at: datetime, leaves_event: bool = True) -> None:
        """Delete a product. leaves_event: whether Shopify records a deletion event."""
        del self.products[product_id], self.variants[product_id]
        for members in self.members.values():
            if product_id in members:
                members.remove(product_id)
        if leaves_event:
            self.deletions.append(
                {
                    "__typename": "BasicEvent",
                    "id": f"gid://shopify/BasicEvent/{len(self.deletions) + 1}",
                    "action": "destroy",
                    "subjectId": product_id,
                    "subjectType": "PRODUCT",
                    "createdAt": _text(at),
                }
            )

    def _add_catalogue(self, catalogue: Catalogue) -> None:
        for product in catalogue.products:
            node = _product_node(product, self.domain)
            self.add_product(node, [_variant_node(product, variant, self.currency) for variant in product.variants])
            number = 430_000_000_000 + list({p.collection: None for p in catalogue.products}).index(product.collection)
            collection_id = f"gid://shopify/Collection/{number}"
            self.collections.setdefault(
                collection_id,
                {
                    "__typename": "Collection",
                    "id": collection_id,
                    "title": product.collection,
                    "handle": product.collection.lower(),
                    "sortOrder": "BEST_SELLING",
                    "updatedAt": "2025-01-01T09:00:00Z",
                },
            )
            self.members.setdefault(collection_id, []).append(node["id"])


def _product_node(product: Product, domain: str) -> Node:
    created_at = _text(product.created_at)
    return {
        "__typename": "Product",
        "id": f"gid://shopify/Product/{product.id}",
        "title": product.title,
        "handle": product.handle,
        "descriptionHtml": f"<p>{product.title}, by {product.vendor}.</p>",
        "vendor": product.vendor,
        "productType": product.product_type,
        "tags": [product.collection.lower()],
        "status": product.status,
        "isGiftCard": False,
        "createdAt": created_at,
        "updatedAt": created_at,
        "publishedAt": created_at if product.is_published else None,
        "onlineStoreUrl": f"https://{domain}/products/{product.handle}" if product.is_published else None,
        "featuredMedia": {
            "__typename": "MediaImage",
            "preview": {"image": {"url": product.image_url, "altText": product.title}},
        },
    }


def _variant_node(product: Product, variant: Variant, currency: str) -> Node:
    compare_at = variant.compare_at_cents
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{variant.id}",
        "title": variant.title,
        "sku": variant.sku,
        "position": variant.position,
        "price": _amount(variant.price_cents),
        "compareAtPrice": None if compare_at is None else _amount(compare_at),
        "availableForSale": variant.inventory > 0,
        "inventoryQuantity": variant.inventory,
        "inventoryPolicy": "DENY",
        "inventoryItem": {
            "__typename": "InventoryItem",
            "unitCost": None
            if variant.cost_cents is None
            else {"amount": _amount(variant.cost_cents), "currencyCode": currency},
        },
        "createdAt": _text(product.created_at),
        "updatedAt": _text(product.created_at),
    }


def _order_node(order: PlacedOrder) -> Node:
    def bag(cents: int) -> Node:
        money = {"amount": _amount(cents), "currencyCode": order.currency}
        return {"shopMoney": money, "presentmentMoney": money}

    return {
        "__typename": "Order",
        "id": f"gid://shopify/Order/{order.id}",
        "checkoutToken": order.checkout_token,
        "cartToken": None,
        "sourceName": order.source_name,
        "test": order.is_test,
        "createdAt": _text(order.placed_at),
        "processedAt": _text(order.placed_at),
        "updatedAt": _text(order.updated_at),
        "cancelledAt": order.cancelled_at and _text(order.cancelled_at),
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.currency,
        "customer": {"id": f"gid://shopify/Customer/{order.customer_id}"} if order.customer_id else None,
        "customAttributes": [],
        "originalTotalPriceSet": bag(order.total_cents),
        "totalPriceSet": bag(order.total_cents),
        "netPaymentSet": bag(order.total_cents - order.refunded_cents),
        "subtotalPriceSet": bag(order.subtotal_cents),
        "totalDiscountsSet": bag(order.discount_cents),
        "totalShippingPriceSet": bag(order.shipping_cents),
        "totalTaxSet": bag(order.tax_cents),
        "totalRefundedSet": bag(order.refunded_cents),
        "refunds": [
            {
                "id": f"gid://shopify/Refund/{order.id}",
                "createdAt": _text(order.refunded_at),
                "totalRefundedSet": bag(order.refunded_cents),
            }
        ]
        if order.refunded_at
        else [],
        "lineItems": [
            {
                "__typename": "LineItem",
                "id": f"gid://shopify/LineItem/{variant.id * 10 + number}",
                "title": product.title,
                "sku": variant.sku,
                "quantity": quantity,
                "currentQuantity": 0 if order.cancelled_at else quantity,
                "product": {"id": f"gid://shopify/Product/{product.id}"},
                "variant": {"id": f"gid://shopify/ProductVariant/{variant.id}"},
                "discountedTotalSet": bag(discounted_cents),
                "customAttributes": [],
            }
            for number, ((product, variant, quantity), discounted_cents) in enumerate(
                zip(order.lines, order.discounted_cents, strict=True), start=1
            )
        ],
    }


def _amount(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
