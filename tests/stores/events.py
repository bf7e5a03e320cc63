"""Short constructors of pixel events in Shopify's shapes; a test fills in only what matters to it."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOST = "www.store.example"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)

_numbers = count(1)


def event(
    name: str, client: str | None, minute: float = 0, *, path: str = "/", data: Any = None, **changes: Any
) -> dict[str, Any]:
    """An event `minute` minutes after noon of 2026-11-20, UTC; `changes` replace its top-level fields."""
    url = path if "://" in path else f"https://{HOST}{path}"
    number = next(_numbers)
    return {
        "id": f"sh-{number:06}",
        "clientId": client,
        "name": name,
        "seq": number,
        "timestamp": (NOON + timedelta(minutes=minute)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "type": "standard",
        "context": {
            "document": {
                "title": "Store",
                "referrer": "",
                "location": {
                    "href": url,
                    "host": url.split("/")[2],
                    "pathname": "/" + url.split("/", 3)[3].partition("?")[0] if url.count("/") > 2 else "/",
                    "search": "?" + url.partition("?")[2] if "?" in url else "",
                },
            },
            "navigator": {"userAgent": CHROME, "language": "en"},
        },
        "data": data or {},
        **changes,
    }


def variant(product: Any, variant_id: Any = ..., price: float = 10, currency: str = "EUR") -> dict[str, Any]:
    """A product variant, as in views, cart lines and order lines."""
    return {
        "id": f"{product}1" if variant_id is ... else variant_id,
        "title": "Default",
        "untranslatedTitle": "Default",
        "sku": f"SKU-{product}",
        "price": {"amount": price, "currencyCode": currency},
        "product": {
            "id": product,
            "title": f"Product {product}",
            "untranslatedTitle": f"Product {product}",
            "vendor": "Acme",
            "type": "Thing",
            "url": f"/products/product-{product}",
        },
        "image": None,
    }


def viewed(product: Any, variant_id: Any = ..., **changes: Any) -> dict[str, Any]:
    """The data of product_viewed."""
    return {"productVariant": variant(product, variant_id, **changes)}


def cart_line(
    product: Any, quantity: int = 1, variant_id: Any = ..., price: float = 10, currency: str = "EUR"
) -> dict[str, Any]:
    """The data of product_added_to_cart and product_removed_from_cart."""
    cost = {"totalAmount": {"amount": price * quantity, "currencyCode": currency}}
    merchandise = variant(product, variant_id, price, currency)
    return {"cartLine": {"quantity": quantity, "cost": cost, "merchandise": merchandise}}


def checkout(
    token: Any = None,
    order: Any = None,
    customer: Any = None,
    product: Any = "1",
    amount: float = 10,
    currency: str = "EUR",
) -> dict[str, Any]:
    """The data of checkout events: one line, no discounts."""
    money = {"amount": amount, "currencyCode": currency}
    return {
        "checkout": {
            "token": token,
            "currencyCode": currency,
            "order": {"id": order, "customer": None if customer is None else {"id": customer, "isFirstOrder": None}},
            "lineItems": [
                {
                    "id": "line-1",
                    "title": f"Product {product}",
                    "quantity": 1,
                    "variant": variant(product, price=amount, currency=currency),
                    "finalLinePrice": money,
                    "discountAllocations": [],
                    "properties": [],
                }
            ],
            "discountApplications": [],
            "subtotalPrice": money,
            "totalPrice": money,
        }
    }
