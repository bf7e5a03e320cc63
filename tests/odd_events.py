"""Events with one odd value each: each value of a valid event is replaced by each odd value in turn."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ingestion.shops import Shop
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.shoppers import simulate

NAMES = (
    "page_viewed",
    "product_viewed",
    "product_added_to_cart",
    "cart_viewed",
    "checkout_started",
    "checkout_completed",
)
ODD_VALUES: list[Any] = [
    None,
    "",
    "text",
    "' or 1=1; --",
    "a\x00b",
    True,
    -1,
    10**30,
    1.5e300,
    "99999999999999999999",
    99_999_999_999_999,
    2_147_483_647,
    -2_147_483_648,
    "-infinity",
    "NaN",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "https://[::1",
    [],
    {},
    [[1], {"a": None}],
    {"amount": {"amount": "x"}, "id": [1]},
]


def odd_events(shop: Shop) -> Iterator[dict[str, Any]]:
    """About 6,000 events, each with its own id unless the id is the odd value."""
    events = [
        event
        for delivery in simulate(shop, build_catalogue(1), 1, datetime(2026, 11, 1, tzinfo=UTC), days=2).deliveries
        for event in delivery.events
    ]
    number = 0
    yield from _made_to_overflow(events)
    yield from _made_to_collide(next(event for event in events if event["name"] == "product_added_to_cart"))
    for name in NAMES:
        good = next(event for event in events if event["name"] == name)
        for path in _paths(good):
            for odd in ODD_VALUES:
                event = copy.deepcopy(good)
                number += 1
                event["id"] = f"odd-{number}"
                holder = event
                for step in path[:-1]:
                    holder = holder[step]
                holder[path[-1]] = odd
                yield event


def _made_to_collide(added: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Events crafted to collide with keys of other events."""
    both = copy.deepcopy(added)
    both["id"] = "cart-and-line"
    both["data"]["cart"] = {"lines": [added["data"]["cartLine"]]}
    yield both
    yield {**added, "id": "x|e", "clientId": "cc"}
    yield {**added, "id": "e", "clientId": "cc|x"}
    yield {
        **added,
        "id": "[/b] in a title",
        "name": "product_viewed",
        "data": {"productVariant": {"product": _PRODUCT}},
    }


def _made_to_overflow(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The largest price and the largest quantity, without the amount that is their product."""
    added, completed = (
        copy.deepcopy(next(event for event in events if event["name"] == name))
        for name in ("product_added_to_cart", "checkout_completed")
    )
    line, item = added["data"]["cartLine"], completed["data"]["checkout"]["lineItems"][0]
    del line["cost"], item["finalLinePrice"]
    line["merchandise"]["price"]["amount"] = item["variant"]["price"]["amount"] = 99_999_999_999_999
    line["quantity"] = item["quantity"] = 2_147_483_647
    yield {**added, "id": "overflowing-cart"}
    yield {**added, "id": "overflowing-removal", "name": "product_removed_from_cart"}
    completed["data"]["checkout"]["order"]["id"] = "overflowing-order"
    yield {**completed, "id": "overflowing-order"}


_PRODUCT = {"id": "77", "title": "[/b] tricky [red]", "url": "/products/tricky"}


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in a document, but of the page's many similar values only a few."""
    if path:
        yield path
    if path[:2] in (("context", "window"), ("context", "navigator")) and len(path) > 2:
        return
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _paths(child, (*path, step))
