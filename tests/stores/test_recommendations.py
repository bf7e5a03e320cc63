"""Lists seen, clicks in them and sales attributed to them; the client id names the case."""

from typing import Any

from tests.stores.events import NOON, event

REFUSED = {"consent": {"analyticsProcessingAllowed": False}}


def seen(client: str, minute: float, request: Any, *products: Any, **changes: Any) -> dict[str, Any]:
    """A list that was seen on the page of product 1."""
    data = {
        "v": 1,
        "request_id": request,
        "placement": "product_page",
        "seed_product_id": "1",
        "model_version": "1",
        "version": "v1",
        "product_ids": list(products),
        "strategies": ["bought_together", *["popular"] * (len(products) - 1)],
    }
    return _custom("viewed", client, minute, data | changes)


def clicked(
    client: str, minute: float, request: Any, product: Any, position: Any = 1, **changes: Any
) -> dict[str, Any]:
    data = {
        "v": 1,
        "request_id": request,
        "placement": "product_page",
        "seed_product_id": "1",
        "model_version": "1",
        "version": "v1",
        "product_id": product,
        "strategy": "bought_together" if position == 1 else "popular",
        "position": position,
    }
    return _custom("clicked", client, minute, data | changes)


def _custom(what: str, client: str, minute: float, data: Any) -> dict[str, Any]:
    name = f"pixelnova:recommendation_{what}"
    return event(name, client, minute, path="/products/product-1", type="custom", customData=data)


SAME = seen("twice", 0, "r-twice", "2", "3")
EVENTS = [
    seen("plain", 0, "r-plain", "2", "3"),
    clicked("plain", 1, "r-plain", "3", 2),
    clicked("plain", 2, "r-plain", "3", 2),  # a second tab
    SAME,
    SAME,
    seen("twice", 5, "r-twice", "2", "3"),  # the page was restored: another event of the same list
    clicked("no view", 0, "r-no-view", "2"),
    seen("many", 0, "r-many", *range(1, 5001), strategies=["x"] * 5),
    seen("gids", 0, "r-gids", "gid://shopify/Product/2", 3, {"id": 4}, None, [5], "", "2"),
    seen("no list", 0, "r-no-list", product_ids="2", strategies=7),
    seen("no data", 0, None, product_ids={"2": 3}, placement=["x"] * 99, strategies=None),
    _custom("viewed", "text", 0, "not an object"),
    _custom("clicked", "text", 1, ["not an object"]),
    clicked("negative", 0, "r-negative", "2", -1),
    clicked("fraction", 0, "r-fraction", "2", 1.5),
    clicked("far", 0, "r-far", "2", 10**30),
    clicked("long", 0, "x" * 1000, "2", strategy="y" * 1000),
]


def test_same_list_counts_once(store):
    rows = store.query(
        "select client_id, items, viewed_at from recommendations.impressions where shop = '{shop}' "
        "and client_id in ('plain', 'twice') order by all"
    )
    noon = NOON.replace(tzinfo=None)
    assert rows == [("plain", 2, noon), ("twice", 2, noon)]


def test_click_without_view_counts(store):
    rows = store.query(
        "select client_id, product_id, strategy, position, has_impression, is_repeated from recommendations.clicks "
        "where shop = '{shop}' and client_id in ('plain', 'no view') order by clicked_at, client_id"
    )
    assert rows == [
        ("no view", "2", "bought_together", 1, False, False),
        ("plain", "3", "popular", 2, True, False),
        ("plain", "3", "popular", 2, True, True),
    ]
