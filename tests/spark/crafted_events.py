"""A store whose few events reach what random ones rarely do: merges, shared browsers, replaced products, refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.landing_files import line

SHOP = "crafted.myshopify.com"
SHOPS_FILE = f"""
[[shops]]
domain = "{SHOP}"
name = "Crafted"
timezone = "America/New_York"
currency = "USD"
ingest_keys = ["key-of-crafted"]
[shops.channels]
"bing" = "paid search"
[shops.recommendations]
exclude = ["1005"]
pin = ["1004"]
pin_beside = {{"1001" = ["1003"]}}

[[shops]]
domain = "aside.myshopify.com"
name = "Put aside"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-aside"]
"""
BEGIN = datetime(2026, 10, 1, 15, tzinfo=UTC)
# A product that the cart adds to every order, and one that is deleted and created again.
RIDER, OLD, NEW = "1009", "1007", "1008"


def crafted_lines() -> list[bytes]:
    """All landing lines, in the order of their events; one is not an envelope, some are not valid events."""
    events = [*_sessions(), *_merges(), *_shared_browser(), *_replaced(), *_refused()]
    lines = [_line(number, at, client, name, data) for number, (at, client, name, data) in enumerate(events)]
    return [*lines, b'{"v":1,"shop":"' + SHOP.encode() + b'"}\n', b"not an envelope\n"]


def _line(number: int, at: datetime, client: str | None, name: str, data: dict[str, Any]) -> bytes:
    stamp = data.pop("timestamp", at.isoformat().replace("+00:00", "Z"))
    event = {"id": f"crafted-{number}", "name": name, "clientId": client, "timestamp": stamp, "data": data}
    page = {"href": f"https://{SHOP}/?utm_source=bing&utm_medium=cpc", "pathname": "/", "search": "?utm_source=bing"}
    event["context"] = {"document": {"location": page}}
    return line(event, shop=SHOP, received_at=at + timedelta(seconds=3), request_id=f"c{number}")


Event = tuple[datetime, str | None, str, dict[str, Any]]


def _variant(product: str, url: str | None = None) -> dict[str, Any]:
    title = {"1004": "Cre\u0301me bru\u0302le\u0301e", "1006": "Gift card"}.get(product, f"Crafted {product}")
    named = {
        "id": product,
        "title": title,
        "vendor": "It's ours",
        "type": "Things",
        "url": url or f"/products/c{product}",
    }
    return {
        "id": product + "0",
        "price": {"amount": 12.5, "currencyCode": "USD"},
        "product": named,
        "sku": f"'{product}",
    }


def _view(at: datetime, client: str | None, product: str, url: str | None = None) -> Event:
    return at, client, "product_viewed", {"productVariant": _variant(product, url)}


def _order(at: datetime, client: str | None, customer: int | None, order: int, *products: str) -> Event:
    variants = [_variant(product) for product in products]
    lines = [
        {"quantity": 1, "title": "x", "variant": one, "finalLinePrice": one["price"], "discountAllocations": []}
        for one in variants
    ]
    amount = {"amount": 12.5 * len(products), "currencyCode": "USD"}
    owner = {"id": str(customer), "isFirstOrder": False} if customer else None
    checkout = {
        "token": f"crafted-{order}",
        "currencyCode": "USD",
        "order": {"id": f"gid://shopify/Order/{order}", "customer": owner},
        "lineItems": lines,
        "subtotalPrice": amount,
        "totalPrice": amount,
    }
    return at, client, "checkout_completed", {"checkout": checkout}


def _sessions() -> Iterator[Event]:
    """Visitors who view three products in a row on each of 28 days; customers order again each week, with the rider."""
    products = ["1001", "1002", "1003", "1004", "1005", "1006"]
    for day in range(28):
        for visitor in range(4):
            at = BEGIN + timedelta(days=day, minutes=20 * visitor)
            for step in range(3):
                product = products[(day + visitor + step) % (4 + visitor % 2)]
                yield _view(at + timedelta(seconds=40 * step), f"visitor-{visitor}-{day % 7}", product)
            if visitor < 2:
                bought = [products[visitor], products[(visitor + day % 2) + 1], RIDER]
                order = 70_000 + day * 10 + visitor
                client = f"visitor-{visitor}-{day % 7}"
                yield _order(at + timedelta(minutes=3), client, 500 + visitor * 10 + day % 7, order, *bought)


def _merges() -> Iterator[Event]:
    """A browser that views anonymously, a customer known by another, and the order that makes them one person."""
    for number in range(3):
        at = BEGIN + timedelta(days=2 + number)
        yield _view(at, f"merging-{number}", "1001")
        yield _order(at + timedelta(hours=1), f"known-{number}", 900 + number, 80_000 + number, "1002", RIDER)
        yield _order(at + timedelta(hours=30), f"merging-{number}", 900 + number, 80_100 + number, "1001", RIDER)


def _shared_browser() -> Iterator[Event]:
    """Two customers who share a browser but stay two people, and a guest's checkout in it."""
    for number, customer in enumerate((951, 952, 951, None)):
        at = BEGIN + timedelta(days=5, hours=number)
        yield _view(at, "shared", "1003")
        yield _order(at + timedelta(minutes=5), "shared", customer, 81_000 + number, "1003", RIDER)


def _replaced() -> Iterator[Event]:
    for day, product in enumerate([OLD, NEW, NEW, NEW, NEW]):
        yield _view(BEGIN + timedelta(days=day), "watcher", product, "/products/swapped")


def _refused() -> Iterator[Event]:
    at = BEGIN + timedelta(days=3)
    for stamp in ("", "yesterday", "1999-12-31T23:59:59Z", "2027-01-01T00:00:00Z", None):
        yield at, "refused", "page_viewed", {"timestamp": stamp}
